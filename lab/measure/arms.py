"""From a Study's cells to arms: tables of scores, one row a seed, and what they cost.

``arms_at(study, size)`` gives the arms of a comparison: each at its validation-chosen rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lab.measure.statistics import Comparison, compare, mean_interval, wilson
from lab.schema import LabError
from lab.study import Cell, Study


@dataclass(frozen=True)
class Arm:
    """One method at one size and rank, all its seeds."""

    name: str
    """As ``Study.name_of`` says: the method, and the model where it is not the base that matched arms share."""
    cells: tuple[Cell, ...]
    groups: tuple[str, ...]
    rank: int | None = None

    @property
    def model(self) -> str:
        """Name of its model; empty for a baseline."""
        return self.cells[0].model

    @property
    def label(self) -> str:
        """The name with the rank where it has one."""
        return f"{self.name} r{self.rank}" if self.rank else self.name

    @cached_property
    def table(self) -> np.ndarray:
        """(seeds, items) of 0 and 1."""
        return np.array([c.correct for c in self.cells])

    @property
    def accuracy(self) -> float:
        """Mean over items and seeds."""
        return float(self.table.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval: Wilson's for one seed of items without groups, else the two-way one, kept within 0 and 1."""
        if len(self.cells) == 1 and len(set(self.groups)) == len(self.groups):
            return wilson(self.table.sum(), self.table.size)
        both = mean_interval(self.table, self.groups)
        low, high = wilson(self.accuracy * len(set(self.groups)), len(set(self.groups)))
        # All right or all wrong in every seed has no variance to measure; Wilson over groups bounds what is unseen.
        return (low, high) if self.accuracy in (0.0, 1.0) else (max(0.0, both.low), min(1.0, both.high))

    def part(self, name: str) -> float | None:
        """Mean of a partial score, such as ``format``."""
        values = [v for c in self.cells for v in c.parts.get(name, [])]
        return float(np.mean(values)) if values else None

    def share_whole(self, name: str) -> float | None:
        """Share of items whose partial score is full: a record with one field of three is not there by a third."""
        values = [v >= 1.0 for c in self.cells for v in c.parts.get(name, [])]
        return float(np.mean(values)) if values else None

    def usage(self, name: str) -> float:
        """Mean over seeds of a usage figure; 0 where it was not used."""
        return float(np.mean([c.usage.get(name, 0.0) for c in self.cells]))

    def outcomes(self) -> dict[str, int]:
        """Counts of outcome letters over all seeds."""
        text = "".join(c.outcomes for c in self.cells)
        return {letter: text.count(letter) for letter in dict.fromkeys(text)}

    def recall(self) -> dict[str, float]:
        """Mean recall@k."""
        keys = self.cells[0].recall
        return {k: float(np.mean([c.recall[k] for c in self.cells])) for k in keys}

    def against(self, other: Arm) -> Comparison:
        """Paired difference to another arm on the seeds both have."""
        if not (self._seeded and other._seeded):
            return compare(self.table, other.table, self.groups)
        shared = sorted({c.seed for c in self.cells} & {c.seed for c in other.cells})
        if not shared:
            raise LabError(
                f"{self.label} and {other.label} have no seed in common; run lab decide without the budget that "
                "dropped them"
            )
        return compare(
            [c.correct for c in self.cells if c.seed in shared],
            [c.correct for c in other.cells if c.seed in shared],
            self.groups,
        )

    @property
    def _seeded(self) -> bool:
        return self.cells[0].size is not None


def best_rank(study: Study, name: str, size: int | None) -> int | None:
    """The rank with the highest mean validation accuracy among those
    with the most seeds at a size; the smallest of equals."""
    scores = {}
    found = {rank: study.cells_of(name, size, rank) for rank in study.ranks(name)}
    most = max((len(cells) for cells in found.values()), default=0)
    for rank, cells in found.items():
        if cells and len(cells) == most:
            scores[rank] = float(np.mean([c.validation or 0.0 for c in cells]))
    return max(scores, key=lambda r: (scores[r], -r)) if scores else None


def arm_of(
    study: Study, name: str, size: int | None, rank: int | None = None, control: str | None = None
) -> Arm | None:
    """One arm; at its best rank by validation where none is given; None where it was not run."""
    rank = rank if rank is not None else best_rank(study, name, size)
    cells = sorted(study.cells_of(name, size, rank, control), key=lambda c: c.seed)
    return Arm(name, tuple(cells), tuple(study.groups), rank) if cells else None


def arms_at(study: Study, size: int | None = None, rank: int | None = None) -> list[Arm]:
    """All arms at a size (the largest by default);
    at ``rank`` where an arm was run with it, else at its best by validation."""
    sizes = study.sizes()
    size = size if size is not None else sizes[-1] if sizes else None
    found = (
        arm_of(study, name, size, rank if rank in study.ranks(name) else None) or arm_of(study, name, size)
        for name in study.arms()
    )
    return [arm for arm in found if arm]
