"""Programs that stand in for others which would need a network."""

from __future__ import annotations

from pathlib import Path


def uv_without_imports(folder: Path) -> Path:
    """A uv that says what the real one says of ``shared_decide``: that no file lies beside it which it imports. The
    real one fetches ruff from PyPI to find that out."""
    path = folder / "uv-that-finds-nothing"
    path.write_text("#!/bin/sh\necho '{}'\n")
    path.chmod(0o755)
    return path
