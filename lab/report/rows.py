"""A decision's arms as rows of a chart: plain data, which a page in the browser makes without a chart library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lab.measure.shown import ArmEvidence
from lab.report.looks import Looks

TAKEN = " (chosen)"
"""Behind the label of the arm that is taken."""


def arm_rows(arms: Sequence[ArmEvidence], looks: Looks, chosen: str = "") -> list[dict[str, Any]]:
    """One row an arm with all that is known of it, the best first; shares in percent.

    ``report/templates/rows.js`` makes the same rows on the page (tested).
    """
    ordered = sorted(arms, key=lambda a: -a.accuracy)
    return [
        asdict(a)
        | looks.of_arm(a.name)
        | {
            "arm": a.label + (TAKEN if a.label == chosen else ""),
            "taken": a.label == chosen,
            "order": n,
            "accuracy": 100 * a.accuracy,
            "low": 100 * a.low,
            "high": 100 * a.high,
            "content": None if a.content is None else 100 * a.content,
            "text": f"{100 * a.accuracy:.1f} %",
            "forgetting": None if a.forgetting is None else 100 * a.forgetting,
            "forgetting_low": 100 * a.forgetting_low,
            "forgetting_high": 100 * a.forgetting_high,
        }
        for n, a in enumerate(ordered)
    ]
