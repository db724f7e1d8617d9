"""Files that a browser sends, kept under ``LAB_HOME/uploads`` by their content, with names that can't leave it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from lab.schema import LabError


def safe_name(name: str) -> str:
    """The last part of a file name, without control characters or leading dots."""
    return re.sub(r"[\x00-\x1f]", "_", Path(name.replace("\\", "/")).name).lstrip(".") or "file"


def keep(home: Path, name: str, contents: bytes) -> Path:
    """Write an uploaded file and return its path; the same content under the same name is the same file."""
    path = home / "uploads" / hashlib.sha256(contents).hexdigest()[:16] / safe_name(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)
    return path


def documents(home: Path, files: Sequence[tuple[str, bytes]], folder: str) -> Path | None:
    """A folder with the uploaded documents, or the folder that was named; None for neither.

    Raises LabError for a missing folder.
    """
    if folder and not Path(folder).is_dir():
        raise LabError(f"{folder}: no such folder")
    if not files:
        return Path(folder) if folder else None
    names = [safe_name(name) for name, _ in files]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise LabError(f"{', '.join(twice)}: two documents have this name; rename one, names become the documents' ids")
    digest = hashlib.sha256()
    for name, contents in files:
        digest.update(name.encode() + hashlib.sha256(contents).digest())
    target = home / "uploads" / f"documents-{digest.hexdigest()[:16]}"
    target.mkdir(parents=True, exist_ok=True)
    for name, contents in files:
        (target / safe_name(name)).write_bytes(contents)
    return target
