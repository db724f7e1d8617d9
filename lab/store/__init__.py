"""Results on disk (``results``), and a list of them at a glance (``listing``)."""

from lab.store.results import (
    COMMITTED,
    KINDS,
    Draft,
    Entry,
    Store,
    key_of,
    provenance,
    read_completions,
    write_completions,
)

__all__ = [
    "COMMITTED",
    "KINDS",
    "Draft",
    "Entry",
    "Store",
    "key_of",
    "provenance",
    "read_completions",
    "write_completions",
]
