"""The notebooks over HTTP on this machine: one server, one address a page."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
import webbrowser
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.websockets import WebSocketClose

from lab.live import pages
from lab.live.pages import PAGES, SERVED, notebook_file
from lab.schema import LabError

HOST = "127.0.0.1"
TOKEN = "access_token"
"""Name of the query's field and of the cookie that say who may ask."""
UP_WITHIN = 120.0
"""Seconds after which nobody opens a browser any more."""


def build_app(token: str):
    """The ASGI application with every page, for those who know the ``token``."""
    import marimo

    os.environ[SERVED] = "1"
    server = marimo.create_asgi_app(quiet=True, include_code=False)
    for page in reversed(PAGES):
        server = server.with_app(
            path="" if page.name == "start" else pages.address(page), root=str(notebook_file(page))
        )
    return LocalOnly(SlashKeepingQuery(server.build()), token)


class SlashKeepingQuery:
    """Sends a page's address on to the one with a slash behind it, where marimo has the page, and keeps the query:
    marimo's own redirect loses it, and with it the task that a page shall begin with."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.pages = {pages.address(page) for page in PAGES} - {"/"}

    async def __call__(self, scope, receive, send) -> None:
        """ASGI: 307 for a page's bare address, all else as it is."""
        if scope["type"] != "http" or scope["path"] not in self.pages:
            await self.inner(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        to = f"{scope['path']}/" + (f"?{query}" if query else "")
        await RedirectResponse(to, 307)(scope, receive, send)


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
        query = [(name, value) for name, value in asked.query_params.multi_items() if name != TOKEN]
        if scope["type"] == "websocket" or not self._is_known(asked.query_params.get(TOKEN, "")):
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


def link(port: int, path: str, token: str, chosen: dict[str, str]) -> str:
    """The address of a page that lets in, with what the page begins with."""
    query = {TOKEN: token} | {name: value for name, value in chosen.items() if value}
    return f"http://{HOST}:{port}{path}?{urlencode(query)}"


def show_when_up(to: str, port: int, seconds: float = UP_WITHIN) -> threading.Thread:
    """Open the address in the browser as soon as somebody listens on the port: the server needs a while to start."""

    def wait() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    webbrowser.open(to)
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


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
