"""Notebooks as HTML files: what each holds, and which are left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.live import snapshots
from lab.live.pages import PAGES, SERVED, Page, notebook_file, page_named

REPORTS = Path(__file__).resolve().parents[2] / "reports"
MADE = """
import marimo
app = marimo.App()
@app.cell
def _():
    import marimo as mo
    {first}
    return (mo,)
@app.cell
def _():
    {second}
    return
"""


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """At work in a folder with one study of one's own; nothing in the store."""
    record = json.loads((REPORTS / "reply" / "study.json").read_text())
    record["made"]["machine"]["name"] = "a machine of mine"
    (tmp_path / "lab-reports" / "mine").mkdir(parents=True)
    (tmp_path / "lab-reports" / "mine" / "study.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))


def test_two_pages_hold_their_headings_one_s_own_study_and_no_links(own_study, tmp_path, monkeypatch):
    monkeypatch.setenv(SERVED, "1")
    told = []
    written = snapshots.snapshots(tmp_path / "site", [page_named("start"), page_named("decide")], told.append)
    assert [(title, address) for title, address, _ in written] == [
        ("Start", "notebooks/start.html"),
        ("Decide", "notebooks/decide.html"),
    ]
    assert told == []
    start, decide = (tmp_path / "site" / address for _, address, _ in written)
    assert snapshots.heading_of(start, notebook_file(page_named("start"))) == "Decision lab"
    assert snapshots.heading_of(decide, notebook_file(page_named("decide"))).startswith("Which method")
    assert "lab-verdict" in decide.read_text() and "vnd.vega" in decide.read_text()
    assert "a machine of mine" in decide.read_text()
    for page in (start, decide):
        assert 'aria-label=\\"Pages' not in page.read_text(), "a page that stands alone links to no other"
        assert "import marimo" not in page.read_text(), "no code"


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ('mo.md("# Shown")', "1 / 0", "division by zero"),
        ("", "", "shows no heading"),
    ],
)
def test_a_page_with_an_error_or_without_content_is_told_and_left_out(first, second, why, tmp_path, monkeypatch):
    made = tmp_path / "made.py"
    made.write_text(MADE.format(first=first, second=second))
    monkeypatch.setattr(snapshots, "notebook_file", lambda page: made)
    told = []
    assert snapshots.snapshots(tmp_path / "site", [Page("made", "Made", "")], told.append) == []
    assert re.match(rf"(?s)Made: left out \(.*{why}", told[0])
    assert not list((tmp_path / "site" / "notebooks").iterdir())


@pytest.mark.slow
def test_share_writes_every_notebook_and_links_it(run):
    status, out, err = run("share", "site", REPORTS / "triage", "--notebooks", "--json")
    assert status == 0, err
    assert json.loads(out)["notebooks"] == [f"notebooks/{page.name}.html" for page in PAGES]
    index = Path("site/index.html").read_text()
    assert all(f'href="notebooks/{page.name}.html"' in index for page in PAGES) and "CDN" in index
