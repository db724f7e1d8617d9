"""What notebooks ask beside charts: the tasks at hand, and whether a model fits a memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.live.pages import REPOSITORY
from lab.measure.flops import Shape
from lab.measure.memory import forecast_training
from lab.schema import LabError
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
