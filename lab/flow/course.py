"""The course from what is asked to a study, for ``lab decide`` and ``lab.decide`` alike.

``Grid.of(task, ["rag", "lora"])`` raises for what can't be run, without a model; ``grid.plan_on(bench)`` is the plan,
and ``measure(bench, plan, ...)`` the study, kept as it grows by a ``Keeper``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lab.files import digest
from lab.flow.bench import Bench, Progress
from lab.flow.instructions import to_try
from lab.flow.looks import count_test_looks
from lab.flow.methods import default_methods, offer_of
from lab.flow.plan import Plan, expand
from lab.flow.probing import NEEDED, ProbeSet, abilities
from lab.flow.questions import require_writer
from lab.flow.race import Race
from lab.flow.runner import Runner
from lab.measure.settings import Settings
from lab.models.base import require
from lab.study import Study
from lab.tasks.task import Task

if TYPE_CHECKING:
    from lab.flow.workers import Workers
    from lab.tasks.check import Finding


@dataclass(frozen=True)
class Grid:
    """Which arms of a task are measured, at which ranks and sizes, in how many draws."""

    task: Task
    methods: tuple[str, ...]
    ranks: tuple[int, ...]
    sizes: tuple[int, ...]
    seeds: int
    first: Plan
    """The plan as far as it is known without a model."""

    @classmethod
    def of(
        cls,
        task: Task,
        methods: Sequence[str] = (),
        ranks: Sequence[int] = (16,),
        sizes: Sequence[int] = (),
        seeds: int = 3,
    ) -> Self:
        """With what suits the task where nothing is named: its usual arms, all its labels.

        Raises LabError for what can't be run, whatever the model.
        """
        asked = (tuple(methods or default_methods(task)), tuple(ranks), tuple(sizes or [len(task.labelled)]), seeds)
        return cls(task, *asked, expand(*asked, task))

    @property
    def uses_reranker(self) -> bool:
        """Whether any arm reads passages by a cross-encoder."""
        return any(m.uses_reranker for m in self.first.methods)

    def plan_on(self, bench: Bench) -> Plan:
        """The plan with what the bench's model is offered; raises LabError for an arm that it can't be."""
        tried: Sequence[str] = ()
        if any(m.searches_instructions for m in self.first.methods):
            tried = to_try(self.task, bench.model, bench.store, self.first.sizes[0])
        offer = offer_of(bench.model, self.task, tried)
        plan = expand(self.methods, self.ranks, self.sizes, self.seeds, self.task, offer)
        for m in plan.methods:
            require(bench.model, m.abilities, f"--methods {m.name}")
            if m.writes_questions:
                require_writer(bench.model)
        return plan


class Keeper:
    """Writes a study as it grows: on the user's shelf, and beside the report where there is one."""

    def __init__(self, bench: Bench, command: str, out: Path | None = None, redact: bool = False) -> None:
        name = digest({"task": bench.task.digest, "command": command})[:16]
        self.shelved = bench.store.home / "studies" / name / "study.json"
        self.out, self.redact = out, redact

    def __call__(self, study: Study) -> None:
        """Write it as it is now."""
        if self.out is not None:
            (study.redacted() if self.redact else study).save(self.out / "study.json")
        # A run that begins again must not hide what the stopped one had measured.
        if "finished" in study.made or cells_in(self.shelved) <= len(study.cells):
            study.save(self.shelved)


def cells_in(path: Path) -> int:
    """Cells of a written study; 0 where there is none."""
    try:
        return len(json.loads(path.read_text(encoding="utf-8"))["cells"])
    except (OSError, ValueError, KeyError):
        return 0


def measure(
    bench: Bench,
    plan: Plan,
    findings: Sequence[Finding],
    probes: ProbeSet | None,
    command: str,
    *,
    keep: Keeper,
    raced: Settings | None,
    allow_leak: bool = False,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> Study:
    """All cells of the plan, or those that a race under the settings ``raced`` needs; kept as it grows.

    ``probes`` are asked before and after each training, None asks none.
    """
    runner = Runner(bench, probes, progress, workers)
    course = Race(runner, plan, raced, keep).run if raced else None
    study = runner.run(plan, findings, abilities(runner.prober, NEEDED), keep, course)
    study.settings |= {
        "command": command,
        "allow_leak": allow_leak,
        "test_looks": count_test_looks(bench.store, study),
    }
    keep(study)
    return study
