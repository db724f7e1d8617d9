"""The lab from Python: what the commands do, as functions on plain values.

    >>> import lab
    >>> study = lab.load_study("reports/triage")
    >>> lab.verdict(study).chosen
    'lora r16'

A name here is a name of the package: ``lab.decide``, ``lab.load_study``. Importing ``lab`` loads none of it; torch is
loaded where a model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.decision import Decision
from lab.decision import decide as _decided
from lab.measure.settings import Settings
from lab.schema import LabError
from lab.study import Study
from lab.tasks.task import Task
from lab.tasks.task import load_task as _load_task

if TYPE_CHECKING:
    import altair

    from lab.flow.arm import Answer
    from lab.tasks.check import Finding

__all__ = [
    "Decision",
    "LabError",
    "Settings",
    "Study",
    "Task",
    "answer",
    "check",
    "cost_chart",
    "decide",
    "load_study",
    "load_task",
    "quality_chart",
    "size_chart",
    "verdict",
    "write_report",
]


def load_task(folder: str | Path) -> Task:
    """A task folder: ``task.toml``, ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` and perhaps documents.

    Raises LabError naming file and line of what can't be read.

        >>> task = load_task("datasets/triage")
        >>> task.name, task.scorer, len(task.labelled), len(task.test)
        ('triage', 'record', 2300, 600)
    """
    return _load_task(Path(folder))


def check(task: Task) -> list[Finding]:
    """What is to be said of a task's data before anything runs, errors first: leaks, duplicates, conflicts, balance,
    lengths.

        >>> {finding.level for finding in check(load_task("datasets/triage"))} <= {"error", "warning", "note"}
        True
    """
    from lab.tasks.check import check_task

    return check_task(task)


def load_study(folder: str | Path) -> Study:
    """A study that ``lab decide`` or ``decide`` has written: the folder of its report, or its ``study.json``.

    Raises LabError where it is missing, damaged or of a later version.

        >>> study = load_study("reports/triage")
        >>> study.arms(), study.sizes()
        (['zero_shot', 'few_shot', 'few_shot_nearest', 'lora'], [100, 400])
    """
    return Study.load(Path(folder))


def verdict(
    study: Study, settings: Settings | None = None, *, size: int | None = None, rank: int | None = None
) -> Decision:
    """Which arm to take, why not the others, and what would change it: at one data size (the largest by default) and
    one LoRA rank (each arm's own by validation by default). Nothing is run.

        >>> decision = verdict(load_study("reports/triage"), Settings(margin=0.05, monthly_requests=50_000))
        >>> decision.sentence[:19], decision.tone
        ('Take lora r16: righ', 'good')
        >>> [(row.label, row.why) for row in decision.standings][-1]
        ('zero_shot', 'cheaper, clearly worse')
    """
    return _decided(study, settings, size, rank)


def decide(
    task: Task | str | Path,
    *,
    model: str = "nano",
    methods: Sequence[str] = (),
    sizes: Sequence[int] = (),
    ranks: Sequence[int] = (16,),
    seeds: int = 3,
    items: int = 0,
    race: bool = True,
    forgetting: bool = True,
    embedder: str = "embedder",
    device: str = "auto",
    precision: str = "auto",
    settings: Settings | None = None,
    out: str | Path | None = None,
) -> Study:
    """Run the arms on a task as ``lab decide`` does, and give the study; ``verdict(study)`` says which to take.

    ``methods``: names of docs/METHODS.md (a sensible handful by default); ``sizes``: labelled examples, train and
    validation together (all by default); ``items``: of a large test set a fixed random part of so many; ``seeds``:
    draws of the training sample; ``race``: drop what is clearly worse early, under ``settings``; ``out``: a folder that
    gets ``study.json`` and the report. What is stored already is not run again, and the notebooks show the study.
    Raises LabError for what can't be run.

        >>> study = decide("datasets/triage", methods=["zero_shot"], items=20, forgetting=False)
        >>> len(study.items), study.arms()
        (20, ['zero_shot'])
    """
    from lab.commands.workbench import open_bench
    from lab.flow.course import Grid, Keeper, measure
    from lab.tasks.check import require_sound

    read = task if isinstance(task, Task) else load_task(task)
    read = read.with_items(items) if items else read
    findings = require_sound(read, allow_leak=False)
    grid = Grid.of(read, methods, ranks, sizes, seeds)
    bench, probes = open_bench(read, model, device, precision, embedder)
    asked = f"methods={list(grid.methods)}, sizes={list(grid.sizes)}, ranks={list(grid.ranks)}, seeds={seeds}"
    command = f"lab.decide({str(read.folder)!r}, model={model!r}, {asked}, items={items})"
    study = measure(
        bench,
        grid.plan_on(bench),
        findings,
        probes if forgetting and "train" in bench.model.can else None,
        command,
        keep=Keeper(bench, command, None if out is None else Path(out)),
        raced=(settings or Settings()) if race else None,
    )
    if out is not None:
        write_report(study, out, settings)
    return study


def write_report(study: Study, out: str | Path, settings: Settings | None = None, *, texts: bool = True) -> Path:
    """Write ``report.html`` (one file that opens anywhere), ``report.md`` and ``decision.json`` into a folder; the path
    of the first. ``texts``: with completions of validation items, where they are at hand."""
    from lab.report.items import with_texts
    from lab.report.write import write_report as write
    from lab.store import Store

    shown, items = with_texts(study, Store()) if texts else (study.redacted(), None)
    return write(shown, settings or Settings(), Path(out), items)["html"]


def quality_chart(study: Study, decision: Decision) -> altair.TopLevelMixin:
    """One row an arm: share right with its interval, dollars a month and, where it was measured, what is forgotten.

    >>> study = load_study("reports/triage")
    >>> type(quality_chart(study, verdict(study))).__name__
    'HConcatChart'
    """
    from lab.report.charts.quality import forgets
    from lab.report.charts.quality import quality_chart as chart
    from lab.report.looks import Looks
    from lab.report.rows import arm_rows

    return chart(arm_rows(decision.arms, Looks.of(study), decision.chosen), forgets(study))


def cost_chart(study: Study, decision: Decision) -> altair.TopLevelMixin:
    """Share right against dollars a month: an arm with another above it and to its left is dominated.

    >>> study = load_study("reports/triage")
    >>> type(cost_chart(study, verdict(study))).__name__
    'LayerChart'
    """
    from lab.report.charts.cost import cost_chart as chart
    from lab.report.looks import Looks
    from lab.report.rows import arm_rows

    return chart(arm_rows(decision.arms, Looks.of(study), decision.chosen))


def size_chart(study: Study, *, rank: int | None = None) -> altair.TopLevelMixin:
    """Share right by labelled examples, one line an arm. Raises LabError for a study of one size.

    >>> type(size_chart(load_study("reports/triage"))).__name__
    'LayerChart'
    """
    from lab.report.charts.sizes import size_chart as chart
    from lab.report.charts.sizes import size_rows
    from lab.report.looks import Looks

    if len(study.sizes()) < 2:
        raise LabError("size_chart: this study has one data size; run lab.decide with two or more sizes")
    looks = Looks.of(study)
    return chart(size_rows(study, looks, rank), looks, tuple(study.sizes()))


def answer(study: Study, inputs: Sequence[str], *, arm: str, model: str = "nano", device: str = "auto") -> list[Answer]:
    """Answer new inputs with an arm of a study (its label or name), exactly as its test items were answered.

    Raises LabError where the study's task or model is no longer at hand.

        >>> said = answer(load_study("reports/triage"), ["The lamp in room 4 is broken."], arm="zero_shot")
        >>> len(said), said[0].problem
        (1, '')
    """
    from lab.commands.workbench import bench_of
    from lab.flow.arm import Ready, arm_named, live_cell
    from lab.measure.arms import arms_at

    found = arm_named(arms_at(study), arm)
    ready = Ready(bench_of(study, model, None, device), study, live_cell(found), found.label)
    return ready.answers([(str(n), text) for n, text in enumerate(inputs)])
