"""A Study and a Decision as one live HTML file (no network), Markdown and JSON.

``write_report(study, Settings(), Path("reports/triage"), items=disagreements(study, store, task))``
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lab.decision import RULE, Decision, Settings, verdict
from lab.measure.evidence import evidence
from lab.measure.forgetting import HEADLINE
from lab.measure.plainly import WORDS, arms_in_words
from lab.measure.winning import gains, in_words
from lab.report import tables
from lab.report.charts.base import compiled, page_charts, require_fields, svg
from lab.report.charts.drops import drop_chart, drop_rows
from lab.report.charts.lines import line_rows, volumes_shown
from lab.report.charts.quality import forgets, quality_chart
from lab.report.charts.sizes import size_rows
from lab.report.looks import Looks
from lab.report.rendering import script_hashes, template
from lab.report.rows import arm_rows
from lab.report.words import how_answered
from lab.study import Study

SCHEMA_FILE = "decision.schema.json"
SCRIPTS = ("verdict.js", "rows.js", "words.js", "page.js")
"""Of the page, in the order in which they need each other."""


def view_of(study: Study, decision: Decision) -> dict[str, Any]:
    """Everything that the templates show, as plain values."""
    lost, found = tables.lost_of(study), gains(study)
    first = (
        decision.chosen or decision.leader or next((s.label for s in decision.standings if s.difference is None), "")
    )
    return {
        "standings": list(zip(decision.arms, decision.standings)),
        "gains": found,
        "arms_in_words": arms_in_words(study),
        "words": WORDS,
        "won": {"label": first, "words": words} if (words := in_words(found, first)) else None,
        "rival": next((a.label for a in decision.arms if a.label != first), ""),
        "study": study,
        "decision": decision,
        "answered": how_answered(study.settings),
        "sizes": study.sizes(),
        "ranks": tables.ranks_of(study),
        "parts": tables.parts_of(decision),
        "part_names": tables.PART_NAMES,
        "controls": tables.controls_table(study),
        "grid": tables.grid_table(study),
        "choices": tables.choices_table(study),
        "candidates": tables.candidates_tried(study),
        "volumes": tables.volumes(decision.settings),
        "margins": tables.margins(decision.settings),
        "outcomes": {"c": "correct", "w": "wrong", "m": "malformed", "t": "truncated", "r": "refused", "e": "error"},
        "cost": tables.cost_table(decision),
        "even": tables.even_table(decision),
        "lost": lost,
        "headline": HEADLINE,
        "plan_seconds": tables.plan_seconds(study),
        "forecasts": tables.forecast_table(study, decision.settings.price_per_hour_usd),
        "drops": _inline(svg(drop_chart(drop_rows(lost, Looks.of(study))))) if lost else "",
        "charts": [c for c in page_charts() if c.fits(study)],
        "recalls": any(a.recall for a in decision.arms),
        "seconds_machines": sorted({c.machine for c in study.cells if c.machine}),
    }


def page_data(study: Study, decision: Decision, items: dict[str, Any] | None) -> dict[str, Any]:
    """All numbers that the page's controls choose among: the evidence at every size and rank, rows and specs of the
    charts. Raises ValueError where a chart would come out empty."""
    sizes, ranks, looks = study.sizes(), [None], Looks.of(study)
    if len(tables.ranks_of(study)) > 1:
        ranks += tables.ranks_of(study)
    size_rows_by_rank = [{"rank": rank, "rows": size_rows(study, looks, rank)} for rank in ranks]
    requests = decision.settings.monthly_requests
    rows = {
        "arms": arm_rows(decision.arms, looks, decision.chosen),
        "lines": line_rows(decision.arms, looks, decision.settings, requests),
        "sizes": size_rows_by_rank[0]["rows"],
    }
    charts = {}
    for chart in page_charts():
        if chart.fits(study):
            drawn = chart.draw(chart.data, looks, tuple(sizes))
            spec = drawn.to_dict()
            require_fields(chart, spec, rows.get(chart.data, ()))
            charts[chart.name] = {"data": chart.data, "spec": compiled(drawn) if "hconcat" in spec else spec}
    return {
        "rule": RULE,
        "scenes": [evidence(study, size, rank).as_json() for size in sizes or [None] for rank in ranks],
        "sizes": sizes,
        "ranks": ranks,
        "volumes": tables.volumes(decision.settings),
        "margins": tables.margins(decision.settings),
        "parts": tables.parts_of(decision),
        "recalls": any(a.recall for a in decision.arms),
        "looks": {name: looks.of_arm(name) for name in looks.names},
        "size_rows": size_rows_by_rank,
        "settings": asdict(decision.settings),
        "line_volumes": volumes_shown(100),
        "charts": charts,
        "items": items,
        "command": study.settings.get("command", ""),
        "title": study.task["name"],
    }


def picture(study: Study, decision: Decision) -> str:
    """The chart of quality, cost and forgetting as SVG."""
    return svg(quality_chart(arm_rows(decision.arms, Looks.of(study), decision.chosen), forgets(study)))


def _inline(drawing: str) -> Markup:
    """An SVG within a place that says what there is to see."""
    return Markup(drawing.replace("<svg ", '<svg aria-hidden="true" ', 1))


def page(study: Study, settings: Settings, items: dict[str, Any] | None = None) -> str:
    """The report as one HTML file; without ``items`` no text of the task is in it."""
    decision = verdict(evidence(study), settings)
    data = json.dumps(page_data(study, decision, items), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    scripts = [Markup(text) for text in (vega_bundle(), *map(script, SCRIPTS))]
    return template("lab.report", "report.html").render(
        view_of(study, decision)
        | {
            "data": Markup(data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")),
            "scripts": scripts,
            "hashes": script_hashes(scripts),
            "items": items,
            "picture": _inline(picture(study, decision)),
        }
    )


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that can stand inside a page."""
    import vl_convert

    return vl_convert.javascript_bundle().replace("</script", "<\\/script").replace("\r", "")


def script(name: str) -> str:
    """A file of the templates, as it is."""
    return files("lab.report").joinpath("templates", name).read_text(encoding="utf-8")


def write_report(study: Study, settings: Settings, out: Path, items: dict[str, Any] | None = None) -> dict[str, Path]:
    """Write report.html, report.md with its chart quality.svg, and decision.json with its schema; the paths by kind."""
    out.mkdir(parents=True, exist_ok=True)
    decision = verdict(evidence(study), settings)
    paths = {
        "html": out / "report.html",
        "markdown": out / "report.md",
        "json": out / "decision.json",
        "chart": out / "quality.svg",
        "schema": out / SCHEMA_FILE,
    }
    paths["chart"].write_text(picture(study, decision) + "\n", encoding="utf-8")
    paths["html"].write_text(page(study, settings, items), encoding="utf-8")
    paths["markdown"].write_text(template("lab.report", "report.md").render(view_of(study, decision)), encoding="utf-8")
    paths["json"].write_text(
        json.dumps({"$schema": SCHEMA_FILE} | decision.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    paths["schema"].write_text(script(SCHEMA_FILE), encoding="utf-8")
    return paths
