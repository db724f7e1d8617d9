"""A task without the faults that ``lab check`` can name for sure: leaks, conflicts, duplicates.

``mended(task)`` gives the task and what was taken out of it, each item with why. Test items stay where they can: what
stands in test as well leaves train and validation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.schema import LabError, Sample
from lab.tasks.check import counted_as, repeated_inputs
from lab.tasks.task import SPLITS, Task
from lab.tasks.texts import likeness


@dataclass(frozen=True)
class TakenOut:
    """One item that left, and why."""

    split: str
    id: str
    why: str


def mended(task: Task) -> tuple[Task, list[TakenOut]]:
    """(the task without them, what was taken out); raises LabError where a split would be left empty."""
    gone: dict[str, TakenOut] = {}
    repeated = repeated_inputs(task)

    def leave(split: str, sample: Sample, why: str) -> None:
        gone.setdefault(sample.id, TakenOut(split, sample.id, why))

    for alike in repeated:
        if len({counted_as(task)(s.target) for _, s in alike}) > 1:
            for split, sample in alike:
                others = ", ".join(s.id for _, s in alike if s is not sample)
                leave(split, sample, f"conflict: the same input has another target in {others}")
    test = [s for s in task.test if s.id not in gone]
    inputs, groups = {likeness(s.input): s.id for s in test}, {s.group: s.id for s in test if s.group}
    for split in ("train", "validation"):
        for sample in task.split(split):
            if (twin := inputs.get(likeness(sample.input))) is not None:
                leave(split, sample, f"leak: stands in test as {twin}")
            elif sample.group in groups:
                leave(split, sample, f"leak: its group {sample.group} stands in test ({groups[sample.group]})")
    for alike in repeated:
        kept = [(split, s) for split, s in alike if s.id not in gone]
        for split, sample in kept[1:]:
            leave(split, sample, f"duplicate of {kept[0][1].id}")
    left = {name: tuple(s for s in task.split(name) if s.id not in gone) for name in SPLITS}
    if empty := [name for name, samples in left.items() if not samples]:
        raise LabError(f"{task.folder}: nothing would be left in {' and '.join(empty)}; more items are needed")
    order = {s.id: n for n, s in enumerate((*task.train, *task.validation, *task.test))}
    return replace(task, **left), sorted(gone.values(), key=lambda g: order[g.id])
