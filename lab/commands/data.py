"""Commands about a task's data: check, import, generate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from lab.measure.power import power_findings
from lab.schema import LabError
from lab.tasks.check import check_task
from lab.tasks.task import load_task, write_task


def run_check(console: Console, folder: Path, model_name: str) -> bool:
    """Show the findings; True where there are errors."""
    from lab.models.local import folder_of
    from lab.terminal import show_findings

    task = load_task(folder)
    from lab.tasks.scorers import scorer_for

    if ":" not in task.scorer:
        scorer_for(task)
    source = folder_of(model_name)
    count, window = None, None
    if (source / "tokenizer.json").exists():
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(source)
        count, window = lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), int(tokenizer.model_max_length)
    findings = [*check_task(task, count, window), *power_findings(task)]
    console.print(f"[bold]{task.name}[/bold] ({folder}), scorer {task.scorer}", highlight=False)
    show_findings(console, findings)
    return any(f.level == "error" for f in findings)


def run_import(console: Console, source: str, out: Path, *, force: bool, columns: dict[str, str], documents: Path | None, **options: Any) -> None:
    """Write the task folder and show what was guessed."""
    from lab.tasks.importing import import_task
    from lab.terminal import show_findings

    if out.exists() and any(out.iterdir()) and not force:
        raise LabError(f"{out}: exists and is not empty; give another --out, or --force to replace it")
    if documents is not None and not documents.is_dir():
        raise LabError(f"--documents {documents}: no such folder")
    task, chosen = import_task(source, name=out.name, documents=documents, **options, **columns)
    for name in ("task.toml", "train.jsonl", "validation.jsonl", "test.jsonl", "documents.jsonl"):
        (out / name).unlink(missing_ok=True)
    write_task(task, out)
    named = ", ".join(f"{k} = {v}" for k, v in vars(chosen).items() if v)
    console.print(f"{out}: {len(task.train):,} train, {len(task.validation):,} validation, {len(task.test):,} test, {len(task.documents):,} documents", highlight=False)
    console.print(f"columns: {named}; scorer: {task.scorer}; instruction: {task.instruction!r} (both are in {out}/task.toml)", highlight=False, markup=False, soft_wrap=True)
    written = load_task(out)
    show_findings(console, [*check_task(written), *power_findings(written)])


def run_generate(console: Console, out: Path, name: str, **knobs: Any) -> None:
    """Write generated task folders."""
    from lab.world.tasks import GENERATORS, Knobs, generate

    for task_name in [name] if name else list(GENERATORS):
        task = generate(task_name, Knobs(**knobs))
        write_task(task, out / task_name)
        console.print(f"{out / task_name}: {len(task.train):,} / {len(task.validation):,} / {len(task.test):,} items, {len(task.documents):,} documents", highlight=False)
