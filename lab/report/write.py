"""A Study and a Decision as one live HTML file (no network), Markdown and JSON.

``write_report(study, Settings(), Path("reports/triage"), items=disagreements(study, store, task))``
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lab.decide import Decision, Settings, verdict
from lab.measure.arms import arm_of, arms_at
from lab.measure.cost import break_even, request_usd
from lab.measure.evidence import evidence
from lab.measure.forgetting import HEADLINE, Forgotten, forgotten
from lab.report.charts import (
    arm_rows,
    colour_of,
    cost_chart,
    drop_chart,
    drop_rows,
    lines_chart,
    mark_of,
    quality_chart,
    size_chart,
    size_rows,
    svg,
    volumes_shown,
)
from lab.study import Study

PART_NAMES = {"format": "format holds", "content": "content right", "f1": "token F1"}
SCHEMA_FILE = "decision.schema.json"


def _environment(html: bool) -> Environment:
    environment = Environment(loader=PackageLoader("lab.report"), autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda share: "" if share is None else f"{100 * share:.1f} %"
    environment.filters["volume"] = lambda number: "no end" if number == math.inf else f"{number:,.0f}"
    environment.filters["usd"] = lambda number: "" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    environment.filters["points"] = lambda share: f"{100 * share:+.1f}"
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return environment


def view_of(study: Study, decision: Decision) -> dict[str, Any]:
    """Everything that the templates show, as plain values."""
    return {
        "study": study, "decision": decision, "sizes": study.sizes(), "ranks": ranks_of(study), "parts": parts_of(decision), "part_names": PART_NAMES,
        "controls": controls_table(study), "grid": grid_table(study), "choices": choices_table(study),
        "volumes": volumes(decision.settings), "margins": margins(decision.settings),
        "outcomes": {"c": "correct", "w": "wrong", "m": "malformed", "t": "truncated", "r": "refused", "e": "error"},
        "cost": cost_table(decision), "even": even_table(decision), "lost": lost_of(study), "headline": HEADLINE, "plan_seconds": plan_seconds(study),
        "forecasts": forecast_table(study, decision.settings.price_per_hour_usd),
        "drops": Markup(svg(drop_chart(drop_rows(lost_of(study))))) if lost_of(study) else "",
        "recalls": any(a.recall for a in decision.arms), "seconds_machines": sorted({c.machine for c in study.cells if c.machine}),
    }


def ranks_of(study: Study) -> list[int]:
    """Every rank that an arm was run with."""
    return sorted({r for name in study.arms() for r in study.ranks(name)})


def volumes(settings: Settings) -> list[int]:
    """Monthly requests that the slider offers: 1, 2 and 5 times the powers of ten, and the user's own."""
    return sorted({m * 10**e for e in range(2, 7) for m in (1, 2, 5)} | {10**7, settings.monthly_requests})


def margins(settings: Settings) -> list[float]:
    """Margins that the slider offers: half points up to 20, and the user's own."""
    return sorted({n / 200 for n in range(1, 41)} | {settings.margin})


def parts_of(decision: Decision) -> list[str]:
    """Names of the partial scores that any arm has."""
    return list(dict.fromkeys(p for a in decision.arms for p in a.parts))


def page_data(study: Study, decision: Decision, items: dict[str, Any] | None) -> dict[str, Any]:
    """All numbers that the page's controls choose among: the evidence at every size and rank, rows and specs of the charts."""
    sizes, ranks = study.sizes(), [None, *ranks_of(study)] if len(ranks_of(study)) > 1 else [None]
    names = study.arms()
    charts = {"quality": quality_chart("arms"), "cost": cost_chart("arms"), "lines": lines_chart("lines")} | ({"sizes": size_chart("sizes", names, sizes)} if len(sizes) > 1 else {})
    return {
        "scenes": [evidence(study, size, rank).as_json() for size in sizes or [None] for rank in ranks], "sizes": sizes, "ranks": ranks, "volumes": volumes(decision.settings), "margins": margins(decision.settings), "parts": parts_of(decision),
        "recalls": any(a.recall for a in decision.arms), "colours": {n: colour_of(n) for n in names}, "marks": {n: mark_of(n) for n in names},
        "size_rows": [{"rank": rank, "rows": size_rows(study, rank)} for rank in ranks] if len(sizes) > 1 else [],
        "settings": asdict(decision.settings), "line_volumes": volumes_shown(100), "charts": {name: chart.to_dict() for name, chart in charts.items()}, "items": items}


def cost_table(decision: Decision) -> list[dict[str, Any]]:
    """What each arm costs at the settings, people apart."""
    requests = decision.settings.monthly_requests
    return [{"label": a.label, "making": a.making_usd, "updates": a.updates_usd, "thousand": 1000 * request_usd(a.used, decision.settings), "monthly": a.monthly_usd,
             "correct": a.monthly_usd / (requests * a.accuracy) if requests and a.accuracy else None, "people": a.people_usd, "latency": a.latency_seconds, "p95": a.latency_p95_seconds,
             "side": a.side_latency_seconds, "training_peak": a.training_peak_bytes, "peak": a.peak_bytes, "parameters": a.trained_parameters} for a in decision.arms]


def even_table(decision: Decision) -> list[dict[str, Any]]:
    """Break-even volume of every pair of arms."""
    rows = []
    for first, second in combinations(decision.arms, 2):
        found = break_even((first.label, first.used), (second.label, second.used), decision.settings)
        rows.append({"pair": f"{first.label} and {second.label}", "volume": found.volume, "low": found.low, "high": found.high, "cheaper": found.cheaper_above})
    return rows


def lost_of(study: Study) -> list[Forgotten]:
    """What every probed arm forgot, at each rank and size."""
    names = list(dict.fromkeys(p.method for p in study.probed if p.method))
    arms = sorted({(names.index(p.method), p.rank or 0, p.size or 0) for p in study.probed if p.method})
    found = (forgotten(study, names[place], size or None, rank or None) for place, rank, size in arms)
    return [f for f in found if f]


def plan_seconds(study: Study) -> dict[str, float] | None:
    """Forecast of the whole run beside what its cells took, where it measured everything itself."""
    forecast, measured = study.plan.get("forecast_seconds"), study.made.get("seconds")
    return {"forecast": forecast, "measured": measured} if forecast and measured else None


def forecast_table(study: Study, price_per_hour_usd: float) -> list[dict[str, Any]]:
    """Of each arm that this run measured itself: seconds and dollars as forecast beside the measured ones, its search and its cells; what came from the store takes no time in either."""
    rows = []
    for name, forecast in study.plan.get("forecast", {}).items():
        measured = [m for m in study.plan["measured"].values() if m["method"] == name]
        seconds, taken = forecast["search"] + sum(forecast["cells"].values()), sum(m["search"] + m["cell"] for m in measured)
        if seconds > 0 and len(measured) == len(forecast["cells"]):
            rows.append({"arm": name, "cells": len(measured), "forecast": seconds, "measured": taken, "off": seconds / taken - 1, "forecast_usd": seconds * price_per_hour_usd / 3600,
                         "measured_usd": taken * price_per_hour_usd / 3600, "peak_bytes": forecast["peak_bytes"],
                         "measured_bytes": max((c.usage.get("training_peak_bytes") or c.usage.get("peak_bytes", 0.0) for c in study.cells if c.method == name and not c.control), default=0.0)})
    return rows


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


def page(study: Study, settings: Settings, items: dict[str, Any] | None = None) -> str:
    """The report as one HTML file; without ``items`` no text of the task is in it."""
    decision = verdict(evidence(study), settings)
    data = json.dumps(page_data(study, decision, items), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    scripts = [Markup(text) for text in (vega_bundle(), _script("verdict.js"), _script("page.js"))]
    return _environment(True).get_template("report.html").render(view_of(study, decision) | {
        "data": Markup(data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")), "scripts": scripts,
        "hashes": Markup(" ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)), "items": items,
        "picture": Markup(svg(quality_chart(arm_rows(decision.arms, decision.chosen))))})


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that can stand inside a page."""
    import vl_convert

    return vl_convert.javascript_bundle().replace("</script", "<\\/script").replace("\r", "")


def _script(name: str) -> str:
    return files("lab.report").joinpath("templates", name).read_text(encoding="utf-8")


def write_report(study: Study, settings: Settings, out: Path, items: dict[str, Any] | None = None) -> dict[str, Path]:
    """Write report.html, report.md with its chart quality.svg, and decision.json with its schema; the paths by kind."""
    out.mkdir(parents=True, exist_ok=True)
    decision = verdict(evidence(study), settings)
    paths = {"html": out / "report.html", "markdown": out / "report.md", "json": out / "decision.json", "chart": out / "quality.svg", "schema": out / SCHEMA_FILE}
    paths["chart"].write_text(svg(quality_chart(arm_rows(decision.arms, decision.chosen))) + "\n", encoding="utf-8")
    paths["html"].write_text(page(study, settings, items), encoding="utf-8")
    paths["markdown"].write_text(_environment(False).get_template("report.md").render(view_of(study, decision)), encoding="utf-8")
    paths["json"].write_text(json.dumps({"$schema": SCHEMA_FILE} | asdict(decision), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    paths["schema"].write_text(_script(SCHEMA_FILE), encoding="utf-8")
    return paths
