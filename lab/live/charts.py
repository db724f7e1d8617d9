"""A chart on a notebook's page whose drawing is made once: a slider's move changes only its rows.

Building and checking a layered Altair chart takes a tenth of a second to three tenths, more than a slider's whole way
to the screen may take, and compiling it to Vega takes the browser as long as drawing it. ``live(quality_chart, rows)``
gives what marimo shows for ``quality_chart(rows)``, from a kept drawing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import vl_convert

from lab.report.charts.base import PLACE, compiled

MENU = 38
"""Pixels of marimo's menu beside a chart."""
PAGE = "min(735, windowSize()[0] - (windowSize()[0] > 700 ? 535 : 85))"
"""Width of a notebook's column: where marimo puts a chart has no width before it is drawn."""
ROWS = "rows"
"""What the drawing calls its data set."""


@dataclass(frozen=True)
class LiveChart:
    """A Vega drawing and its rows, as JSON."""

    specification: str

    def _mime_(self) -> tuple[str, str]:
        """marimo's protocol: (type, content)."""
        return f"application/vnd.vega.v{vl_convert.get_vega_version().split('.')[0]}+json", self.specification


def live(chart: Callable[..., alt.TopLevelMixin], rows: Sequence[dict[str, Any]], *others: Any) -> LiveChart:
    """``chart(rows, *others)`` for a function of ``lab.report.charts``,
    its drawing kept for the same ``others`` (hashable)."""
    drawing = _drawing(chart, others)
    data = [d | {"values": list(rows)} if d["name"] == ROWS else d for d in drawing["data"]]
    return LiveChart(json.dumps(drawing | {"data": data}, allow_nan=False))


@lru_cache(maxsize=128)
def _drawing(chart: Callable[..., alt.TopLevelMixin], others: tuple[Any, ...]) -> dict[str, Any]:
    drawing = compiled(chart(ROWS, *others), PAGE)
    # marimo's menu stands beside a chart, in room that the chart takes for its own.
    signals = json.loads(json.dumps(drawing.get("signals", [])).replace(PLACE, f"({PLACE} - {MENU})"))
    return drawing | {"signals": signals}
