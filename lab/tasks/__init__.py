"""Tasks as folders: loading, checking, importing, scoring."""
