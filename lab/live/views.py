"""What notebooks ask beside charts: the tasks at hand, and whether a model fits a memory."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import marimo as mo

from lab.decision import Settings
from lab.live.pages import REPOSITORY
from lab.live.shelf import Shelf
from lab.measure.flops import Shape
from lab.measure.memory import forecast_training
from lab.models.folders import brought_models, bundled_models
from lab.report.items import with_texts
from lab.report.rendering import template
from lab.report.write import page
from lab.schema import LabError
from lab.store import Store
from lab.study import Study
from lab.tasks.task import Task, load_task

LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}
"""The shape of Llama-3.1-8B, from its config.json."""


def task_folders() -> dict[str, str]:
    """{label: folder} of the tasks at hand: here, under ``datasets/`` here, and the bundled ones."""
    places = [Path("."), Path("datasets"), REPOSITORY / "datasets"]
    found = {}
    for place in places:
        for path in sorted(place.glob("*/task.toml")):
            found.setdefault(path.parent.name, str(path.parent))
    return found


def models_at_hand(shelf: Shelf, task: str) -> list[str]:
    """Names of models to choose from, the one to show a task with ahead: the newest of one's own runs, else the largest
    with a reference study, else the bundled one."""
    studied = [s for s in shelf.studies if s.study.task["name"] == task]
    own = [s.study.model["name"] for s in studied if not s.committed]
    committed = [s.study.model for s in studied if s.committed]
    referred = sorted(committed, key=lambda m: -(m.get("parameters") or 0))
    known = [*own, *(m["name"] for m in referred), *bundled_models(), *brought_models(), *(m for _, m in shelf.names())]
    return list(dict.fromkeys(known))


def study_picker(shelf: Shelf, parameters: dict[str, str], names: Sequence[tuple[str, str]], first: int = 0) -> Any:
    """A dropdown of (task, model), the one that the address names ahead, else the ``first`` of them."""
    options = {f"{task} · {model}": (task, model) for task, model in names}
    wanted = f"{parameters.get('task', '')} · {parameters.get('model', '')}"
    default = wanted if wanted in options else [*options][first] if options else None
    return mo.ui.dropdown(options, value=default, label="Study", allow_select_none=False)


def table(rows: Sequence[dict[str, Any]], links: dict[str, str] | None = None) -> mo.Html:
    """A short table to read: no search, export or selection around it, scrolling sideways where it is wide; ``links``
    names for a column the one that holds its cells' addresses."""
    links = links or {}
    columns = [c for c in dict.fromkeys(k for r in rows for k in r) if c not in links.values()]
    return mo.Html(template("lab.live", "table.html").render(rows=rows, columns=columns, links=links))


def rows_by_id(task: Task) -> dict[str, str]:
    """Where each item stands, as a person finds it: ``test.jsonl, row 17``."""
    splits = {"train": task.train, "validation": task.validation, "test": task.test}
    return {s.id: f"{split}.jsonl, row {n}" for split, items in splits.items() for n, s in enumerate(items, 1)}


def report_with_texts(study: Study, settings: Settings) -> bytes:
    """The report as one HTML file, with items on which arms disagree where their texts are at hand."""
    shown, items = with_texts(study, Store())
    return page(shown, settings, items).encode()


def text_block(text: str) -> mo.Html:
    """A text as it is, its lines wrapped where they are too long."""
    style = "white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem;margin:.2rem 0"
    return mo.Html(f'<pre style="{style}">{html.escape(text, quote=False)}</pre>')


def load(folder: str) -> tuple[Task | None, str]:
    """A task, or why it can't be read."""
    try:
        return load_task(folder), ""
    except LabError as error:
        return None, str(error)


def memory_rows(
    config: bytes | None, methods: Sequence[str], batch: int, sequence: int, rank: int, checkpointing: bool
) -> tuple[list[dict[str, Any]], str]:
    """Training memory in GiB by method, of an uploaded ``config.json`` (Llama-3.1-8B's shape without one);
    or what is wrong with it."""
    try:
        shape = Shape.of(json.loads(config) if config else LLAMA_8B)
    except (ValueError, LabError) as error:
        return [], str(error)
    found = {
        m: forecast_training(shape, m, batch=batch, sequence=sequence, rank=rank, checkpointing=checkpointing)
        for m in methods
    }
    return [
        {
            "method": m,
            "model": f"{shape.parameters / 1e9:.2f} B parameters",
            **{part: round(value / 2**30, 2) for part, value in asdict(memory).items()},
            "GiB in all": round(memory.total / 2**30, 1),
        }
        for m, memory in found.items()
    ], ""
