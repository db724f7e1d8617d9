"""Is this verdict right? The race as it went, and whether the draws of the training sample agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from lab.decision import Decision
from lab.measure.arms import arms_at
from lab.report.charts.base import PERCENT_AXIS, Rows, data_of
from lab.study import Study


def race_rows(study: Study) -> list[dict[str, Any]]:
    """Accuracy and interval of every arm at every look of the race, and whether it left; empty where there was none."""
    rows = []
    for number, look in enumerate(study.plan.get("race", {}).get("log", []), 1):
        draws = f"{look['seeds']} draw{'s' if look['seeds'] > 1 else ''}"
        gone = {name for name in look["dropped"]}
        for label, (accuracy, low, high) in look["arms"].items():
            name = label.rsplit(" r", 1)[0] if label.rsplit(" r", 1)[-1].isdigit() else label
            rows.append(
                {
                    "look": f"{number}: {look['items']} items, {draws}",
                    "arm": label,
                    "right": round(100 * accuracy, 1),
                    "low": round(100 * low, 1),
                    "high": round(100 * high, 1),
                    "left": "left here" if name in gone else "",
                }
            )
    return rows


def race_chart(rows: Rows) -> alt.LayerChart:
    """Bounds closing over the looks, one line an arm; a cross where it left."""
    base = alt.Chart(data_of(rows)).encode(
        x=alt.X("look:O", title=None, axis=alt.Axis(labelAngle=0, labelLimit=160)),
        color=alt.Color("arm:N", title=None),
        xOffset="arm:N",
        tooltip=["arm:N", "look:N", "right:Q", "low:Q", "high:Q", "left:N"],
    )
    return alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title="right", scale=alt.Scale(domain=[0, 100]), axis=PERCENT_AXIS), y2="high:Q"
        ),
        base.mark_point(filled=True, size=60).encode(
            y="right:Q",
            shape=alt.Shape("left:N", title=None, scale=alt.Scale(domain=["", "left here"], range=["circle", "cross"])),
        ),
    ).properties(height=260, width="container")


def left_out(study: Study | None, lacking: Sequence[str]) -> list[str]:
    """Of methods that lack cells at a slider's place: why a race has none of them there."""
    race = study.plan.get("race") if study else None
    gone = race["dropped"] if race else {}
    return [
        f"{name} left the race at {race['size']:,} examples ({gone[name]['words']}); other sizes and ranks of it were "
        "not measured."
        for name in lacking
        if name in gone
    ]


def seed_rows(study: Study, size: int | None, rank: int | None, decision: Decision) -> list[dict[str, Any]]:
    """Each arm's accuracy by draw, and which arm a draw alone would have put first."""
    arms = [a for a in arms_at(study, size, rank) if not _excluded(a.label, decision)]
    seeds = sorted({c.seed for a in arms if a.is_seeded for c in a.cells})
    by_seed = {
        a.label: {c.seed: c.accuracy for c in a.cells} if a.is_seeded else dict.fromkeys(seeds, a.accuracy)
        for a in arms
    }
    rows = []
    for seed in seeds:
        known = {label: found[seed] for label, found in by_seed.items() if seed in found}
        first = max(known, key=known.get) if known else ""
        numbers = {label: round(100 * value, 1) for label, value in known.items()}
        rows.append(
            {"draw": seed, "first": first, "agrees": "yes" if first == decision.arms[0].label else "no"} | numbers
        )
    return rows


def _excluded(label: str, decision: Decision) -> bool:
    return any(a.label == label and a.excluded for a in decision.arms)
