"""A drawing that was compiled before, with the rows of now: all that a page needs where no chart can be compiled.

``filled(drawing, rows, kind)`` is what marimo shows for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ROWS = "rows"
"""What the drawing calls its data set."""


@dataclass(frozen=True)
class LiveChart:
    """A Vega drawing and its rows, as JSON."""

    specification: str
    kind: str
    """Its MIME type, which names Vega's version."""

    def _mime_(self) -> tuple[str, str]:
        """marimo's protocol: (type, content)."""
        return self.kind, self.specification


def filled(drawing: dict[str, Any], rows: Sequence[dict[str, Any]], kind: str) -> LiveChart:
    """The drawing of these rows."""
    data = [d | {"values": list(rows)} if d["name"] == ROWS else d for d in drawing["data"]]
    return LiveChart(json.dumps(drawing | {"data": data}, allow_nan=False), kind)
