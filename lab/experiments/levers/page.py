"""A sweep as Markdown with two charts: the quality-forgetting frontier, and what each dose of a lever does.

``write_sweep(sweep, Path("reports/sweeps/triage"))`` gives the path of ``sweep.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from lab.experiments.levers.points import START, Setting, Sweep, frontier, measured
from lab.measure.forgetting import HEADLINE
from lab.report.charts.base import svg
from lab.report.looks import PALETTE
from lab.report.rendering import template


def point_rows(rows: Sequence[Setting]) -> list[dict[str, Any]]:
    """One row a setting, in percent and points."""
    best = {r.label for r in frontier(rows)}
    return [
        {
            "axis": r.axis.replace("_", " "),
            "value": "" if r.value is None else str(r.value),
            "setting": r.label,
            "right": 100 * r.right,
            "low": 100 * r.low,
            "high": 100 * r.high,
            "drop": 100 * r.lost.headline.drop,
            "drop_low": 100 * r.lost.headline.low,
            "drop_high": 100 * r.lost.headline.high,
            "loss": r.loss,
            "seeds": r.seeds,
            "nll": r.lost.likelihood.increase if r.lost.likelihood else None,
            "kl": r.lost.likelihood.kl if r.lost.likelihood else None,
            "frontier": r.label in best,
        }
        for r in rows
        if r.lost.headline
    ]


SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "triangle-left",
    "triangle-right",
    "stroke",
    "arrow",
)
"""Marks of levers: with more levers than colours, no two have both alike."""


def frontier_chart(rows: Sequence[dict[str, Any]]) -> alt.LayerChart:
    """Quality against forgetting: up is better, left forgets less;
    the line joins the settings that no other beats in both."""
    axes = [a for a in dict.fromkeys(r["axis"] for r in rows)]
    base = alt.Chart(alt.InlineData(values=list(rows)))
    x = alt.X("drop:Q", title="headline accuracy drop, points (positive is worse)")
    y = alt.Y(
        "right:Q",
        title="right on items that no training saw",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(labelExpr="datum.value + ' %'", tickCount=5),
    )
    colour = alt.Color(
        "axis:N",
        title=None,
        scale=alt.Scale(domain=axes, range=[PALETTE[n % len(PALETTE)] for n in range(len(axes))]),
        legend=alt.Legend(orient="bottom", columns=4, symbolOpacity=1),
    )
    marks = [SHAPES[n % len(SHAPES)] for n in range(len(axes))]
    shape = alt.Shape(
        "axis:N",
        title=None,
        scale=alt.Scale(domain=axes, range=marks),
        legend=alt.Legend(orient="bottom", columns=4, symbolOpacity=1),
    )
    return alt.layer(
        base.transform_filter("datum.frontier")
        .mark_line(color="#888888", strokeDash=[4, 3])
        .encode(x=x, y=y, order="drop:Q"),
        base.mark_rule(opacity=0.35).encode(x="drop_low:Q", x2="drop_high:Q", y=y, color=colour),
        base.mark_rule(opacity=0.35).encode(x=x, y="low:Q", y2="high:Q", color=colour),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            tooltip=["setting:N", alt.Tooltip("right:Q", format=".1f"), alt.Tooltip("drop:Q", format=".1f"), "seeds:Q"],
        ),
        base.mark_text(align="left", dx=8, dy=-7, fontSize=10).encode(x=x, y=y, text="setting:N", color=colour),
    ).properties(height=320, width="container")


def dose_rows(rows: Sequence[dict[str, Any]], axis: str) -> list[dict[str, Any]]:
    """A lever's settings in their order, the start among them where it says its value (replay 0 is no replay)."""
    named = axis.replace("_", " ")
    found = [r for r in rows if r["axis"] == named]
    start = (
        [r | {"value": "0"} for r in rows if r["axis"] == START and not any(f["value"] in ("0", "0.0") for f in found)]
        if axis in ("replay", "kl", "weight_decay", "wrong_labels")
        else []
    )
    return sorted(start + found, key=lambda r: float(r["value"]) if r["value"].replace(".", "", 1).isdigit() else 0)


def dose_chart(rows: Sequence[dict[str, Any]], title: str) -> alt.VConcatChart:
    """On top what is learned, below what is forgotten, by the dose of one lever."""
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        x=alt.X("value:N", sort=None, title=title, axis=alt.Axis(labelAngle=0))
    )

    def panel(field: str, low: str, high: str, says: str, colour: str, domain: list[float]) -> alt.LayerChart:
        scale = alt.Scale(domain=domain)
        return alt.layer(
            base.mark_rule(strokeWidth=2, color=colour, opacity=0.6).encode(
                y=alt.Y(f"{low}:Q", scale=scale, title=says), y2=f"{high}:Q"
            ),
            base.mark_line(color=colour).encode(y=alt.Y(f"{field}:Q", scale=scale)),
            base.mark_point(filled=True, size=70, color=colour).encode(y=f"{field}:Q"),
        ).properties(width=300, height=160)

    top = max([r["drop_high"] for r in rows] + [10])
    return alt.vconcat(
        panel("right", "low", "high", "right, %", PALETTE[0], [0, 100]),
        panel(
            "drop",
            "drop_low",
            "drop_high",
            "headline drop, points",
            PALETTE[1],
            [min([0.0, *(r["drop_low"] for r in rows)]), top],
        ),
    )


def write_sweep(found: Sweep, out: Path) -> Path:
    """sweep.md and frontier.svg beside sweep.json."""
    out.mkdir(parents=True, exist_ok=True)
    rows = point_rows(measured(found))
    (out / "frontier.svg").write_text(svg(frontier_chart(rows)) + "\n", encoding="utf-8")
    text = template("lab.experiments", "sweep.md").render(
        sweep=found,
        rows=rows,
        headline=HEADLINE,
        measured_on=next((p.items for p in found.points if p.items), 0),
    )
    path = out / "sweep.md"
    path.write_text(text, encoding="utf-8")
    return path
