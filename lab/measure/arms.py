"""From a Study's cells to arms: tables of scores, one row a seed, and what they cost.

``arms_at(study, size)`` gives the arms of a comparison: each at its validation-chosen rank.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lab.measure.statistics import (
    Comparison,
    Draws,
    beside,
    compare,
    draw_weight,
    mean_interval,
    pooled,
    share_interval,
    wilson,
)
from lab.schema import LabError
from lab.study import UNASKED, Cell, Study

KNOWN = 5
"""Degrees of freedom from which on the draws of a kind are known well enough to stand for one arm's own."""


@dataclass(frozen=True)
class Arm:
    """One method at one size and rank, all its seeds."""

    name: str
    """As ``Study.name_of`` says: the method, and the model where it is not the base that matched arms share."""
    cells: tuple[Cell, ...]
    groups: tuple[str, ...]
    rank: int | None = None
    draws: Draws | None = None
    """How much a draw of the training sample moves arms of its kind; None where no arm shows it."""

    @property
    def model(self) -> str:
        """Name of its model; empty for a baseline."""
        return self.cells[0].model

    @property
    def label(self) -> str:
        """The name with the rank where it has one."""
        return f"{self.name} r{self.rank}" if self.rank else self.name

    @cached_property
    def asked(self) -> np.ndarray:
        """Places of the items that every seed was asked: of an arm that left a race not all."""
        if not any(UNASKED in c.outcomes for c in self.cells):
            return np.arange(len(self.groups))
        letters = np.array([list(c.outcomes) for c in self.cells])
        return np.flatnonzero((letters != UNASKED).all(axis=0))

    @cached_property
    def table(self) -> np.ndarray:
        """(seeds, items asked) of 0 and 1."""
        return np.array([c.correct for c in self.cells])[:, self.asked]

    @cached_property
    def asked_groups(self) -> list[str]:
        """Groups of the items asked."""
        return [self.groups[n] for n in self.asked]

    @property
    def accuracy(self) -> float:
        """Mean over items and seeds."""
        return float(self.table.mean())

    @property
    def kind(self) -> str:
        """Arms of one kind are moved alike by a draw of the training sample: ``trained`` ones, those with examples in
        the ``prompt``, a ``baseline``; empty for an arm that uses none."""
        if not self.is_seeded:
            return ""
        return "trained" if self.cells[0].adaptation else self.cells[0].control or "prompt"

    @property
    def is_seeded(self) -> bool:
        """Whether another draw of the training sample gives another result."""
        return self.cells[0].size is not None

    @property
    def one_seed(self) -> bool:
        """Whether one draw of the training sample is all that was tried: how much another would change is unknown."""
        return self.is_seeded and len(self.cells) == 1 and not self.cells[0].control

    @cached_property
    def mean(self) -> Comparison:
        """The accuracy with the variances of items and seeds."""
        return mean_interval(self.table, self.asked_groups)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval: Wilson's for one seed of items without groups, else the two-way one on the logit scale, with
        what draws add by all arms of the kind. One seed tells of items alone."""
        count = len(set(self.asked_groups))
        if self.accuracy in (0.0, 1.0):
            # All right or all wrong in every seed has no variance to measure; Wilson over groups bounds what is unseen.
            return wilson(self.accuracy * count, count)
        if len(self.cells) == 1 and count == len(self.asked_groups):
            return wilson(self.table.sum(), self.table.size)
        alone = self.draws is None or self.draws.degrees < KNOWN
        return share_interval(beside(self.mean, [(self.draws, self.draw_weight)]), alone)

    @property
    def draw_weight(self) -> float:
        """How far a draw can move it where it stands on the scale."""
        return draw_weight(self.accuracy, self.table.size)

    def part(self, name: str) -> float | None:
        """Mean of a partial score, such as ``format``."""
        values = [v for c in self.cells for v in c.parts.get(name, []) if v is not None]
        return float(np.mean(values)) if values else None

    def share_whole(self, name: str) -> float | None:
        """Share of items whose partial score is full: a record with one field of three is not there by a third."""
        values = [v >= 1.0 for c in self.cells for v in c.parts.get(name, []) if v is not None]
        return float(np.mean(values)) if values else None

    def usage(self, name: str) -> float:
        """Mean over seeds of a usage figure, those left out whose training failed; 0 where it was not used."""
        return float(np.mean([c.usage.get(name, 0.0) for c in self.cells if not c.failed] or [0.0]))

    def outcomes(self) -> dict[str, int]:
        """Counts of outcome letters over all seeds."""
        text = "".join(c.outcomes for c in self.cells).replace(UNASKED, "")
        return {letter: text.count(letter) for letter in dict.fromkeys(text)}

    def recall(self) -> dict[str, float]:
        """Mean recall@k."""
        known = [c.recall for c in self.cells if c.recall]
        return {k: float(np.mean([r[k] for r in known])) for k in (known[0] if known else {})}

    def against(self, other: Arm) -> Comparison:
        """Paired difference to another arm on the seeds both have, with what draws of both kinds add."""
        if not (self.is_seeded and other.is_seeded):
            found = self._compared(other, self.table, other.table)
        else:
            shared = sorted({c.seed for c in self.cells} & {c.seed for c in other.cells})
            if not shared:
                raise LabError(
                    f"{self.label} and {other.label} have no seed in common; run lab decide without the budget that "
                    "dropped them"
                )
            mine, theirs = (
                arm.table[[n for n, c in enumerate(arm.cells) if c.seed in shared]] for arm in (self, other)
            )
            found = self._compared(other, mine, theirs)
        return self._beside(found, other)

    def _compared(self, other: Arm, mine: np.ndarray, theirs: np.ndarray) -> Comparison:
        """On the items that both were asked: one that left a race was asked some of them only."""
        if len(self.asked) == len(other.asked) == len(self.groups):
            return compare(mine, theirs, self.groups)
        both = np.intersect1d(self.asked, other.asked)
        if not len(both):
            raise LabError(f"{self.label} and {other.label} have no test item in common")
        here, there = np.searchsorted(self.asked, both), np.searchsorted(other.asked, both)
        return compare(mine[:, here], theirs[:, there], [self.groups[n] for n in both])

    def _beside(self, found: Comparison, other: Arm) -> Comparison:
        return beside(found, [(arm.draws, arm.draw_weight) for arm in (self, other) if arm.is_seeded])


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
    arm = _measured(study, name, size, rank, control)
    if arm is None:
        return None
    others = (_measured(study, other, size) for other in study.arms() if other != name)
    own = arm if control is None else _measured(study, name, size, rank) or arm
    return _with_draws([arm], [own, *(o for o in others if o)])[0]


def _measured(
    study: Study, name: str, size: int | None, rank: int | None = None, control: str | None = None
) -> Arm | None:
    rank = rank if rank is not None else best_rank(study, name, size)
    cells = sorted(study.cells_of(name, size, rank, control), key=lambda c: c.seed)
    if not cells:
        return None
    return Arm(name, tuple(cells), tuple(study.groups), rank)


def _with_draws(arms: Iterable[Arm], shown: Iterable[Arm]) -> list[Arm]:
    """The arms, each with how much a draw moves arms of its kind among those ``shown``."""
    by_kind: dict[str, list[Comparison]] = {}
    for arm in shown:
        by_kind.setdefault(arm.kind, []).append(arm.mean)
    draws = {kind: pooled(means) for kind, means in by_kind.items() if kind}
    return [replace(arm, draws=draws.get(arm.kind)) for arm in arms]


def arms_at(study: Study, size: int | None = None, rank: int | None = None) -> list[Arm]:
    """All arms at a size (the largest by default);
    at ``rank`` where an arm was run with it, else at its best by validation."""
    sizes = study.sizes()
    size = size if size is not None else sizes[-1] if sizes else None
    found = (
        _measured(study, name, size, rank if rank in study.ranks(name) else None) or _measured(study, name, size)
        for name in study.arms()
    )
    arms = [arm for arm in found if arm]
    return _with_draws(arms, arms)
