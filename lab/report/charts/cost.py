"""Share right against dollars a month: which arms are dominated?"""

from __future__ import annotations

import altair as alt

from lab.report.charts.base import COLOUR, SHAPE, TENFOLD, PageChart, Rows, data_of, percent


def cost_chart(rows: Rows) -> alt.LayerChart:
    """Share right against dollars a month: up and left is better."""
    base = alt.Chart(data_of(rows)).transform_filter("datum.monthly_usd > 0")
    x = alt.X(
        "monthly_usd:Q",
        scale=alt.Scale(type="log", nice=True),
        title="USD a month (logarithmic)",
        axis=alt.Axis(format="~g", tickCount=5, **TENFOLD),
    )
    y = alt.Y(**percent("accuracy", "right answers"))
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=alt.Y(**percent("low")), y2="high:Q", color=COLOUR),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=x, y=y, color=COLOUR, shape=SHAPE, tooltip=["arm:N", "text:N", "monthly_usd:Q"]
        ),
        base.mark_text(align="center", dy=-11, fontSize=11).encode(x=x, y=y, text="arm:N", color=COLOUR),
    ).properties(height=300, width="container")


COST = PageChart(
    "cost",
    "Quality against cost",
    "Up is better, left is cheaper. An arm with another above it and to its left is dominated. Move the sliders above: "
    "volumes and prices shift the dots, not their height.",
    "Accuracy against dollars a month; the table above has the numbers",
    "arms",
    lambda rows, looks, sizes: cost_chart(rows),
    order=20,
)
