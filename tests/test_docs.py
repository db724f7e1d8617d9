"""The documentation site: every link is checked, the commands stand there with all options, no network is needed."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from lab.cli import app

pytest.importorskip("mkdocs")
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "use": "href"}
"""What a browser fetches when it opens a page, by tag."""
ELSEWHERE = re.compile(r"^\s*(https?:)?//")
IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//")


class Fetched(HTMLParser):
    """What a page loads from another host."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_style = tag == "style"
        address = given.get(LOADED.get(tag, ""), "") or ""
        if ELSEWHERE.match(address) or IN_STYLE.search(given.get("style") or ""):
            self.found.append(self.get_starttag_text())

    def handle_data(self, data: str) -> None:
        if self._in_style and IN_STYLE.search(data):
            self.found.append(IN_STYLE.search(data)[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Built as make docs does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def commands_of(command, path: str = "lab"):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from commands_of(below, f"{path} {name}")


def test_every_command_and_option_stands_in_the_reference(site):
    page = html.unescape(re.sub(r"<[^>]+>", "", (site / "commands/index.html").read_text(encoding="utf-8")))
    everything = dict(commands_of(typer.main.get_command(app)))
    for path in everything:
        assert f"{path} [OPTIONS]" in page, path
    decide = page[page.index("lab decide [OPTIONS]") :]
    decide = decide[: decide.index(" [OPTIONS]", 20)]
    for parameter in everything["lab decide"].params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            assert parameter.hidden or re.search(rf"{re.escape(flag)}(?![\w-])", decide), flag
            assert not parameter.hidden or flag not in decide


def test_the_site_asks_no_other_host(site):
    for page in site.rglob("*.html"):
        assert not Fetched(page.read_text(encoding="utf-8")).found, page
    for style in site.rglob("*.css"):
        assert not IN_STYLE.search(style.read_text(encoding="utf-8")), style


def test_every_public_name_stands_in_the_python_page(site):
    page = (site / "api/index.html").read_text(encoding="utf-8")
    for name in pytest.importorskip("lab.api").__all__:
        assert f'id="lab.api.{name}"' in page, name


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<img alt="" src="http://example/a.png">',
        "<style>@font-face {src: url('https://fonts.example/a.woff2')}</style>",
        '<p style="background: url(//example/a.png)">',
    ],
)
def test_what_another_host_is_asked_for_is_seen(loads):
    assert Fetched(loads).found
    assert not Fetched('<a href="https://example/">a</a><script>"<img src=https://example/>"</script>').found


def test_every_committed_report_can_be_read(site):
    for name in ("report.html", "why_cheap.html"):
        for path in (ROOT / "reports").rglob(name):
            assert (site / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    listed = (site / "reports/index.html").read_text(encoding="utf-8")
    for path in (ROOT / "reports").rglob("report.html"):
        assert f"{path.parent.relative_to(ROOT / 'reports')}/report.html" in listed


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere_in_the_repository_too(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path = unquote(target.partition("#")[0])
        if path and not re.match(r"[a-z]+:", path):
            assert (page.parent / path).exists(), target


def test_a_broken_link_ends_the_build(tmp_path, caplog):
    """By the site's own settings of what is checked."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# A\n\n[nowhere](nothing.md) and [no place](#missing)\n")
    own = {"docs_dir": str(tmp_path / "docs"), "site_dir": str(tmp_path / "site")}
    config = load_config(str(ROOT / "mkdocs.yml"), **own, nav=["index.md"], hooks=[], plugins=[], theme="mkdocs")
    with pytest.raises(Abort, match="2 warnings"):
        build(config)
    assert "'nothing.md'" in caplog.text and "'#missing'" in caplog.text
