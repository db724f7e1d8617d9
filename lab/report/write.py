"""A Study and a Decision as HTML (one file, no network, no script), Markdown and JSON.

``write_report(study, decision, Path("reports/triage"))``
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab.decide import Decision
from lab.measure.arms import arm_of, arms_at
from lab.report.charts import quality_dots, size_lines
from lab.study import Study

PART_NAMES = {"format": "format holds", "content": "content right", "f1": "token F1"}


def _environment(html: bool) -> Environment:
    environment = Environment(loader=PackageLoader("lab.report"), autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda share: "" if share is None else f"{100 * share:.1f} %"
    environment.filters["points"] = lambda share: f"{100 * share:+.1f}"
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return environment


def view_of(study: Study, decision: Decision) -> dict[str, Any]:
    """Everything that the templates show, as plain values."""
    parts = list(dict.fromkeys(p for a in decision.arms for p in a.parts))
    return {
        "study": study, "decision": decision, "dots": quality_dots(decision.arms, decision.chosen), "lines": size_lines(study), "sizes": study.sizes(),
        "parts": parts, "part_names": PART_NAMES, "controls": controls_table(study), "grid": grid_table(study), "choices": choices_table(study),
        "outcomes": {"c": "correct", "w": "wrong", "m": "malformed", "t": "truncated", "r": "refused", "e": "error"},
        "alone": False, "recalls": any(a.recall for a in decision.arms), "seconds_machines": sorted({c.machine for c in study.cells if c.machine}),
    }


def controls_table(study: Study) -> list[dict[str, Any]]:
    """Each passage arm with retrieved, gold and random passages, at the largest size."""
    rows = []
    size = study.sizes()[-1] if study.sizes() else None
    for arm in arms_at(study):
        with_controls = {c: arm_of(study, arm.name, size, arm.rank, c) for c in ("oracle", "random")}
        if any(with_controls.values()):
            rows.append({"label": arm.label, "retrieved": arm.accuracy, "recall": arm.recall(), "oracle": getattr(with_controls["oracle"], "accuracy", None),
                         "random": getattr(with_controls["random"], "accuracy", None)})
    return rows


def grid_table(study: Study) -> list[dict[str, Any]]:
    """Every cell group that was run: method, rank, size, mean accuracy over its seeds."""
    rows = []
    for name in study.arms():
        for rank in study.ranks(name) or [None]:
            sizes = sorted({c.size for c in study.cells if c.method == name and c.size is not None}) or [None]
            for size in sizes:
                arm = arm_of(study, name, size, rank)
                if arm:
                    low, high = arm.interval
                    rows.append({"label": arm.label, "size": size, "seeds": len(arm.cells), "accuracy": arm.accuracy, "low": low, "high": high,
                                 "training_seconds": arm.usage("training_seconds"), "validation": arm.cells[0].validation})
    return rows


def choices_table(study: Study) -> list[dict[str, Any]]:
    """What validation chose for each arm, from what, with how many looks."""
    rows = []
    for choice in study.choices:
        trial = choice["trials"][choice["chosen"]]
        settings = {k: v for family in ("context", "weights") for k, v in trial["settings"][family].items() if k not in ("name", "version")}
        words = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items()) or "defaults"
        rows.append({"method": choice["method"], "size": choice["size"], "rank": choice["rank"], "chosen": words, "accuracy": trial["accuracy"], "items": choice["validation_items"],
                     "looks": choice["looks"], "trials": len(choice["trials"]), "edge": ", ".join(choice["at_edge"]), "rising": choice["still_rising"]})
    return rows


def write_report(study: Study, decision: Decision, out: Path) -> dict[str, Path]:
    """Write report.html, report.md with its chart quality.svg, and decision.json; the paths by kind."""
    out.mkdir(parents=True, exist_ok=True)
    view = view_of(study, decision)
    paths = {"html": out / "report.html", "markdown": out / "report.md", "json": out / "decision.json"}
    paths["chart"] = out / "quality.svg"
    paths["chart"].write_text(_environment(True).get_template("quality.svg").render(view | {"alone": True}).strip() + "\n", encoding="utf-8")
    paths["html"].write_text(_environment(True).get_template("report.html").render(view), encoding="utf-8")
    paths["markdown"].write_text(_environment(False).get_template("report.md").render(view), encoding="utf-8")
    paths["json"].write_text(json.dumps(decision.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return paths
