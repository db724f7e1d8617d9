"""Share right by arm, with intervals: what a report begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import altair as alt

from lab.measure.evidence import ArmEvidence
from lab.report.charts.base import COLOUR, SHAPE, Looks, PageChart, Rows, data_of, percent


def arm_rows(arms: Sequence[ArmEvidence], looks: Looks, chosen: str = "") -> list[dict[str, Any]]:
    """One row an arm with all that is known of it, the best first; shares of right answers in percent.

    ``report/templates/rows.js`` makes the same rows on the page (tested).
    """
    ordered = sorted(arms, key=lambda a: -a.accuracy)
    return [
        asdict(a)
        | looks.of_arm(a.name)
        | {
            "arm": a.label + (" (chosen)" if a.label == chosen else ""),
            "order": n,
            "accuracy": 100 * a.accuracy,
            "low": 100 * a.low,
            "high": 100 * a.high,
            "content": None if a.content is None else 100 * a.content,
            "text": f"{100 * a.accuracy:.1f} %",
        }
        for n, a in enumerate(ordered)
    ]


def quality_chart(rows: Rows) -> alt.LayerChart:
    """Share right by arm with 95 % intervals, the best on top; a tick where the right content stands, whatever the
    form."""
    base = alt.Chart(data_of(rows)).encode(
        y=alt.Y("arm:N", sort=alt.EncodingSortField("order"), title=None, axis=alt.Axis(labelLimit=260))
    )
    return alt.layer(
        base.mark_rule(strokeWidth=3).encode(
            x=alt.X(**percent("low", "right answers, with 95 % intervals")), x2="high:Q", color=COLOUR
        ),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X(**percent("accuracy")), color=COLOUR, shape=SHAPE, tooltip=["arm:N", "text:N"]
        ),
        base.transform_filter("isValid(datum.content)")
        .mark_tick(thickness=2, size=14, opacity=0.8)
        .encode(x=alt.X(**percent("content")), color=COLOUR, tooltip=["arm:N", alt.Tooltip("content:Q", format=".1f")]),
        base.mark_text(align="left", dx=8, color="#8a8a8a").encode(x=alt.value("width"), text="text:N"),
    ).properties(
        height=alt.Step(30),
        width="container",
        padding={"left": 5, "right": 60, "top": 5, "bottom": 5},
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )


QUALITY = PageChart(
    "quality",
    "Quality by method",
    "",
    "Accuracy by method with 95 % intervals; the table below has the numbers",
    "arms",
    lambda rows, looks, sizes: quality_chart(rows),
    place="quality",
)
