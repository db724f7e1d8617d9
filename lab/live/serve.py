"""The notebooks over HTTP on this machine: one server, one address a page."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.websockets import WebSocketClose

from lab.live.pages import PAGES, SERVED, notebook_file
from lab.schema import LabError

HOST = "127.0.0.1"
TOKEN = "access_token"
"""Name of the query's field and of the cookie that say who may ask."""


def build_app(token: str):
    """The ASGI application with every page, for those who know the ``token``."""
    import marimo

    os.environ[SERVED] = "1"
    server = marimo.create_asgi_app(quiet=True, include_code=False)
    for page in reversed(PAGES):
        server = server.with_app(path="" if page.name == "start" else f"/{page.name}", root=str(notebook_file(page)))
    return LocalOnly(QueryKept(server.build()), token)


class QueryKept:
    """Sends ``/decide?task=handbook`` on to ``/decide/?task=handbook``, where marimo's own redirect drops the query."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.paths = {f"/{page.name}" for page in PAGES}

    async def __call__(self, scope, receive, send) -> None:
        """ASGI: a redirect for a page's path without its slash, everything else as it is."""
        if scope["type"] != "http" or scope["path"] not in self.paths:
            await self.inner(scope, receive, send)
            return
        query = scope["query_string"].decode()
        to = "/" if scope["path"] == "/start" else f"{scope['path']}/"
        await RedirectResponse(to + (f"?{query}" if query else ""), 307)(scope, receive, send)


class LocalOnly:
    """Lets through what this person's own pages ask, so that neither a website in another tab nor another user of the
    machine can drive the lab.

    Browsers tell the asking page's origin and the host they believe to talk to; both must be local. The address that
    was printed holds the token, which a cookie keeps from then on; cookies of all ports lie together, so its name has
    the port.
    """

    def __init__(self, inner, token: str) -> None:
        self.inner, self.token = inner, token

    async def __call__(self, scope, receive, send) -> None:
        """ASGI: refuse with 403 (or close the socket) where origin or host is foreign, or the token isn't known."""
        if scope["type"] not in ("http", "websocket"):
            await self.inner(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        host = asked.headers.get("host", "")
        if not asks_here(host, asked.headers.get("origin", "")):
            await _refusal(scope, "only pages of this machine may ask")(scope, receive, send)
            return
        cookie = f"{TOKEN}_{urlsplit(f'//{host}').port or 80}"
        if self._is_known(asked.cookies.get(cookie, "")):
            await self.inner(scope, receive, send)
            return
        query = dict(asked.query_params)
        if scope["type"] == "websocket" or not self._is_known(query.pop(TOKEN, "")):
            told = "open the address that lab open has printed: it holds what lets you in"
            await _refusal(scope, told)(scope, receive, send)
            return
        # A path that begins with two slashes would be another host.
        to = f"/{quote(scope['path']).lstrip('/')}" + (f"?{urlencode(query)}" if query else "")
        kept = f"{cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        await RedirectResponse(to, 303, {"set-cookie": kept})(scope, receive, send)

    def _is_known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self.token.encode())


def _refusal(scope, why: str) -> PlainTextResponse | WebSocketClose:
    """403 in words; a socket is closed before it opens."""
    return WebSocketClose(4403) if scope["type"] == "websocket" else PlainTextResponse(why, 403)


def asks_here(host: str, origin: str) -> bool:
    """Whether a request, by its headers, is one of this machine's own programs or pages to this machine."""
    return is_local(f"//{host}") and (not origin or (is_local(origin) and urlsplit(origin).netloc == host))


def is_local(address: str) -> bool:
    """Whether an address names this machine, with a port that is one."""
    try:
        found = urlsplit(address)
        return found.hostname in ("127.0.0.1", "localhost") and found.port != 0
    except ValueError:
        return False


def free_port(wanted: int) -> int:
    """``wanted`` where it is free, else any; raises LabError where a port was asked for that is taken."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, wanted))
        except OSError:
            raise LabError(f"--port {wanted}: is taken on {HOST}; name another, or 0 for any") from None
        return probe.getsockname()[1]


def serve(port: int, token: str) -> None:
    """Serve until interrupted, those who know the ``token``."""
    run(build_app(token), port)


def run(app, port: int) -> None:
    """Serve an ASGI application on this machine until interrupted."""
    import uvicorn

    uvicorn.run(app, host=HOST, port=port, log_level="warning")


def edit_command(folder: Path, port: int) -> list[str]:
    """The marimo editor on the notebooks' folder."""
    import sys

    return [sys.executable, "-m", "marimo", "edit", str(folder), "--host", HOST, "--port", str(port)]
