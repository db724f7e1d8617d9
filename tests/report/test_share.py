"""The site of ``lab share``: what its index says of every folder, by hand, and that each link leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from lab.report.share import at_hand, share
from lab.schema import LabError

REPORTS = Path(__file__).resolve().parents[2] / "reports"


def report(folder, **decision):
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "decision.json").write_text(json.dumps({"chosen": "", "provisional": False, "sentence": "-"} | decision))


def lines_of(site):
    """The index's entries as text, one string each."""
    index = (site / "index.html").read_text()
    items = re.findall(r"<li>(.*?)</li>", index, re.S)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", item)).split()) for item in items]


def test_every_verdict_has_its_chip(tmp_path):
    report(tmp_path / "a", chosen="rag", sentence="Take rag: right on 90.0 %.")
    report(tmp_path / "b", sentence="Undecided between rag and lora.")
    report(tmp_path / "c", provisional=True, leader="rag", sentence="rag leads, with one seed.")
    report(tmp_path / "d", sentence="None of the arms does this task.")
    made = {"date": "2026-11-25T21:31:41+00:00", "finished": "2026-11-26T22:06:45+00:00"}
    study = {"task": {"name": "tickets <b>"}, "model": {"name": "nano"}, "made": made}
    (tmp_path / "a" / "study.json").write_text(json.dumps(study))
    listed = share(tmp_path / "site", [tmp_path / name for name in "abcd"])
    assert [e.verdict for e in listed] == ["taken", "undecided", "provisional", "none taken"]
    assert lines_of(tmp_path / "site") == [
        "a taken Take rag: right on 90.0 %. tickets <b> with nano, 2026-11-26 · report.html · decision.json",
        "b undecided Undecided between rag and lora. report.html · decision.json",
        "c provisional rag leads, with one seed. report.html · decision.json",
        "d none taken None of the arms does this task. report.html · decision.json",
    ]
    assert not list((tmp_path / "site").rglob("study.json")), "a study stays at home"


def test_ledgers_and_sweeps_join_and_every_link_leads_somewhere(tmp_path):
    for name in ("handbook", "why", "levers"):
        shutil.copytree(REPORTS / name, tmp_path / "reports" / name, ignore=shutil.ignore_patterns("results"))
    (tmp_path / "reports" / "benchmarks").mkdir()
    found = at_hand([tmp_path / "reports", tmp_path / "lab-reports"])
    assert [p.name for p in found] == ["handbook", "levers", "why"]
    listed = {e.name: e for e in share(tmp_path / "site", found)}
    assert (listed["why"].verdict, listed["why"].task, listed["why"].date) == ("", "triage", "2026-11-26")
    assert listed["levers"].pages == ("sweep.md", "frontier.svg") and listed["why"].pages == ("why_cheap.html",)
    assert (listed["handbook"].task, listed["handbook"].model) == ("handbook", "nano")
    links = re.findall(r'href="([^"]+)"', (tmp_path / "site" / "index.html").read_text())
    assert len(links) == 3 + 3 + 1 + 2 and all((tmp_path / "site" / unquote(link)).is_file() for link in links)


def test_a_folder_without_a_page_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError, match="no report in it; write one with: lab report"):
        share(tmp_path / "site", [tmp_path / "empty"])
    with pytest.raises(LabError, match="make one with lab decide"):
        share(tmp_path / "site", at_hand([tmp_path / "reports"]))
