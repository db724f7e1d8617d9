"""The arm that experiments start from, and the labelled items that they measure on: never test items.

``chosen_candidate(bench, "lora", 400, [100, 400])`` is what validation chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.flow.bench import Bench, RunSpec
from lab.flow.methods import Candidate, method, offer_of
from lab.flow.plan import Plan, PlannedCell
from lab.flow.search import Search
from lab.schema import LabError, Sample

RANK = 16
"""Of the arm that experiments start from, where it has one."""
SPARE_ITEMS = 200
"""Labelled items outside the data size that quality is measured on."""
FEWEST_SPARE = 20
"""With fewer than these the arm's own validation items are taken."""


def chosen_candidate(bench: Bench, name: str, size: int, sizes: Sequence[int]) -> Candidate:
    """What validation chooses for a trained arm at one of these sizes (rank RANK where it has one)."""
    arm = method(name, offer_of(bench.model, bench.task))
    if not arm.trains:
        raise LabError(f"--method {name}: its weights are frozen; name an arm that trains, such as lora or full")
    cell = PlannedCell(name, RANK if arm.has_rank else None, size, 0)
    candidate, _ = Search(bench).choose(arm, cell, Plan([arm], [cell], 1, list(sizes), [RANK]))
    return candidate


def spare_items(bench: Bench, spec: RunSpec) -> tuple[Sample, ...]:
    """Labelled items (and whole groups) that the spec's draw leaves out;
    its own validation items where too few are left."""
    drawn = bench.scoped(spec)
    used = {s.group or s.id for s in drawn.labelled}
    spare = tuple(s for s in bench.task.labelled if (s.group or s.id) not in used)[:SPARE_ITEMS]
    return spare if len(spare) >= FEWEST_SPARE else drawn.validation
