"""Charts as Vega-Lite, one definition for report, Markdown and notebooks.

Each ``*_chart`` takes rows (a list of dicts from the ``*_rows`` function beside it) or the name of a data set that the
page fills. One colour and one mark a method everywhere: Okabe and Ito's palette, told apart without colour by the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.measure.arms import arm_of
from lab.measure.cost import Prices, monthly_usd
from lab.measure.evidence import ArmEvidence
from lab.measure.forgetting import Forgotten
from lab.study import Study

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7A7A7A")
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
FIXED = {"zero_shot": 7, "few_shot": 4, "few_shot_nearest": 6, "rag": 0, "few_shot_rag": 5, "lora": 1, "rag_lora": 2, "study_lora": 3, "full": 5, "rag_full": 2, "study_full": 3,
         "majority": 7, "linear": 7}
"""Places in the palette: methods that are seldom shown together share one."""

Rows = Sequence[dict[str, Any]] | str


def colour_of(method: str) -> str:
    """The method's colour, the same in every chart."""
    return PALETTE[FIXED.get(method, sum(map(ord, method)) % len(PALETTE))]


def mark_of(method: str) -> str:
    """The method's mark."""
    names = list(FIXED)
    return MARKS[(names.index(method) if method in names else sum(map(ord, method))) % len(MARKS)]


def data_of(rows: Rows) -> alt.NamedData | alt.InlineData:
    """The rows themselves, or the name of the data set that the page fills."""
    return alt.NamedData(name=rows) if isinstance(rows, str) else alt.InlineData(values=list(rows))


def _percent(field: str, title: str = "") -> dict[str, Any]:
    return {"shorthand": f"{field}:Q", "scale": alt.Scale(domain=[0, 100]), "title": title, "axis": alt.Axis(labelExpr="datum.value + ' %'", tickCount=5)}


COLOUR, SHAPE = alt.Color("colour:N", scale=None), alt.Shape("mark:N", scale=None)


def arm_rows(arms: Sequence[ArmEvidence], chosen: str = "") -> list[dict[str, Any]]:
    """One row an arm, the best first; ``monthly_usd`` and ``excluded`` where the arms have them."""
    ordered = sorted(arms, key=lambda a: -a.accuracy)
    return [{"arm": a.label + (" (chosen)" if a.label == chosen else ""), "colour": colour_of(a.name), "mark": mark_of(a.name), "order": n, "accuracy": 100 * a.accuracy,
             "low": 100 * a.low, "high": 100 * a.high, "text": f"{100 * a.accuracy:.1f} %", "monthly_usd": getattr(a, "monthly_usd", 0.0)} for n, a in enumerate(ordered)]


def quality_chart(rows: Rows) -> alt.LayerChart:
    """Share right by arm with 95 % intervals, the best on top."""
    base = alt.Chart(data_of(rows)).encode(y=alt.Y("arm:N", sort=alt.EncodingSortField("order"), title=None, axis=alt.Axis(labelLimit=260)))
    return alt.layer(
        base.mark_rule(strokeWidth=3).encode(x=alt.X(**_percent("low", "right answers, with 95 % intervals")), x2="high:Q", color=COLOUR),
        base.mark_point(filled=True, size=110, opacity=1).encode(x=alt.X(**_percent("accuracy")), color=COLOUR, shape=SHAPE, tooltip=["arm:N", "text:N"]),
        base.mark_text(align="left", dx=8, color="#8a8a8a").encode(x=alt.value("width"), text="text:N"),
    ).properties(height=alt.Step(30), width="container", padding={"left": 5, "right": 60, "top": 5, "bottom": 5}, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))


def size_rows(study: Study, rank: int | None = None) -> list[dict[str, Any]]:
    """One row an arm and data size; an arm that uses no labels is one row of kind ``band``."""
    rows = []
    for name in study.arms():
        flat = all(c.size is None for c in study.cells if c.method == name)
        for size in study.sizes()[-1:] if flat else study.sizes():
            arm = arm_of(study, name, size, rank if rank in study.ranks(name) else None)
            if arm:
                low, high = arm.interval
                rows.append({"arm": name, "kind": "band" if flat else "line", "colour": colour_of(name), "mark": mark_of(name), "size": size,
                             "accuracy": 100 * arm.accuracy, "low": 100 * low, "high": 100 * high, "text": f"{arm.label}: {100 * arm.accuracy:.1f} %", "seeds": len(arm.cells)})
    return rows


def size_chart(rows: Rows, arms: Sequence[str], sizes: Sequence[int]) -> alt.LayerChart:
    """Share right by data size for the named arms; those that use no labels are dashed lines with their interval as a band."""
    x = alt.X("size:Q", scale=alt.Scale(type="log", domain=[sizes[0] / 1.15, sizes[-1] * 1.15], nice=False), title="labelled examples (train + validation, logarithmic)",
              axis=alt.Axis(values=list(sizes), format=",d", grid=False))
    legend = alt.Legend(orient="bottom", columns=4, symbolOpacity=1, symbolSize=90)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(arms), range=[colour_of(a) for a in arms]), title=None, legend=legend)
    shape = alt.Shape("arm:N", scale=alt.Scale(domain=list(arms), range=[mark_of(a) for a in arms]), title=None, legend=legend)
    base = alt.Chart(data_of(rows))
    line, band = base.transform_filter("datum.kind == 'line'"), base.transform_filter("datum.kind == 'band'")
    accuracy, low = alt.Y(**_percent("accuracy")), alt.Y(**_percent("low", "right answers, with 95 % intervals"))
    return alt.layer(
        band.mark_rect(opacity=0.12).encode(y=low, y2="high:Q", color=colour),
        band.mark_rule(strokeDash=[6, 4], strokeWidth=2).encode(y=accuracy, color=colour, tooltip="text:N"),
        line.mark_line(strokeWidth=2).encode(x=x, y=accuracy, color=colour),
        line.mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=low, y2="high:Q", color=colour),
        line.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=accuracy, color=colour, shape=shape, tooltip=["text:N", "size:Q", "seeds:Q"]),
    ).properties(height=300, width="container")


def cost_chart(rows: Rows) -> alt.LayerChart:
    """Share right against dollars a month: up and left is better."""
    base = alt.Chart(data_of(rows)).transform_filter("datum.monthly_usd > 0")
    x = alt.X("monthly_usd:Q", scale=alt.Scale(type="log", nice=True), title="USD a month at the settings above (logarithmic)", axis=alt.Axis(format="~g", tickCount=5))
    y = alt.Y(**_percent("accuracy", "right answers"))
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=alt.Y(**_percent("low")), y2="high:Q", color=COLOUR),
        base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=COLOUR, shape=SHAPE, tooltip=["arm:N", "text:N", "monthly_usd:Q"]),
        base.mark_text(align="left", dx=9, fontSize=11).encode(x=x, y=y, text="arm:N", color=COLOUR),
    ).properties(height=300, width="container", padding={"left": 5, "right": 110, "top": 5, "bottom": 5})


def volumes_shown(requests: int) -> list[float]:
    """Monthly volumes at which cost lines are drawn: four a decade from 100 to ten million, and the user's own."""
    return sorted({10 ** (n / 4) for n in range(8, 29)} | {float(max(1, requests))})


def line_rows(arms: Sequence[ArmEvidence], prices: Prices, requests: int) -> list[dict[str, Any]]:
    """Dollars a month of every arm by volume."""
    return [{"arm": a.label, "colour": colour_of(a.name), "mark": mark_of(a.name), "requests": v, "usd": monthly_usd(a.used, prices, v).total, "own": v == requests}
            for a in arms for v in volumes_shown(requests)]


def lines_chart(rows: Rows) -> alt.LayerChart:
    """Dollars a month by monthly volume, both logarithmic: where lines cross two arms cost the same; dots mark the user's own volume."""
    base = alt.Chart(data_of(rows)).transform_filter("datum.usd > 0")
    x = alt.X("requests:Q", scale=alt.Scale(type="log", domain=[100, 1e7], clamp=True), title="requests a month (logarithmic)", axis=alt.Axis(format="~s", tickCount=6))
    y = alt.Y("usd:Q", scale=alt.Scale(type="log", nice=True), title="USD a month (logarithmic)", axis=alt.Axis(format="~g", tickCount=6))
    own = base.transform_filter("datum.own")
    return alt.layer(
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=COLOUR, detail="arm:N", tooltip=["arm:N", alt.Tooltip("requests:Q", format=",.0f"), alt.Tooltip("usd:Q", format=".3g")]),
        own.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=COLOUR, shape=SHAPE, tooltip=["arm:N", alt.Tooltip("usd:Q", format=".3g")]),
        base.transform_window(last="rank()", sort=[alt.SortField("requests", "descending")], groupby=["arm"]).transform_filter("datum.last == 1")
            .mark_text(align="left", dx=6, fontSize=11).encode(x=x, y=y, text="arm:N", color=COLOUR),
    ).properties(height=300, width="container", padding={"left": 5, "right": 110, "top": 5, "bottom": 5})


def drop_rows(lost: Sequence[Forgotten]) -> list[dict[str, Any]]:
    """One row an arm and probe: accuracy drop in points, positive is worse."""
    return [{"arm": f.label, "colour": colour_of(f.method), "mark": mark_of(f.method), "probe": c.probe.replace("_", " "),
             "drop": 100 * c.drop, "low": 100 * c.low, "high": 100 * c.high, "text": f"{100 * c.before:.1f} % before, {100 * c.after:.1f} % after"} for f in lost for c in f.changes]


def drop_chart(rows: Rows) -> alt.FacetChart:
    """Accuracy drop by probe, one panel an arm, with 95 % intervals; right of the line is forgotten."""
    x = alt.X("drop:Q", title="accuracy drop, points (positive is worse)", scale=alt.Scale(domain=[-30, 100], clamp=True))
    y = alt.Y("probe:N", title=None, sort=None)
    base = alt.Chart()
    layered = alt.layer(
        base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=alt.X("low:Q", scale=alt.Scale(domain=[-30, 100], clamp=True)), x2="high:Q", y=y, color=COLOUR),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=COLOUR, shape=SHAPE, tooltip=["arm:N", "probe:N", alt.Tooltip("drop:Q", format=".1f"), "text:N"]),
        data=data_of(rows)).properties(width=250, height=alt.Step(20))
    return layered.facet(facet=alt.Facet("arm:N", title=None, sort=None), columns=2)


def svg(chart: alt.LayerChart | alt.FacetChart, width: int = 640) -> str:
    """The chart as an SVG file on white, for Markdown and for pages without script; a faceted one keeps its panels' own width."""
    import vl_convert

    sized = chart if isinstance(chart, alt.FacetChart) else chart.properties(width=width)
    return vl_convert.vegalite_to_svg(sized.configure(background="white").to_dict())
