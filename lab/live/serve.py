"""The notebooks over HTTP on this machine: one server, one address a page."""

from __future__ import annotations

import socket
from pathlib import Path

from lab.live.pages import PAGES, address, notebook_file
from lab.schema import LabError

HOST = "127.0.0.1"


def build_app():
    """The ASGI application with every page."""
    import marimo

    server = marimo.create_asgi_app(quiet=True, include_code=False)
    for page in reversed(PAGES):
        server = server.with_app(path="" if page.name == "start" else address(page), root=str(notebook_file(page)))
    return server.build()


def free_port(wanted: int) -> int:
    """``wanted`` where it is free, else any; raises LabError where a port was asked for that is taken."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, wanted))
        except OSError:
            raise LabError(f"--port {wanted}: is taken on {HOST}; name another, or 0 for any") from None
        return probe.getsockname()[1]


def serve(port: int) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(build_app(), host=HOST, port=port, log_level="warning")


def edit_command(folder: Path, port: int) -> list[str]:
    """The marimo editor on the notebooks' folder."""
    import sys

    return [sys.executable, "-m", "marimo", "edit", str(folder), "--host", HOST, "--port", str(port)]
