"""A wheel of the lab's own files for a browser: its code and templates, no models, nothing that it depends on."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

NAME = "decision_lab"
VERSION = "0"
"""Of the wheel, not of the lab: the notebook that installs it knows the file by name, whatever the lab's version."""
FILE = f"{NAME}-{VERSION}-py3-none-any.whl"
KINDS = (".py", ".toml", ".json", ".html")
"""Files that a page needs."""
WITHOUT = ("models/bundled", "report/templates")
"""Weights, and what only a written report needs."""
OLDEST = (1980, 1, 1, 0, 0, 0)
"""Date of every file, so that the same code gives the same wheel."""


def lab_wheel() -> bytes:
    """The wheel of this lab."""
    top = Path(str(files("lab")))
    found = [p for p in sorted(top.rglob("*")) if p.suffix in KINDS]
    names = {p.relative_to(top).as_posix(): p for p in found}
    kept = {f"lab/{n}": p.read_bytes() for n, p in names.items() if not n.startswith(WITHOUT)}
    return wheel_of(NAME, VERSION, kept)


def wheel_of(name: str, version: str, contents: Mapping[str, bytes]) -> bytes:
    """A pure Python wheel that depends on nothing."""
    info = f"{name}-{version}.dist-info"
    told = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: lab share\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    whole = dict(contents) | told
    record = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in whole.items()]
    whole[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in whole.items():
            archive.writestr(zipfile.ZipInfo(path, OLDEST), data, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _digest(data: bytes) -> str:
    """As a wheel's RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
