"""*Decide* as a reader meets it on a shared site: Python in a real Chromium, sliders moved, verdicts those of the lab.

What the page asks the internet for is answered from a mirror (``tests/browser/pyodide_mirror.py``), file by file at the
addresses that it asks; nothing else is let through.
"""

from __future__ import annotations

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest

from lab.decision import Settings, decide
from lab.live.shared import share_live
from lab.study import Study
from tests.standins import uv_without_imports

REPORT = Path(__file__).resolve().parents[2] / "reports" / "triage_reference"
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}
HOSTS = ("https://cdn.jsdelivr.net/pyodide/", "https://wasm.marimo.app/pyodide-lock.json")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "LAB_PYODIDE_MIRROR" not in os.environ,
        reason="no mirror of Pyodide: python -m tests.browser.pyodide_mirror FOLDER; LAB_PYODIDE_MIRROR=FOLDER",
    ),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host that writes no log."""

    def log_message(self, *told):
        pass


@pytest.fixture
def host(tmp_path, monkeypatch):
    """The site of one study, served as any static host does."""
    monkeypatch.setenv("UV", str(uv_without_imports(tmp_path)))
    _, address, _ = share_live(tmp_path / "site", REPORT)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "site")
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{address.removesuffix('index.html')}"
        server.shutdown()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    mirror, refused = Path(os.environ["LAB_PYODIDE_MIRROR"]), []

    def answer(route):
        url = route.request.url
        file = mirror / url.split("?")[0].rsplit("/", 1)[-1]
        if url.startswith(("http://127.0.0.1", "data:", "blob:")):
            route.continue_()
        elif url.startswith(HOSTS) and file.is_file():
            kind = TYPES.get(file.suffix, "application/octet-stream")
            route.fulfill(body=file.read_bytes(), headers={"access-control-allow-origin": "*", "content-type": kind})
        else:
            refused.append(url)
            route.abort()

    context.route("**/*", answer)
    yield context.new_page()
    context.close()
    assert refused == []


def test_sliders_move_the_verdict_in_the_browser(host, page):
    study = Study.load(REPORT / "study.json")
    said = page.locator(".lab-verdict strong")
    page.goto(host)
    said.wait_for(timeout=240_000)
    assert said.inner_text() == decide(study).sentence
    assert page.locator("svg.marks, canvas.marks").count() == 1, "the chart is drawn"
    assert page.get_by_text("clearly worse").count() >= 1

    def moved(label, key, times, settings, size=None):
        wanted = decide(study, settings, size).sentence
        assert said.inner_text() != wanted
        thumb = page.locator("marimo-slider", has_text=label).get_by_role("slider")
        thumb.focus()
        for _ in range(times):
            page.keyboard.press(key)
        page.get_by_text(wanted, exact=True).first.wait_for(timeout=30_000)

    sizes = study.sizes()
    moved("Labelled examples", "Home", 1, Settings(), sizes[0])
    moved("Margin", "End", 1, Settings(margin=0.2), sizes[0])
    assert f"size={sizes[0]}" in page.url and "margin=20" in page.url
    page.reload()
    page.get_by_text(decide(study, Settings(margin=0.2), sizes[0]).sentence, exact=True).wait_for(timeout=240_000)
