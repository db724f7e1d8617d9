"""Commands about a task's data: check, import, generate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.commands.exits import DONE, FAILED
from lab.commands.options import DEFAULT_MODEL, Folder, ModelName, console
from lab.commands.output import Result, show_findings, with_output
from lab.files import write_jsonl
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.tasks.check import Finding
    from lab.tasks.importing import Imported
    from lab.tasks.task import Task

TAKEN_OUT = "taken_out.jsonl"
"""Items that mending left out, each with why."""
SKIPPED = "skipped_rows.jsonl"
"""Rows that an import left out."""
TASK_FILES = ("task.toml", "train.jsonl", "validation.jsonl", "test.jsonl", "documents.jsonl")


@with_output("json")
def check(
    task: Folder,
    model: ModelName = DEFAULT_MODEL,
    mend: Annotated[
        Path | None, typer.Option(help="write the task without leaks, conflicts and duplicates into this folder")
    ] = None,
) -> Result:
    """Look at a task's data: size, splits, leaks, duplicates, conflicts, balance, lengths."""
    from lab.tasks.scorers import scorer_for
    from lab.tasks.task import load_task

    read = load_task(task)
    if ":" not in read.scorer:
        scorer_for(read)
    findings = findings_of(read, model)
    console.print(f"{read.name} ({task}), scorer {read.scorer}", style="bold")
    show_findings(findings)
    found = {"task": read.name, "folder": str(task), "findings": [vars(f) for f in findings]}
    if mend is not None:
        return Result(found | {"written": _mend(read, mend)})
    return Result(found, status=FAILED if any(f.level == "error" for f in findings) else DONE)


def findings_of(task: Task, model: str = "") -> list[Finding]:
    """What a check of a task finds; lengths as well where a model is named."""
    from lab.measure.power import power_findings
    from lab.tasks.check import check_task

    counter = ()
    if model:
        from lab.models.loading import token_counter

        counter = token_counter(model)
    return [*check_task(task, *counter), *power_findings(task)]


def _mend(task: Task, out: Path) -> dict[str, str]:
    """The mended task into a folder of its own, with a list of what was taken out; both paths."""
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
    return {"task": str(out), "taken_out": str(out / TAKEN_OUT)}


@with_output("json", "quiet")
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
) -> Result:
    """Make a task folder from a file."""
    require_free(out, force)
    found = make_task(
        source,
        out,
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
    return Result(found, [str(out)])


def require_free(out: Path, force: bool = False) -> None:
    """Raises LabError where a task's folder holds something already."""
    if out.exists() and not out.is_dir():
        raise LabError(f"--out {out}: is a file; name a folder")
    if out.exists() and any(out.iterdir()) and not force:
        raise LabError(f"{out}: exists and is not empty; give another --out, or --force to replace it")


def make_task(source: str, out: Path, *, documents: Path | None = None, model: str = "", **more: Any) -> dict[str, Any]:
    """Write the task that a file holds, say what was recognised and what a check finds; the same as plain values."""
    from lab.tasks.importing import import_task
    from lab.tasks.task import load_task, write_task

    if documents is not None and not documents.is_dir():
        raise LabError(f"--documents {documents}: no such folder")
    found = import_task(source, name=out.resolve().name, documents=documents, **more)
    for name in (*TASK_FILES, SKIPPED):
        (out / name).unlink(missing_ok=True)
    write_task(found.task, out)
    if found.skipped:
        write_jsonl(out / SKIPPED, ({"file": f, "line": n, "why": w} for f, n, w in found.skipped))
        found.notes.append(f"{len(found.skipped)} bad rows left out: {out / SKIPPED}")
    _say_what_was_made(found, out)
    findings = findings_of(load_task(out), model)
    show_findings(findings)
    return _in_values(found, out) | {"findings": [vars(f) for f in findings]}


def _say_what_was_made(found: Imported, out: Path) -> None:
    task, named = found.task, ", ".join(f"{k} = {v}" for k, v in vars(found.columns).items() if v)
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


def _in_values(found: Imported, out: Path) -> dict[str, Any]:
    task = found.task
    counts = {name: len(getattr(task, name)) for name in ("train", "validation", "test", "documents")}
    return {
        "written": str(out),
        "task": task.name,
        **counts,
        "columns": vars(found.columns),
        "scorer": task.scorer,
        "instruction": task.instruction,
        "notes": found.notes,
        "skipped": len(found.skipped),
    }


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
