"""Accuracy drop by probe: what a training took away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.measure.forgetting import Forgotten
from lab.report.charts.base import COLOUR, SHAPE, Rows, data_of
from lab.report.looks import Looks


def drop_rows(lost: Sequence[Forgotten], looks: Looks) -> list[dict[str, Any]]:
    """One row an arm and probe: accuracy drop in points, positive is worse."""
    return [
        looks.of_arm(f.method)
        | {
            "arm": f.label,
            "probe": c.probe.replace("_", " "),
            "drop": 100 * c.drop,
            "low": 100 * c.low,
            "high": 100 * c.high,
            "text": f"{100 * c.before:.1f} % before, {100 * c.after:.1f} % after",
        }
        for f in lost
        for c in f.changes
    ]


def drop_chart(rows: Rows) -> alt.FacetChart:
    """Accuracy drop by probe, one panel an arm, with 95 % intervals; right of the line is forgotten."""
    x = alt.X(
        "drop:Q", title="accuracy drop, points (positive is worse)", scale=alt.Scale(domain=[-30, 100], clamp=True)
    )
    y = alt.Y("probe:N", title=None, sort=None)
    base = alt.Chart()
    layered = alt.layer(
        base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", scale=alt.Scale(domain=[-30, 100], clamp=True)), x2="high:Q", y=y, color=COLOUR
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x,
            y=y,
            color=COLOUR,
            shape=SHAPE,
            tooltip=["arm:N", "probe:N", alt.Tooltip("drop:Q", format=".1f"), "text:N"],
        ),
        data=data_of(rows),
    ).properties(width=250, height=alt.Step(20))
    return layered.facet(facet=alt.Facet("arm:N", title=None, sort=None), columns=2)
