"""A toy chart of the page: how long one request takes; in one file as any other."""

from __future__ import annotations

import altair as alt

from lab.report.charts.base import COLOUR, PageChart, data_of


def latency_chart(rows):
    """Seconds of one request alone, by arm."""
    return (
        alt.Chart(data_of(rows))
        .mark_bar()
        .encode(x=alt.X("latency_seconds:Q"), y=alt.Y("arm:N"), color=COLOUR)
        .properties(width="container")
    )


LATENCY = PageChart(
    "latency",
    "How long one request takes",
    "Shorter is better.",
    "Seconds of one request alone; the table of costs has the numbers",
    "arms",
    lambda rows, looks, sizes: latency_chart(rows),
    order=90,
)
