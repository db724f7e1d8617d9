"""A static site from written reports: an index page and one folder a report, for any static host.

``share(Path("site"), [Path("reports/triage")])``
"""

from __future__ import annotations

import shutil
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab.files import load
from lab.schema import LabError

FILES = ("report.html", "report.md", "quality.svg", "decision.json", "decision.schema.json")


def share(out: Path, folders: list[Path]) -> list[dict[str, str]]:
    """Write the site and return what its index lists;
    raises LabError where a folder holds no report or two have one name."""
    if not folders:
        raise LabError(
            "lab share: no report found under reports/ and lab-reports/; make one with lab decide, or name its folder"
        )
    listed = []
    for folder in folders:
        if not (folder / "report.html").exists() or not (folder / "decision.json").exists():
            raise LabError(f"{folder}: no report in it; write one with: lab report {folder}")
        if folder.resolve().name in {entry["name"] for entry in listed}:
            raise LabError(f"{folder}: another report is called {folder.resolve().name} too; rename one of the folders")
        sentence = load(folder / "decision.json", _sentence, "decision", f"lab report {folder}")
        listed.append({"name": folder.resolve().name, "sentence": sentence})
        (out / folder.resolve().name).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (folder / name).exists():
                shutil.copyfile(folder / name, out / folder.resolve().name / name)
    environment = Environment(loader=PackageLoader("lab.report"), autoescape=True, undefined=StrictUndefined)
    (out / "index.html").write_text(environment.get_template("site.html").render(listed=listed), encoding="utf-8")
    return listed


def _sentence(decision: dict[str, object]) -> str:
    """The verdict of a written decision; raises ValueError for what is none."""
    if not isinstance(decision["sentence"], str):
        raise ValueError("its sentence is no text")
    return decision["sentence"]
