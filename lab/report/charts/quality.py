"""One row an arm: share right with its interval, beside it dollars a month and what is forgotten. What a decision
begins with."""

from __future__ import annotations

import altair as alt

from lab.report.charts.base import COLOUR, SHAPE, PageChart, Rows, data_of, percent
from lab.study import Study

STEP = 30
"""Pixels a row."""


def forgets(study: Study) -> bool:
    """Whether there is anything to see of forgetting."""
    return any(p.method for p in study.probed)


def quality_chart(rows: Rows, forgetting: bool = False) -> alt.HConcatChart:
    """Share right by arm with 95 % intervals, the best on top, a tick where the right content stands, whatever the
    form; beside it dollars a month, and with ``forgetting`` the drop on the probes. The arm that is taken lies on a
    band."""
    panels = [_right(rows), _dollars(rows), *([_lost(rows)] if forgetting else [])]
    return alt.hconcat(*panels, spacing=34).resolve_scale(y="independent")


def _panel(rows: Rows, labelled: bool = False) -> tuple[alt.Chart, alt.Chart]:
    """What the marks of a panel share, and the band behind the arm that is taken."""
    axis = alt.Axis(labelLimit=190, domain=False, ticks=False, labelPadding=6) if labelled else None
    order = alt.EncodingSortField("order", op="min")
    base = alt.Chart(data_of(rows)).encode(y=alt.Y("arm:N", sort=order, title=None, axis=axis))
    return base, base.transform_filter("datum.taken").mark_rect(color="#0072B2", opacity=0.13)


def _right(rows: Rows) -> alt.LayerChart:
    base, band = _panel(rows, labelled=True)
    return alt.layer(
        band,
        base.mark_rule(strokeWidth=3).encode(x=alt.X(**percent("low", "right (95 %)")), x2="high:Q", color=COLOUR),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=alt.X(**percent("accuracy")), color=COLOUR, shape=SHAPE, tooltip=["arm:N", "text:N"]
        ),
        base.transform_filter("isValid(datum.content)")
        .mark_tick(thickness=2, size=14, opacity=0.8)
        .encode(x=alt.X(**percent("content")), color=COLOUR, tooltip=["arm:N", alt.Tooltip("content:Q", format=".1f")]),
        # On a phone the panels beside it take the room; the numbers stand in the table.
        base.mark_text(
            align="left", dx=6, color="#8a8a8a", fontSize=alt.ExprRef("windowSize()[0] < 560 ? 0 : 11")
        ).encode(x=alt.value("width"), text="text:N"),
    ).properties(height=alt.Step(STEP), width=330)


def _dollars(rows: Rows) -> alt.LayerChart:
    base, band = _panel(rows)
    x = alt.X("monthly_usd:Q", title="USD/month", axis=alt.Axis(format="~g", tickCount=2), scale=alt.Scale(zero=True))
    return alt.layer(
        band,
        base.mark_bar(height=8).encode(
            x=x, color=COLOUR, tooltip=["arm:N", alt.Tooltip("monthly_usd:Q", format=".3g")]
        ),
        base.mark_text(align="left", dx=4, color="#8a8a8a", fontSize=11).encode(
            x=x, text=alt.Text("monthly_usd:Q", format=".2~g")
        ),
    ).properties(height=alt.Step(STEP), width=110)


def _lost(rows: Rows) -> alt.LayerChart:
    base, band = _panel(rows)
    measured = base.transform_filter("isValid(datum.forgetting)")
    x = alt.X("forgetting:Q", title="forgets", axis=alt.Axis(tickCount=3), scale=alt.Scale(domain=[-10, 100]))
    return alt.layer(
        band,
        measured.mark_rule(strokeWidth=3).encode(
            x=alt.X("forgetting_low:Q", scale=alt.Scale(domain=[-10, 100])), x2="forgetting_high:Q", color=COLOUR
        ),
        measured.mark_point(filled=True, size=70, opacity=1).encode(
            x=x, color=COLOUR, shape=SHAPE, tooltip=["arm:N", alt.Tooltip("forgetting:Q", format=".1f")]
        ),
        # Arms without weights of their own, and those that were not asked, keep their rows.
        base.transform_filter("!isValid(datum.forgetting)")
        .mark_text(text="\N{EN DASH}", color="#8a8a8a")
        .encode(x=alt.datum(0)),
    ).properties(height=alt.Step(STEP), width=110)


def _page_chart(forgetting: bool) -> PageChart:
    lost = " and what is forgotten" if forgetting else ""
    return PageChart(
        "quality",
        "Quality, cost and forgetting by method" if forgetting else "Quality and cost by method",
        "",
        f"Share right by method with 95 % intervals, beside it dollars a month{lost}; the table below has the numbers",
        "arms",
        lambda rows, looks, sizes: quality_chart(rows, forgetting),
        place="quality",
        fits=lambda study: forgets(study) == forgetting,
    )


QUALITY = _page_chart(forgetting=False)
WITH_FORGETTING = _page_chart(forgetting=True)
