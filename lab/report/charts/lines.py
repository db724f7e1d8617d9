"""Dollars a month by volume: where do two arms cost the same?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.decision import Settings
from lab.measure.cost import monthly_usd
from lab.measure.evidence import ArmEvidence
from lab.report.charts.base import COLOUR, SHAPE, TENFOLD, PageChart, Rows, data_of
from lab.report.looks import Looks

HEIGHT, NAME_HEIGHT = 300, 13
"""Pixels of the chart, and of a name at a line's end."""


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
        axis=alt.Axis(format="~s", tickCount=6, **TENFOLD),
    )
    y = alt.Y(
        "usd:Q",
        scale=alt.Scale(type="log", nice=False),
        title="USD a month (logarithmic)",
        axis=alt.Axis(format="~g", tickCount=6, **TENFOLD),
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
        _ends(base)
        .mark_text(align="left", dx=6, dy=alt.ExprRef("datum.down"), fontSize=11, baseline="middle")
        .encode(x=x, y=y, text="arm:N", color=COLOUR),
    ).properties(height=HEIGHT, width="container")


def _ends(base: alt.Chart) -> alt.Chart:
    """The last point of each line, with how far ``down`` (pixels) its name has to go so that it stands clear of those
    above it: from the top, every name is at its line's end or a line of text below the name before it."""
    highest_first = [alt.SortField("usd", "descending")]
    return (
        base.transform_joinaggregate(least="min(usd)", most="max(usd)")
        .transform_window(last="rank()", sort=[alt.SortField("requests", "descending")], groupby=["arm"])
        .transform_filter("datum.last == 1")
        .transform_calculate(at=f"{HEIGHT} * log(datum.most / datum.usd) / max(1e-9, log(datum.most / datum.least))")
        .transform_window(place="row_number()", sort=highest_first)
        .transform_calculate(lead=f"datum.at - {NAME_HEIGHT} * datum.place")
        .transform_window(reach="max(lead)", sort=highest_first, frame=[None, 0])
        .transform_calculate(down=f"datum.reach + {NAME_HEIGHT} * datum.place - datum.at")
    )


LINES = PageChart(
    "lines",
    "Dollars a month by volume",
    "",
    "Dollars a month by monthly requests; the table below has the volumes at which lines cross",
    "lines",
    lambda rows, looks, sizes: lines_chart(rows),
    place="costs",
)
