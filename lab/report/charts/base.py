"""What charts share: where rows come from, and the charts that a report's page keeps alive.

A chart on the page is one file with a PageChart in it; no list is edited. It names the data set that feeds it, and the
page is not written where a field that it draws is in no row::

    LATENCY = PageChart("latency", "How long a request takes", "...", "...", "arms", latency_chart)
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt

import lab.report.charts
from lab.report.looks import Looks
from lab.study import Study

Rows = Sequence[dict[str, Any]] | str


PERCENT_AXIS = alt.Axis(labelExpr="datum.value + ' %'", tickCount=5)
TENFOLD = {
    f"{part}Opacity": {
        "condition": {"test": "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 0.000001", "value": 1},
        "value": 0,
    }
    for part in ("grid", "tick")
}
"""Of a logarithmic axis: lines at powers of ten alone, eight between each would lie before the data."""
COLOUR, SHAPE = alt.Color("colour:N", scale=None), alt.Shape("mark:N", scale=None)


def data_of(rows: Rows) -> alt.NamedData | alt.InlineData:
    """The rows themselves, or the name of the data set that the page fills."""
    return alt.NamedData(name=rows) if isinstance(rows, str) else alt.InlineData(values=list(rows))


def percent(field: str, title: str = "") -> dict[str, Any]:
    """An encoding of shares in percent, from 0 to 100."""
    return {
        "shorthand": f"{field}:Q",
        "scale": alt.Scale(domain=[0, 100]),
        "title": title,
        "axis": PERCENT_AXIS,
    }


@dataclass(frozen=True)
class PageChart:
    """A chart of the report's page that follows its controls."""

    name: str
    heading: str
    says: str
    """One or two sentences: what there is to see."""
    aria: str
    """The same for people who do not see it, and where the numbers stand."""
    data: str
    """The data set of the page that feeds it: ``arms``, ``sizes`` or ``lines``."""
    draw: Callable[[str, Looks, Sequence[int]], alt.TopLevelMixin]
    """From the data set's name, the arms' looks and the data sizes."""
    place: str = "own"
    """``own``: a section of its own; ``quality`` or ``costs``: within that section."""
    order: int = 50
    """Among the charts of a place, smallest first."""
    fits: Callable[[Study], bool] = lambda study: True
    """Whether there is anything to see in a study."""


@lru_cache(maxsize=1)
def page_charts() -> tuple[PageChart, ...]:
    """Every PageChart of this package's files, in order."""
    found = []
    for info in pkgutil.iter_modules(lab.report.charts.__path__):
        module = importlib.import_module(f"{lab.report.charts.__name__}.{info.name}")
        found += [value for value in vars(module).values() if isinstance(value, PageChart)]
    return tuple(sorted(found, key=lambda c: (c.order, c.name)))


def fields_of(spec: Any) -> set[str]:
    """Fields of the data that a Vega-Lite specification encodes, those that it computes itself left out."""
    drawn: set[str] = set()
    made: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            for channel in part.get("encoding", {}).values():
                for entry in channel if isinstance(channel, list) else [channel]:
                    if isinstance(entry.get("field"), str):
                        drawn.add(entry["field"])
            for step in part.get("transform", []):
                made.update(w["as"] for w in step.get("window", []))
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(spec)
    return drawn - made


def require_fields(chart: PageChart, spec: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
    """Raise ValueError where a chart of the page would come out empty: no rows, or a field that no row has."""
    rows = list(rows)
    if not rows:
        raise ValueError(f"chart {chart.name}: its data set {chart.data!r} is empty")
    lacking = fields_of(spec) - set(rows[0])
    if lacking:
        has = ", ".join(sorted(rows[0]))
        raise ValueError(
            f"chart {chart.name}: no row of {chart.data!r} has {', '.join(sorted(lacking))}; there is {has}"
        )


PLACE = "containerSize()[0]"
"""Width of the place where a chart stands, as Vega asks for it."""
QUIET = {
    "axis": dict.fromkeys(("gridColor", "domainColor", "tickColor"), "rgba(128,128,128,0.3)"),
    "view": {"stroke": "rgba(128,128,128,0.3)"},
}
"""Lines that stay behind the data on white and on black."""


def compiled(chart: alt.TopLevelMixin, place: str = PLACE) -> dict[str, Any]:
    """The chart as a Vega drawing; panels side by side share the width of their ``place``, a Vega expression."""
    import vl_convert

    specification = chart.to_dict()
    drawing = vl_convert.vegalite_to_vega(specification | {"config": specification.get("config", {}) | QUIET})
    # The arms' names, the numbers behind the marks, and what stands between.
    beside = f"({place} < 560 ? 240 : 285)"
    widths = {s["name"]: s["value"] for s in drawing.get("signals", []) if re.fullmatch(r"concat_\d+_width", s["name"])}
    for signal in drawing.get("signals", []):
        if signal["name"] in widths:
            share = widths[signal["name"]] / sum(widths.values())
            # On a phone the panel that decides stays readable.
            least = 64 if share == max(widths.values()) / sum(widths.values()) else 32
            wide = f"isFinite({place}) ? max({least}, ({place} - {beside}) * {share:.3f})"
            signal["init"] = f"{wide} : {signal.pop('value')}"
            signal["on"] = [{"events": "window:resize", "update": signal["init"]}]
    if widths:
        drawing["layout"]["padding"] = {"signal": f"{place} < 560 ? 8 : {drawing['layout']['padding']}"}
    # The page's own background, light or dark, shows through.
    return drawing | {"background": "transparent"}


def svg(chart: alt.LayerChart | alt.FacetChart | alt.HConcatChart, width: int = 640) -> str:
    """The chart as an SVG file on white, for Markdown and for pages without script;
    panels of one keep their own width."""
    import vl_convert

    sized = chart if isinstance(chart, alt.FacetChart | alt.HConcatChart) else chart.properties(width=width)
    spec = json.dumps(sized.configure(background="white").to_dict())
    # A control character is none in XML, and ends the converter with the whole process.
    return vl_convert.vegalite_to_svg(re.sub(r"(?<!\\)\\u00[01][0-9a-f]", "\N{REPLACEMENT CHARACTER}", spec))
