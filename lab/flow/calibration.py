"""The rates of this machine and model: seconds a token of training, reading and writing, measured in a few seconds.

``calibrate(model, store.home)`` and ``training_rate(model, store.home, weights)`` measure once a machine and model and
keep what they found (under ``home``) for a day.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from lab.files import tell, write_json
from lab.models.likelihood import Encoded
from lab.models.local import LocalModel
from lab.models.pace import Pace, pace_of, random_rows, rows_for, width_of
from lab.store import key_of
from lab.weights.account import training_pace
from lab.weights.base import Weights
from lab.weights.full import Full
from lab.weights.lora import Lora

VERSION = 5
"""Raised when the same rates are measured in another way, or generation becomes faster."""
KEPT_SECONDS = 86_400
STEPS = 4
"""Training steps that are timed of a small model; of a large one a part of a step."""


def calibrate(model: LocalModel, home: Path) -> Pace:
    """How fast the model reads and writes."""
    return Pace(**_measured(model, home, "pace", [f.name for f in fields(Pace)], lambda: asdict(pace_of(model))))


def training_rate(model: LocalModel, home: Path, weights: Weights) -> float:
    """Seconds a token of a training step (forward, backward, update): of all weights, or of an adapter's."""
    stands_for = Full() if weights.footprint == "full" else Lora()

    def timed() -> dict[str, float]:
        items = _items(model)
        # A small model warms up by a batch, of a large one an item must do.
        warm = 1 if len(items) < stands_for.batch_size else None
        return {"training": 1 / training_pace(model, items, stands_for, warm)}

    return _measured(model, home, f"training {stands_for.name}", ["training"], timed)["training"]


def _measured(
    model: LocalModel, home: Path, what: str, names: Sequence[str], measure: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """What was measured within a day on this machine with this model, else what is measured now."""
    made_with = {"model": model.revision, "machine": asdict(model.machine), "torch": torch.__version__}
    path = home / "calibration" / f"{key_of(made_with | {'what': what, 'version': VERSION})}.json"
    if path.exists() and time.time() - path.stat().st_mtime < KEPT_SECONDS:
        try:
            found = json.loads(path.read_text())
            if all(isinstance(found[n], float) and found[n] >= 0 for n in names):
                return {n: found[n] for n in names}
        except (OSError, ValueError, TypeError, LookupError):
            pass
        tell(f"{path}: damaged; the rates are measured again")
    found = measure()
    write_json(path, found)
    return found


def _items(model: LocalModel) -> list[Encoded]:
    """Prompts of random tokens with short answers, for a few steps."""
    count = rows_for(model, STEPS * Full().batch_size, 8)
    if count < Full().batch_size:
        count = count // 2
    rows = random_rows(model, count, width_of(model), np.random.default_rng(1))
    return [Encoded(r[:-12], r[-12:]) for r in rows]
