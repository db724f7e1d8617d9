"""A real Chromium with the network blocked; skipped with a reason where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")


MARIMO_SAYS = "[handleFill"
"""What marimo 0.25 writes as an error where a sidebar is drawn again; nothing is amiss on the page."""


@dataclass
class Watched:
    """A page and what went wrong on it."""

    page: object
    problems: list[str] = field(default_factory=list)


@contextmanager
def serving(folder: Path, surroundings: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """``lab open`` on a free port, at work in a folder; gives what makes a page's path an address."""
    log = folder / "server.log"
    with open(log, "w") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "lab", "open", "--port", "0"],
            cwd=folder,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {"LAB_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
            | surroundings,
        )
        try:
            for _ in range(240):
                found = re.search(r"(http://127\.0\.0\.1:\d+)/\?(access_token=\S+)", log.read_text())
                if found:
                    try:
                        urllib.request.urlopen(found[1], timeout=2)
                    except urllib.error.HTTPError as refused:
                        assert refused.code == 403
                        break
                    except OSError:
                        pass
                time.sleep(0.25)
            yield lambda page: f"{found[1]}{page}?{found[2]}"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def watch(chromium):
    """Open pages that note console errors, page errors and every request that leaves this machine."""
    contexts, opened = [], []

    def open_page(**options) -> Watched:
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        watched = Watched(context.new_page())

        def local_only(route):
            url = route.request.url
            if url.startswith(("file:", "data:", "blob:", "http://127.0.0.1", "ws://127.0.0.1")):
                route.continue_()
            else:
                watched.problems.append(f"request to {url}")
                route.abort()

        context.route("**/*", local_only)
        watched.page.on(
            "console",
            lambda m: (
                watched.problems.append(f"console: {m.text}")
                if m.type == "error" and not m.text.startswith(MARIMO_SAYS)
                else None
            ),
        )
        watched.page.on("pageerror", lambda e: watched.problems.append(f"page: {e}"))
        opened.append(watched)
        return watched

    yield open_page
    for context in contexts:
        context.close()
    assert [w.problems for w in opened if w.problems] == []
