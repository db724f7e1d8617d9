"""A static site from written reports: an index page and one folder a report, for any static host.

``share(Path("site"), [Path("reports/triage"), Path("reports/why")])``; pages of ``lab why`` and ``lab sweep`` join.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files import load, read_object
from lab.report.rendering import template
from lab.schema import LabError


@dataclass(frozen=True)
class Kind:
    """What a folder may hold."""

    pages: tuple[str, ...]
    """What the index links to, the main page first: a folder that has it is of this kind."""
    beside: tuple[str, ...]
    """Files that are copied with them."""
    record: str
    """Where task, model and date stand."""
    command: str
    """What writes the main page anew."""
    says: str = ""
    """What the index says of it; a report has its verdict."""


REPORT = Kind(
    ("report.html", "report.md", "decision.json"),
    ("quality.svg", "decision.schema.json"),
    "study.json",
    "lab report",
)
WHY = Kind(("why_cheap.html",), (), "why.json", "lab why", "Why is fine-tuning so cheap? The ledger of one task.")
SWEEP = Kind(
    ("sweep.md", "frontier.svg"), (), "sweep.json", "lab sweep", "Levers of a training: what is learned and forgotten."
)
KINDS = (REPORT, WHY, SWEEP)


@dataclass(frozen=True)
class Entry:
    """One line of the index."""

    name: str
    """The folder's, in the site as well."""
    verdict: str
    """``taken``, ``provisional``, ``undecided`` or ``none taken``; empty for what decides nothing."""
    sentence: str
    task: str
    model: str
    date: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Pages that somebody else wrote into the site, which the index names below the reports."""

    heading: str
    folder: str
    """Within the site; no report may have this name."""
    says: str
    links: list[tuple[str, str, str]]
    """(title, address within the site, what it is)."""


def at_hand(tops: Sequence[Path]) -> list[Path]:
    """Folders right below these that hold something to share."""
    return [p for top in tops if top.is_dir() for p in sorted(top.iterdir()) if any(_is(k, p) for k in KINDS)]


def share(out: Path, folders: list[Path], beside: Sequence[Section] = ()) -> list[Entry]:
    """Write the site and return what its index lists, the sections ``beside`` left out;
    raises LabError where a folder holds no report or two have one name."""
    if not folders:
        raise LabError(
            "lab share: no report found under reports/ and lab-reports/; make one with lab decide, or name its folder"
        )
    listed: list[Entry] = []
    for folder in folders:
        name = folder.resolve().name
        kind = next((k for k in KINDS if _is(k, folder)), None)
        if kind is None:
            raise LabError(f"{folder}: no report in it; write one with: lab report {folder}")
        if name in {entry.name for entry in listed} | {section.folder for section in beside}:
            raise LabError(f"{folder}: another report is called {name} too; rename one of the folders")
        listed.append(_entry(name, folder, kind))
        (out / name).mkdir(parents=True, exist_ok=True)
        for file in (*kind.pages, *kind.beside):
            if (folder / file).exists():
                shutil.copyfile(folder / file, out / name / file)
    page = template("lab.report", "site.html").render(listed=listed, beside=beside)
    (out / "index.html").write_text(page, encoding="utf-8")
    return listed


def _is(kind: Kind, folder: Path) -> bool:
    return (folder / kind.pages[0]).is_file() and (kind is not REPORT or (folder / "decision.json").is_file())


def _entry(name: str, folder: Path, kind: Kind) -> Entry:
    verdict, sentence = "", kind.says
    if kind is REPORT:
        verdict, sentence = load(folder / "decision.json", _verdict, "decision", f"lab report {folder}")
    record = read_object(folder / kind.record) if (folder / kind.record).exists() else {}
    task, model, made = (_part(record, key) for key in ("task", "model", "made"))
    date = str(made.get("finished") or made.get("date") or "")[:10]
    pages = tuple(p for p in kind.pages if (folder / p).exists())
    return Entry(name, verdict, sentence, str(task.get("name", "")), str(model.get("name", "")), date, pages)


def _part(record: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of a record; empty where there is none: the index then says less."""
    part = record.get(key)
    return part if isinstance(part, dict) else {}


def _verdict(decision: dict[str, Any]) -> tuple[str, str]:
    """(chip, sentence) of a written decision; raises ValueError for what is none."""
    sentence = decision["sentence"]
    if not isinstance(sentence, str):
        raise ValueError("its sentence is no text")
    if decision.get("provisional"):
        return "provisional", sentence
    if decision.get("chosen"):
        return "taken", sentence
    return ("undecided" if sentence.startswith("Undecided") else "none taken"), sentence
