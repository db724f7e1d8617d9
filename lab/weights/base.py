"""What every weight method is: it adapts a base network to training data and can put the result back on later.

``Lora(rank=16).adapt(model, data, folder, seed, progress)`` writes the adapter and its log into ``folder``;
``Lora(rank=16).apply(model, folder)`` gives the model with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lab.models.local import LocalModel
from lab.schema import Document, Prompt

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, a few words)."""


@dataclass(frozen=True)
class TrainingData:
    """What an adaptation may learn from."""

    pairs: tuple[tuple[Prompt, str], ...] = ()
    validation: tuple[tuple[Prompt, str], ...] = ()
    documents: tuple[Document, ...] = ()
    general: tuple[str, ...] = ()
    """Texts of what the base model learned before: for replay and for staying near the base."""


@dataclass
class TrainingLog:
    """What an adaptation used and how it went."""

    steps: int = 0
    best_step: int = 0
    trained_tokens: int = 0
    """Context and target tokens that went through training steps, general texts included."""
    general_tokens: int = 0
    """Those of general texts among them."""
    target_tokens: int = 0
    seconds: float = 0.0
    trained_parameters: int = 0
    optimizer_bytes: int = 0
    peak_bytes: int = 0
    """Most memory that training held beyond what was there before (of the process on a CPU, of the allocator on CUDA)."""
    validation_looks: int = 0
    validation_accuracy: float = 0.0
    """Share of validation items whose every target token is the model's first choice (teacher-forced exact match)."""
    validation_nll: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    spectrum: dict[str, list[float]] = field(default_factory=dict)
    """Singular values of each changed matrix's update, largest first."""
    energy: dict[str, float] = field(default_factory=dict)
    """Sum of all squared singular values, where ``spectrum`` holds only the first ones."""


@dataclass(frozen=True)
class Weights(ABC):
    """Settings of one weight method; all of it goes into the key."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True

    @abstractmethod
    def adapt(self, model: LocalModel, data: TrainingData, folder: Path, seed: int, progress: Progress, start: Path | None = None) -> TrainingLog:
        """Learn, and write what was learned into ``folder``; ``start`` is the folder of an adaptation to go on from."""

    @abstractmethod
    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with what was learned; the base's own network stays as it is."""

    @property
    def needs_general(self) -> bool:
        """Whether general texts are trained on beside the task."""
        return False

    def alongside(self, model: LocalModel, folder: Path) -> LocalModel | None:
        """The model with what was learned kept beside its weights, where the method can (adapters); else None."""
        return None

    def study_stage(self) -> Weights | None:
        """The settings of a stage on the documents' text that comes first, where there is one."""
        return None
