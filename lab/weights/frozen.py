"""Frozen weights: nothing is learned (prompting and RAG)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab.models.local import LocalModel
from lab.weights.base import Progress, TrainingData, TrainingLog, Weights


@dataclass(frozen=True)
class Frozen(Weights):
    """The base model as it is."""

    name: ClassVar[str] = "frozen"
    trains: ClassVar[bool] = False

    def adapt(
        self,
        model: LocalModel,
        data: TrainingData,
        folder: Path,
        seed: int,
        progress: Progress,
        start: Path | None = None,
        pause_after: int = 0,
    ) -> TrainingLog:
        """Nothing to do."""
        return TrainingLog()

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model itself."""
        return model
