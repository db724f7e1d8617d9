"""What every weight method is: it adapts a base network to training data and can put the result back on later.

``Lora(rank=16).adapt(model, data, folder, seed, progress)`` writes the adapter and its log into ``folder``;
``Lora(rank=16).apply(model, folder)`` gives the model with it. What the rest of the lab must know of a method it asks
the class: whether it ``trains``, is an ``adapter``, ``has_rank``, what it holds in memory, which candidates it offers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from lab.measure.flops import Shape
from lab.models.base import Size
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
    rejected: tuple[str, ...] = ()
    """Of each pair an answer that must not be given, empty where there is none; for preferences alone."""
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
    left_out: int = 0
    """Training items that don't fit the model's window."""
    written_tokens: int = 0
    """Tokens read and written to make the training data: questions on documents."""
    unrejected: int = 0
    """Of a training on preferences: items that have no rejected answer, so that it learned nothing from them."""
    seconds: float = 0.0
    trained_parameters: int = 0
    optimizer_bytes: int = 0
    peak_bytes: int = 0
    """Most memory that training held beyond what was there before (of the process on a CPU,
    of the allocator on CUDA)."""
    validation_looks: int = 0
    validation_accuracy: float = 0.0
    """Share of validation items whose every target token is the model's first choice (teacher-forced exact match)."""
    validation_nll: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    spectrum: dict[str, list[float]] = field(default_factory=dict)
    """Largest singular values of each changed matrix's update (merged minus base), largest first."""
    energy: dict[str, float] = field(default_factory=dict)
    """Sum of all squared singular values, of which ``spectrum`` holds the first ones."""


@dataclass(frozen=True)
class Weights(ABC):
    """Settings of one weight method; all of it goes into the key."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    adapter: ClassVar[bool] = False
    """What is learned can be kept beside the base's weights, which stay as they are."""
    merges: ClassVar[bool] = True
    """An adapter that can be merged into the base's own weights."""
    rounds: ClassVar[bool] = False
    """The base's own matrices are rounded as well, so that even without training it answers a little otherwise."""
    has_rank: ClassVar[bool] = False
    footprint: ClassVar[str] = "full"
    """Which of ``lab.measure.memory.FOOTPRINTS`` its training holds in memory."""
    learns: ClassVar[str] = "pairs"
    """``pairs`` of prompt and answer, or ``preferences``: of two answers to a prompt the better one."""
    frozen_layers: ClassVar[int] = 0
    """How many of the first layers get no gradients at all."""
    convention: ClassVar[str] = ""
    """What a reader must know to compare its settings with another house's, such as LoRA's alpha."""
    variants: ClassVar[dict[str, dict[str, Any]]] = {"": {}}
    """Presets that it makes beside the plain one: what stands before its name, and the settings that are fixed."""

    @abstractmethod
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
        """Learn, and write it into ``folder``; ``start`` is the folder of an adaptation to go on from.

        After ``pause_after`` looks at validation (0: never) a checkpoint stays there and ``Paused`` is raised.
        """

    @abstractmethod
    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with what was learned, as fast as can be; an adapter's is lent until the base is used."""

    def beside(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with what was learned kept beside its weights, where the method can;
        it knows what the base says."""
        return self.apply(model, folder)

    def suited(self, size: Size) -> Self:
        """The same method with the recipe that a pretrained model of this size is trained by."""
        return self

    def grid(self, looks: int, size: Size | None = None) -> tuple[Self, ...]:
        """At most ``looks`` candidates for validation to choose from, this method's other settings kept;
        for a model of this ``size``, else by the fixed recipe."""
        return (self,)

    def at_rank(self, rank: int | None) -> Self:
        """The same method at another rank; itself where it has none."""
        return replace(self, rank=rank) if self.has_rank and rank is not None else self

    def added_parameters(self, shape: Shape) -> int:
        """Weights that an adapter adds to a network of this shape; 0 where the base's own are trained."""
        return 0

    @property
    def before(self) -> int:
        """Virtual tokens that stand before every text, and take their part of the window."""
        return 0

    @property
    def says(self) -> str:
        """What tells this method's settings apart in progress lines."""
        return ""

    @property
    def needs_general(self) -> bool:
        """Whether general texts are trained on beside the task."""
        return False

    @property
    def reads(self) -> bool:
        """Whether this is the reading of the documents' text: a stage, never an arm."""
        return False

    def stage(self) -> Weights | None:
        """The settings of the training that comes before and that this one goes on from, where there is one."""
        return None

    @property
    def wordings(self) -> int:
        """Above 0, of a reading: documents as questions, each in so many wordings."""
        return 0

    @property
    def stages(self) -> tuple[Weights, ...]:
        """All that come before, the first one first."""
        before = self.stage()
        return (*before.stages, before) if before else ()
