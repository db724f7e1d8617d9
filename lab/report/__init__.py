"""From a decision to HTML, Markdown and JSON."""
