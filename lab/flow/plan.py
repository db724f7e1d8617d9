"""From axes to concrete cells, with a forecast in seconds and what a budget drops.

A cell is one arm at one rank, size and seed. A budget drops whole cells, dearest first; never an arm, and never the
second seed of an arm's largest size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.context.base import Offer
from lab.flow.methods import Method, method
from lab.measure.racing import FIRST, MORE_DRAWS
from lab.schema import LabError
from lab.study import draws
from lab.tasks.task import Task

MOST_SEEDS = 100
"""Draws of one run."""


@dataclass(frozen=True)
class PlannedCell:
    """One arm at one rank, size and seed; None where the axis changes nothing for the arm."""

    method: str
    rank: int | None
    size: int | None
    seed: int

    @property
    def label(self) -> str:
        """``lora rank 16 size 400 seed 0``"""
        axes = (("rank", self.rank), ("size", self.size), ("seed", self.seed if self.size else None))
        return " ".join([self.method, *(f"{n} {v}" for n, v in axes if v is not None)])


@dataclass
class Plan:
    """What will be run."""

    methods: list[Method]
    cells: list[PlannedCell]
    seeds: int
    sizes: list[int]
    ranks: list[int]
    seconds: dict[PlannedCell, float] = field(default_factory=dict)
    learning_seconds: dict[PlannedCell, float] = field(default_factory=dict)
    """The part of ``seconds`` that is the same however few test items are asked."""
    search_seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    """By arm and data size; a size's search runs only while one of its cells is kept, the largest size's always."""
    middle_search_seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    """Forecast of the searches at the sizes between, which run only where smallest and largest size choose differently.
    """
    fixed_seconds: float = 0.0
    """Forecast of what does not depend on cells: the base model's probes."""
    memory_bytes: dict[PlannedCell, float] = field(default_factory=dict)
    """Forecast of each cell's peak beyond the loaded model; empty for a model whose shape is unknown."""
    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of a model that is paid by the token: forecast of those of the prompts and of what is written, by arm, and of the
    probes under ``""``."""
    dropped: list[PlannedCell] = field(default_factory=list)
    detectable: float = 1.0

    @property
    def draws(self) -> range:
        """Numbers of the measured draws of the training sample."""
        return draws(self.seeds)

    def method(self, name: str) -> Method:
        """An arm by its name."""
        return next(m for m in self.methods if m.name == name)

    def in_order(self) -> list[PlannedCell]:
        """The cells as they are run: arm by arm, first seeds first, the largest size and rank before smaller ones."""
        names = [m.name for m in self.methods]
        return sorted(self.cells, key=lambda c: (names.index(c.method), c.seed, -(c.size or 0), -(c.rank or 0)))

    def at_largest(self, cell: PlannedCell) -> bool:
        """Whether a cell has the largest data size, or none."""
        return cell.size in (None, self.sizes[-1])

    def is_first(self, cell: PlannedCell) -> bool:
        """Whether a cell is the first draw of its arm, or the only one of an arm without labels."""
        return cell.size is None or cell.seed == self.draws[0]

    def is_probed(self, cell: PlannedCell) -> bool:
        """Forgetting is measured at the largest size: of every training,
        and once of each context that puts something into the prompt."""
        first = self.method(cell.method).candidates[0]
        return self.at_largest(cell) and (first.weights.trains or (self.is_first(cell) and not first.context.bare))

    def has_controls(self, cell: PlannedCell) -> bool:
        """Whether gold and random passages are tried as well: once an arm, at the largest size."""
        return self.is_first(cell) and self.at_largest(cell) and bool(self.method(cell.method).controls)

    @property
    def total_seconds(self) -> float:
        """Forecast of everything that is kept."""
        return (
            self.fixed_seconds
            + sum(self.searching(m.name) for m in self.methods)
            + sum(self.seconds[c] for c in self.cells)
        )

    def race_seconds(self, items: int) -> tuple[float, float]:
        """Forecast of a race on so many items: all arms but the cheapest dropped at the first look, and none ever."""
        largest, share = [c for c in self.cells if self.at_largest(c)], min(1.0, FIRST / max(1, items))
        first = sum(
            (1 - share) * self.learning_seconds.get(c, 0.0) + share * self.seconds[c]
            for c in largest
            if self.is_first(c)
        )
        rest = {m.name: sum(self.seconds[c] for c in self.cells if c.method == m.name) for m in self.methods}
        searches = self.fixed_seconds + sum(self.searching(m.name) for m in self.methods)
        further = sum(self.seconds[c] for c in largest if c.seed == self.draws[-1]) * MORE_DRAWS
        return searches + first + min(rest.values()), self.total_seconds + (further if self.seeds > 1 else 0.0)

    def peak_bytes(self, name: str) -> float | None:
        """The largest forecast peak among an arm's cells."""
        return max((b for c, b in self.memory_bytes.items() if c.method == name), default=None)

    def fill_in(
        self,
        cell_seconds: Callable[[PlannedCell], tuple[float, float]],
        search_seconds: Callable[[Method, int], float],
        fixed_seconds: float = 0.0,
        memory_bytes: Callable[[PlannedCell], float | None] = lambda cell: None,
    ) -> None:
        """The forecast of every cell (what is the same for any number of test items, and all) and every search."""
        forecast = {c: cell_seconds(c) for c in self.cells}
        self.learning_seconds, self.seconds = ({c: f[part] for c, f in forecast.items()} for part in (0, 1))
        self.fixed_seconds = fixed_seconds
        self.memory_bytes = {c: found for c in self.cells if (found := memory_bytes(c)) is not None}
        for m in self.methods:
            sizes = {self.sizes[0], self.sizes[-1]} if m.uses_labels else {self.sizes[-1]}
            self.search_seconds |= {(m.name, size): search_seconds(m, size) for size in sizes}
            middle = self.sizes[1:-1] if m.uses_labels else []
            self.middle_search_seconds |= {(m.name, size): search_seconds(m, size) for size in middle}

    def as_json(self) -> dict[str, Any]:
        """What a study keeps of it; what was ``measured`` is filled in as the cells are run."""
        told = {}
        for m in self.methods if self.seconds else ():
            cells = {c.label: self.seconds[c] for c in self.cells if c.method == m.name}
            told[m.name] = {"search": self.searching(m.name), "cells": cells, "peak_bytes": self.peak_bytes(m.name)}
        return {
            "methods": [m.name for m in self.methods],
            "cells": len(self.cells),
            "forecast_seconds": self.total_seconds if self.seconds else None,
            "forecast": told,
            "measured": {},
            "dropped": [c.label for c in self.dropped],
            "detectable": self.detectable,
        }

    def searching(self, name: str) -> float:
        """Forecast of an arm's searches that its kept cells need."""
        kept = {c.size for c in self.cells if c.method == name} | {self.sizes[-1]}
        return sum(s for (method_name, size), s in self.search_seconds.items() if method_name == name and size in kept)


def expand(
    names: Sequence[str],
    ranks: Sequence[int],
    sizes: Sequence[int],
    seeds: int,
    task: Task,
    offer: Offer = Offer(),  # noqa: B008 (frozen)
) -> Plan:
    """All cells of the grid; raises LabError for values that can't be run."""
    if not names:
        raise LabError("--methods: name at least one")
    if len(set(names)) != len(names):
        raise LabError("--methods: a name stands twice")
    if not 1 <= seeds <= MOST_SEEDS:
        raise LabError(f"--seeds {seeds}: from 1 to {MOST_SEEDS}")
    most = len(task.labelled)
    for size in sizes:
        if not 4 <= size <= most:
            raise LabError(f"--sizes {size}: from 4 to the {most} labelled items (train + validation) of {task.name}")
    for rank in ranks:
        if rank < 1:
            raise LabError(f"--ranks {rank}: a rank is a whole number from 1")
    methods = [method(n, offer) for n in names]
    for m in methods:
        if twin := next((o for o in methods if o.candidates == m.candidates and o is not m), None):
            raise LabError(f"--methods: {m.name} and {twin.name} are one arm under two names; leave one out")
        for candidate in m.candidates:
            candidate.context.require(task)
    sizes, ranks = sorted(set(sizes)) or [most], sorted(set(ranks)) or [16]
    cells = []
    for m in methods:
        if not m.uses_labels:
            cells.append(PlannedCell(m.name, None, None, 0))
            continue
        for rank in ranks if m.has_rank else [None]:
            cells += [PlannedCell(m.name, rank, size, seed) for size in sizes for seed in draws(seeds)]
    return Plan(methods, cells, seeds, sizes, ranks)


def apply_budget(plan: Plan, budget_seconds: float | None) -> None:
    """Drop cells, dearest first, until the forecast fits; raises LabError where the smallest honest plan does not."""
    if budget_seconds is None:
        return
    kept_ranks = {m.name: plan.ranks[-1] for m in plan.methods}

    def droppable(cell: PlannedCell) -> bool:
        headline = cell.size in (None, plan.sizes[-1]) and cell.rank in (None, kept_ranks[cell.method])
        return not (headline and (cell.size is None or cell.seed in plan.draws[:2])) and plan.seconds[cell] > 0

    def dearness(cell: PlannedCell) -> float:
        """Mean over the seeds of an arm, rank and size: its seeds go together, the highest first."""
        alike = [
            s for c, s in plan.seconds.items() if (c.method, c.rank, c.size) == (cell.method, cell.rank, cell.size)
        ]
        return sum(alike) / len(alike)

    for cell in sorted(
        (c for c in plan.cells if droppable(c)),
        key=lambda c: (-dearness(c), c.method, c.rank or 0, c.size or 0, -c.seed),
    ):
        if plan.total_seconds <= budget_seconds:
            return
        plan.cells.remove(cell)
        plan.dropped.append(cell)
    if plan.total_seconds > budget_seconds:
        raise LabError(
            f"--budget {budget_seconds / 60:.0f}m: every arm once with {min(2, plan.seeds)} seed(s) takes about "
            f"{plan.total_seconds / 60:.0f} minutes; "
            "raise the budget, or name fewer methods, smaller sizes or fewer seeds"
        )


def parse_budget(text: str) -> float | None:
    """``20m``, ``90s`` or ``1.5h`` in seconds; None for an empty text."""
    if not text:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text[:-1]) * units[text[-1]]
    except (KeyError, ValueError):
        raise LabError(f"--budget {text}: a number with s, m or h, such as 20m") from None
    if not seconds > 0:
        raise LabError(f"--budget {text}: more than nothing is needed")
    return seconds
