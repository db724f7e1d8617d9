"""A sweep's points and what they say: quality and forgetting of each setting, and the frontier between the two.

Pure data, read and written as ``sweep.json``; ``lab.experiments.levers.run`` makes it, ``lab.experiments.levers.page``
shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.files import load, write_json
from lab.measure.forgetting import Forgotten, compared
from lab.measure.statistics import wilson
from lab.study import Probed

START = "start"


@dataclass
class Point:
    """One setting, one seed."""

    axis: str
    """``start`` for the arm as validation chose it."""
    value: float | int | str | None
    seed: int
    weights: dict[str, Any]
    right: int = 0
    items: int = 0
    loss: float = 0.0
    """Training loss at the last look, nats a target token."""
    seconds: float = 0.0
    tokens: int = 0
    failed: str = ""
    adaptation: str = ""
    probed: list[Probed] = field(default_factory=list)


@dataclass
class Sweep:
    """All points, and the base's own answers."""

    task: dict[str, Any]
    model: dict[str, Any]
    method: str
    size: int
    general: str
    command: str = ""
    base: list[Probed] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as JSON; the file is replaced whole."""
        write_json(path, asdict(self), indent=None)

    @classmethod
    def load(cls, path: Path) -> Sweep:
        """Read; raises LabError where the file is missing or damaged."""
        return load(path, cls._of, "sweep", "lab sweep")

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Sweep:
        points = [Point(**(p | {"probed": [Probed(**x) for x in p["probed"]]})) for p in data["points"]]
        return cls(**(data | {"base": [Probed(**p) for p in data["base"]], "points": points}))

    def settings(self) -> list[tuple[str, float | int | str | None]]:
        """(axis, value) of every setting that was run, the start first."""
        return list(dict.fromkeys((p.axis, p.value) for p in self.points if not p.failed))

    def at(self, axis: str, value: float | int | str | None) -> list[Point]:
        """The seeds of a setting."""
        return [p for p in self.points if (p.axis, p.value) == (axis, value) and not p.failed]


@dataclass(frozen=True)
class Setting:
    """One setting over its seeds."""

    axis: str
    value: float | int | str | None
    right: float
    low: float
    high: float
    loss: float
    seeds: int
    lost: Forgotten

    @property
    def label(self) -> str:
        """``replay 0.05``"""
        return "as chosen" if self.axis == START else f"{self.axis.replace('_', ' ')} {self.value}"


def measured(found: Sweep) -> list[Setting]:
    """Quality (Wilson interval; seeds share the items and so add none) and forgetting of every setting."""
    base = {p.probe: p for p in found.base}
    rows = []
    for axis, value in found.settings():
        points = found.at(axis, value)
        share = sum(p.right for p in points) / sum(p.items for p in points)
        low, high = wilson(share * points[0].items, points[0].items)
        lost = compared(base, [replace(x, seed=p.seed) for p in points for x in p.probed], found.method)
        rows.append(
            Setting(axis, value, share, low, high, sum(p.loss for p in points) / len(points), len(points), lost)
        )
    return rows


def frontier(rows: Sequence[Setting]) -> list[Setting]:
    """Settings that no other one beats in both quality and headline drop, by their measured means."""
    able = [r for r in rows if r.lost.headline]
    return [r for r in able if not any(_beats(other, r) for other in able)]


def _beats(other: Setting, own: Setting) -> bool:
    """Whether it is at least as good in both, and better in one."""
    gained, kept = other.right - own.right, own.lost.headline.drop - other.lost.headline.drop
    return min(gained, kept) >= 0 and max(gained, kept) > 0
