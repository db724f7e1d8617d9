"""A chart on a notebook's page whose drawing is made once: a slider's move changes only its rows.

Building and checking a layered Altair chart takes a tenth of a second to three tenths, more than a slider's whole way
to the screen may take, and compiling it to Vega takes the browser as long as drawing it. ``live(quality_chart, rows)``
gives what marimo shows for ``quality_chart(rows)``, from a kept drawing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import vl_convert

from lab.live.drawing import ROWS, LiveChart, filled
from lab.report.charts.base import PLACE, compiled

MENU = 38
"""Pixels of marimo's menu beside a chart."""
PAGE = "min(735, windowSize()[0] - (windowSize()[0] > 700 ? 535 : 40))"
"""Width of a notebook's column: where marimo puts a chart has no width before it is drawn."""


def live(chart: Callable[..., alt.TopLevelMixin], rows: Sequence[dict[str, Any]], *others: Any) -> LiveChart:
    """``chart(rows, *others)`` for a function of ``lab.report.charts``,
    its drawing kept for the same ``others`` (hashable)."""
    return filled(drawing_of(chart, others), rows, kind())


def kind() -> str:
    """The MIME type of what ``drawing_of`` gives."""
    return f"application/vnd.vega.v{vl_convert.get_vega_version().split('.')[0]}+json"


@lru_cache(maxsize=128)
def drawing_of(chart: Callable[..., alt.TopLevelMixin], others: tuple[Any, ...]) -> dict[str, Any]:
    """The chart compiled, without rows."""
    drawing = compiled(chart(ROWS, *others), PAGE)
    # marimo's menu stands beside a chart, in room that the chart takes for its own.
    signals = json.loads(json.dumps(drawing.get("signals", [])).replace(PLACE, f"({PLACE} - {MENU})"))
    return drawing | {"signals": signals}
