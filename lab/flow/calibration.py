"""The rates of this machine and model: seconds a token of training, reading and writing, measured in a few seconds.

``calibrate(model, store.home)`` measures once a machine and model and keeps what it found for a day.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from lab.files import tell, write_json
from lab.models.likelihood import Encoded
from lab.models.local import LocalModel
from lab.models.pace import Pace, pace_of, random_rows, rows_for, width_of
from lab.store import key_of
from lab.weights.account import training_pace
from lab.weights.full import Full

VERSION = 4
"""Raised when the same rates are measured in another way, or generation becomes faster."""
KEPT_SECONDS = 86_400
STEPS = 4
"""Training steps that are timed of a small model; of a large one a part of a step."""


@dataclass(frozen=True)
class Rates(Pace):
    """Seconds a token on this machine with this model."""

    training: float
    """Forward, backward and update, a token of a batch."""


def calibrate(model: LocalModel, home: Path) -> Rates:
    """Measure the rates in a few seconds, once a machine and model (kept under ``home``, remeasured after a day)."""
    key = key_of(
        {
            "model": model.revision,
            "machine": asdict(model.machine),
            "torch": torch.__version__,
            "rates": [f.name for f in fields(Rates)],
            "version": VERSION,
        }
    )
    path = home / "calibration" / f"{key}.json"
    if path.exists() and time.time() - path.stat().st_mtime < KEPT_SECONDS:
        try:
            return Rates(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            tell(f"{path}: damaged; the rates are measured again")
    items = _items(model)
    # A small model warms up by a batch, of a large one an item must do.
    warm = 1 if len(items) < Full().batch_size else None
    rates = Rates(**asdict(pace_of(model)), training=1 / training_pace(model, items, Full(), warm))
    write_json(path, asdict(rates))
    return rates


def _items(model: LocalModel) -> list[Encoded]:
    """Prompts of random tokens with short answers, for a few steps of full fine-tuning."""
    count = rows_for(model, STEPS * Full().batch_size, 8)
    if count < Full().batch_size:
        count = count // 2
    rows = random_rows(model, count, width_of(model), np.random.default_rng(1))
    return [Encoded(r[:-12], r[-12:]) for r in rows]
