"""``marimo export`` as a process of its own, and what it said where it failed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.live.pages import SERVED


def export(kind: str, notebook: Path, out: Path, *options: str, surroundings: Mapping[str, str] | None = None) -> str:
    """Export a notebook as ``html`` or ``html-wasm``, at work in the caller's folder, whose studies are shown; what
    went wrong, empty where nothing did. ``surroundings`` are added to the process's own."""
    # Links to the other pages lead somewhere only where lab open serves them; with uv marimo would ask whether to run
    # the notebook in an environment of its own.
    command = [sys.executable, "-m", "marimo", "-y", "export", kind, str(notebook), "-o", str(out), "--no-sandbox"]
    known = {name: value for name, value in os.environ.items() if name != SERVED} | dict(surroundings or {})
    done = subprocess.run([*command, "--force", *options], capture_output=True, text=True, env=known, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "" if done.returncode == 0 else "\n".join(said[-5:]) or f"marimo ended with {done.returncode}"
