"""Dollars a month by volume: where do two arms cost the same?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.decision import Settings
from lab.measure.cost import monthly_usd
from lab.measure.evidence import ArmEvidence
from lab.report.charts.base import COLOUR, SHAPE, PageChart, Rows, data_of
from lab.report.looks import Looks


def volumes_shown(requests: int) -> list[float]:
    """Monthly volumes at which cost lines are drawn: four a decade from 100 to ten million, and the user's own."""
    return sorted({10 ** (n / 4) for n in range(8, 29)} | {float(max(1, requests))})


def line_rows(arms: Sequence[ArmEvidence], looks: Looks, settings: Settings, requests: int) -> list[dict[str, Any]]:
    """Dollars a month of every arm by volume; ``report/templates/rows.js`` makes the same rows on the page (tested)."""
    return [
        looks.of_arm(a.name)
        | {
            "arm": a.label,
            "requests": volume,
            "usd": monthly_usd(a.used, settings.prices_of(a), volume).total,
            "own": volume == requests,
        }
        for a in arms
        for volume in volumes_shown(requests)
    ]


def lines_chart(rows: Rows) -> alt.LayerChart:
    """Dollars a month by monthly volume, both logarithmic: where lines cross two arms cost the same;
    dots mark the user's own volume."""
    base = alt.Chart(data_of(rows)).transform_filter("datum.usd > 0")
    x = alt.X(
        "requests:Q",
        scale=alt.Scale(type="log", domain=[100, 1e7], clamp=True),
        title="requests a month (logarithmic)",
        axis=alt.Axis(format="~s", tickCount=6),
    )
    y = alt.Y(
        "usd:Q",
        scale=alt.Scale(type="log", nice=True),
        title="USD a month (logarithmic)",
        axis=alt.Axis(format="~g", tickCount=6),
    )
    own = base.transform_filter("datum.own")
    return alt.layer(
        base.mark_line(strokeWidth=2).encode(
            x=x,
            y=y,
            color=COLOUR,
            detail="arm:N",
            tooltip=["arm:N", alt.Tooltip("requests:Q", format=",.0f"), alt.Tooltip("usd:Q", format=".3g")],
        ),
        own.mark_point(filled=True, size=90, opacity=1).encode(
            x=x, y=y, color=COLOUR, shape=SHAPE, tooltip=["arm:N", alt.Tooltip("usd:Q", format=".3g")]
        ),
        base.transform_window(last="rank()", sort=[alt.SortField("requests", "descending")], groupby=["arm"])
        .transform_filter("datum.last == 1")
        .mark_text(align="left", dx=6, fontSize=11)
        .encode(x=x, y=y, text="arm:N", color=COLOUR),
    ).properties(height=300, width="container", padding={"left": 5, "right": 110, "top": 5, "bottom": 5})


LINES = PageChart(
    "lines",
    "Dollars a month by volume",
    "",
    "Dollars a month by monthly requests; the table below has the volumes at which lines cross",
    "lines",
    lambda rows, looks, sizes: lines_chart(rows),
    place="costs",
)
