"""Commands about a task's data: check, import, generate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.commands.options import DEFAULT_MODEL, Folder, ModelName, console
from lab.files import write_jsonl
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.tasks.task import Task

TAKEN_OUT = "taken_out.jsonl"
"""Items that mending left out, each with why."""
SKIPPED = "skipped_rows.jsonl"
"""Rows that an import left out."""
TASK_FILES = ("task.toml", "train.jsonl", "validation.jsonl", "test.jsonl", "documents.jsonl")


def check(
    task: Folder,
    model: ModelName = DEFAULT_MODEL,
    mend: Annotated[
        Path | None, typer.Option(help="write the task without leaks, conflicts and duplicates into this folder")
    ] = None,
) -> None:
    """Look at a task's data: size, splits, leaks, duplicates, conflicts, balance, lengths."""
    from lab.commands.terminal import show_findings
    from lab.measure.power import power_findings
    from lab.models.loading import token_counter
    from lab.tasks.check import check_task
    from lab.tasks.scorers import scorer_for
    from lab.tasks.task import load_task

    read = load_task(task)
    if ":" not in read.scorer:
        scorer_for(read)
    findings = [*check_task(read, *token_counter(model)), *power_findings(read)]
    console.print(f"{read.name} ({task}), scorer {read.scorer}", style="bold")
    show_findings(console, findings)
    if mend is not None:
        _mend(read, mend)
        return
    if any(f.level == "error" for f in findings):
        raise typer.Exit(1)


def _mend(task: Task, out: Path) -> None:
    """The mended task into a folder of its own, with a list of what was taken out."""
    from lab.tasks.mending import mended
    from lab.tasks.task import write_task

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LabError(f"--mend {out}: exists and is not empty; name another folder")
    better, gone = mended(task)
    write_task(better, out)
    write_jsonl(out / TAKEN_OUT, map(vars, gone))
    console.print(
        f"{out}: {len(better.train):,} train, {len(better.validation):,} validation, {len(better.test):,} test; "
        f"{len(gone):,} items were taken out: {out / TAKEN_OUT}",
        soft_wrap=True,
    )


def import_(
    source: Annotated[str, typer.Argument(help="CSV, TSV, JSONL, JSON or Parquet file, or a Hub dataset id")],
    out: Annotated[Path, typer.Option(help="task folder to write")],
    input: Annotated[str, typer.Option(help="column with the input")] = "",
    target: Annotated[str, typer.Option(help="column with the target")] = "",
    id: Annotated[str | None, typer.Option(help="column with ids; '' for none")] = None,
    group: Annotated[
        str | None, typer.Option(help="column whose equal values never stand on both sides of a split; '' for none")
    ] = None,
    evidence: Annotated[
        str | None, typer.Option(help="column with ids of the documents that hold the answer; '' for none")
    ] = None,
    documents: Annotated[Path | None, typer.Option(help="folder of texts, web pages, PDF and Word files")] = None,
    test: Annotated[str, typer.Option(help="a file of its own for the test split")] = "",
    validation: Annotated[str, typer.Option(help="a file of its own for the validation split")] = "",
    instruction: Annotated[str, typer.Option(help="what the model is told to do")] = "",
    scorer: Annotated[
        str, typer.Option(help="exact, label, any, number, json, f1, record or judge; guessed by default")
    ] = "",
    encoding: Annotated[str, typer.Option(help="recognised where it is not given")] = "",
    separator: Annotated[str, typer.Option(help="of CSV files: , ; | or tab; recognised where it is not given")] = "",
    decimal: Annotated[str, typer.Option(help="of the number scorer: . or ,")] = "",
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="leave out rows that can't be read, and write them down")
    ] = False,
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    force: Annotated[bool, typer.Option(help="replace an existing task folder")] = False,
) -> None:
    """Make a task folder from a file."""
    from lab.commands.terminal import show_findings
    from lab.measure.power import power_findings
    from lab.tasks.check import check_task
    from lab.tasks.importing import import_task
    from lab.tasks.task import load_task, write_task

    if out.exists() and any(out.iterdir()) and not force:
        raise LabError(f"{out}: exists and is not empty; give another --out, or --force to replace it")
    if documents is not None and not documents.is_dir():
        raise LabError(f"--documents {documents}: no such folder")
    found = import_task(
        source,
        name=out.resolve().name,
        documents=documents,
        test_source=test,
        validation_source=validation,
        instruction=instruction,
        scorer=scorer,
        encoding=encoding,
        separator=separator,
        decimal=decimal,
        seed=seed,
        skip_bad_rows=skip_bad_rows,
        input_column=input,
        target_column=target,
        id_column=id,
        group_column=group,
        evidence_column=evidence,
    )
    task = found.task
    for name in (*TASK_FILES, SKIPPED):
        (out / name).unlink(missing_ok=True)
    write_task(task, out)
    if found.skipped:
        write_jsonl(out / SKIPPED, ({"file": f, "line": n, "why": w} for f, n, w in found.skipped))
        found.notes.append(f"{len(found.skipped)} bad rows left out: {out / SKIPPED}")
    named = ", ".join(f"{k} = {v}" for k, v in vars(found.columns).items() if v)
    console.print(
        f"{out}: {len(task.train):,} train, {len(task.validation):,} validation, {len(task.test):,} test, "
        f"{len(task.documents):,} documents",
    )
    console.print(
        f"columns: {named}; scorer: {task.scorer}; instruction: {task.instruction!r} (both are in {out}/task.toml)",
        soft_wrap=True,
    )
    for note in found.notes:
        console.print(note, soft_wrap=True)
    written = load_task(out)
    show_findings(console, [*check_task(written), *power_findings(written)])


def import_probe(
    suite: Annotated[str, typer.Argument(help="hellaswag, arc, winogrande or mmlu")],
    source: Annotated[Path, typer.Argument(help="the suite's own JSONL or CSV file")],
    out: Annotated[Path, typer.Option(help="probe folder to write")],
    items: Annotated[int, typer.Option(help="the first so many")] = 200,
) -> None:
    """Make a forgetting probe from a public suite's file; use it with lab decide --probes FOLDER."""
    from lab.tasks.suites import import_suite

    console.print(f"{out}: {import_suite(suite, source, out, items)} items", soft_wrap=True)


def generate(
    out: Annotated[Path, typer.Option(help="folder of the task folders")] = Path("datasets"),
    name: Annotated[str, typer.Option(help="one task only")] = "",
    rare_format: bool = True,
    label_noise: float = 0.0,
    distractors: int = 0,
    wordings: int = 1,
    known_facts: bool = False,
    train: int = 2000,
    validation: int = 300,
    test: int = 600,
    seed: int = 1,
) -> None:
    """Write the bundled tasks, or variants with other knobs."""
    from lab.tasks.task import write_task
    from lab.world.tasks import GENERATORS, Knobs
    from lab.world.tasks import generate as make

    knobs = Knobs(
        rare_format=rare_format,
        label_noise=label_noise,
        distractors=distractors,
        wordings=wordings,
        known_facts=known_facts,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )
    for task_name in [name] if name else list(GENERATORS):
        task = make(task_name, knobs)
        write_task(task, out / task_name)
        items = f"{len(task.train):,} / {len(task.validation):,} / {len(task.test):,} items"
        console.print(f"{out / task_name}: {items}, {len(task.documents):,} documents")
