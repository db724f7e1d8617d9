"""Charts as numbers: positions, colours and marks that the templates draw as SVG.

One colour and one mark a method everywhere (Okabe and Ito's palette, told apart without colour by the marks).
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.measure.arms import arm_of
from lab.measure.evidence import ArmEvidence
from lab.study import Study

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7A7A7A")
MARKS = ("circle", "square", "diamond", "triangle", "cross", "ring")
FIXED = {"zero_shot": 7, "few_shot": 4, "few_shot_nearest": 6, "rag": 0, "few_shot_rag": 5, "lora": 1, "rag_lora": 2, "study_lora": 3, "full": 1, "rag_full": 2, "study_full": 3,
         "majority": 7, "linear": 7}


def colour_of(method: str) -> str:
    """The method's colour, the same in every chart."""
    return PALETTE[FIXED.get(method, sum(map(ord, method)) % len(PALETTE))]


def mark_of(method: str) -> str:
    """The method's mark."""
    names = list(FIXED)
    return MARKS[(names.index(method) if method in names else sum(map(ord, method))) % len(MARKS)]


@dataclass(frozen=True)
class Dot:
    """One estimate with its interval, in chart coordinates (0 to 100 on both axes)."""

    label: str
    colour: str
    mark: str
    x: float
    low: float
    high: float
    y: float
    text: str


def quality_dots(arms: list[ArmEvidence], chosen: str) -> list[Dot]:
    """Accuracy by method: x in percent, one row an arm, best on top."""
    return [Dot(a.label + (" (chosen)" if a.label == chosen else ""), colour_of(a.name), mark_of(a.name), 100 * a.accuracy, 100 * a.low, 100 * a.high, row,
                f"{100 * a.accuracy:.1f} %") for row, a in enumerate(arms)]


@dataclass(frozen=True)
class Line:
    """One arm over data sizes."""

    label: str
    colour: str
    mark: str
    points: list[Dot]
    flat: bool
    """The arm uses no labels in prompt or weights: a reference line."""


def size_lines(study: Study) -> list[Line]:
    """Accuracy by data size, each arm at its validation-chosen rank; empty with fewer than two sizes."""
    sizes = study.sizes()
    if len(sizes) < 2:
        return []
    lines = []
    for name in study.arms():
        points = []
        for column, size in enumerate(sizes):
            arm = arm_of(study, name, size)
            if arm:
                low, high = arm.interval
                points.append(Dot(arm.label, colour_of(name), mark_of(name), 100 * column / (len(sizes) - 1), 100 * low, 100 * high, 100 * arm.accuracy, f"{100 * arm.accuracy:.1f} %"))
        flat = all(c.size is None for c in study.cells if c.method == name)
        if points:
            lines.append(Line(name, colour_of(name), mark_of(name), points, flat))
    return lines
