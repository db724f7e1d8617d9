"""Share right by data size: would more labels change the verdict?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.measure.arms import arm_of
from lab.report.charts.base import PageChart, Rows, data_of, percent
from lab.report.looks import Looks
from lab.study import Study


def size_rows(study: Study, looks: Looks, rank: int | None = None) -> list[dict[str, Any]]:
    """One row an arm and data size; an arm that uses no labels is one row of kind ``band``."""
    rows = []
    for name in study.arms():
        flat = all(c.size is None for c in study.cells if study.name_of(c) == name)
        for size in study.sizes()[-1:] if flat else study.sizes():
            arm = arm_of(study, name, size, rank if rank in study.ranks(name) else None)
            if arm:
                low, high = arm.interval
                rows.append(
                    looks.of_arm(name)
                    | {
                        "arm": name,
                        "kind": "band" if flat else "line",
                        "size": size,
                        "accuracy": 100 * arm.accuracy,
                        "low": 100 * low,
                        "high": 100 * high,
                        "text": f"{arm.label}: {100 * arm.accuracy:.1f} %",
                        "seeds": len(arm.cells),
                    }
                )
    return rows


def size_chart(rows: Rows, looks: Looks, sizes: Sequence[int]) -> alt.LayerChart:
    """Share right by data size for the arms of a study;
    those that use no labels are dashed lines with their interval as a band."""
    x = alt.X(
        "size:Q",
        scale=alt.Scale(type="log", domain=[sizes[0] / 1.15, sizes[-1] * 1.15], nice=False),
        title="labelled examples (train + validation, logarithmic)",
        axis=alt.Axis(values=list(sizes), format=",d", grid=False),
    )
    names, legend = list(looks.names), alt.Legend(orient="bottom", columns=4, symbolOpacity=1, symbolSize=90)
    colours = alt.Scale(domain=names, range=[looks.colour(n) for n in names])
    marks = alt.Scale(domain=names, range=[looks.mark(n) for n in names])
    colour = alt.Color("arm:N", scale=colours, title=None, legend=legend)
    shape = alt.Shape("arm:N", scale=marks, title=None, legend=legend)
    base = alt.Chart(data_of(rows))
    line, band = base.transform_filter("datum.kind == 'line'"), base.transform_filter("datum.kind == 'band'")
    accuracy, low = alt.Y(**percent("accuracy")), alt.Y(**percent("low", "right answers, with 95 % intervals"))
    return alt.layer(
        band.mark_rect(opacity=0.12).encode(y=low, y2="high:Q", color=colour),
        band.mark_rule(strokeDash=[6, 4], strokeWidth=2).encode(y=accuracy, color=colour, tooltip="text:N"),
        line.mark_line(strokeWidth=2).encode(x=x, y=accuracy, color=colour),
        line.mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=low, y2="high:Q", color=colour),
        line.mark_point(filled=True, size=90, opacity=1).encode(
            x=x, y=accuracy, color=colour, shape=shape, tooltip=["text:N", "size:Q", "seeds:Q"]
        ),
    ).properties(height=300, width="container")


SIZES = PageChart(
    "sizes",
    "Quality by data size",
    "Would more data change the verdict? A line that still rises says maybe. Dashed lines with bands are arms that use "
    "no labels beyond choosing their settings.",
    "Accuracy by number of labelled examples; the table of every cell has the numbers",
    "sizes",
    size_chart,
    order=10,
    fits=lambda study: len(study.sizes()) > 1,
)
