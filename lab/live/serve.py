"""The notebooks over HTTP on this machine: one server, one address a page."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

from lab.live.pages import PAGES, address, notebook_file
from lab.schema import LabError

HOST = "127.0.0.1"


def build_app():
    """The ASGI application with every page."""
    import marimo

    server = marimo.create_asgi_app(quiet=True, include_code=False)
    for page in reversed(PAGES):
        server = server.with_app(path="" if page.name == "start" else address(page), root=str(notebook_file(page)))
    return LocalOnly(server.build())


class LocalOnly:
    """Lets through what this machine's own pages ask, so that a website in another tab can't drive the lab.

    Browsers tell the asking page's origin and the host they believe to talk to; both must be local.
    """

    def __init__(self, inner) -> None:
        self.inner = inner

    async def __call__(self, scope, receive, send) -> None:
        """ASGI: refuse with 403 (or close the socket) where origin or host is foreign."""
        if scope["type"] in ("http", "websocket"):
            headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
            host, origin = headers.get("host", ""), headers.get("origin", "")
            if not is_local(f"//{host}") or (origin and (not is_local(origin) or urlsplit(origin).netloc != host)):
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 4403})
                else:
                    await send(
                        {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
                    )
                    await send({"type": "http.response.body", "body": b"only pages of this machine may ask"})
                return
        await self.inner(scope, receive, send)


def is_local(address: str) -> bool:
    """Whether an address names this machine."""
    return urlsplit(address).hostname in ("127.0.0.1", "localhost")


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
