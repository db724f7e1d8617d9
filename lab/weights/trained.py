"""What every trained weight method shares: its recipe as fields, and the way from data to a trained network.

A method says which network is trained (``prepared``) and what is kept of it (``keep``); ``adapter.py``, ``full.py`` and
``scratch.py`` are that short because of this room.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from lab.files import CHECKPOINT
from lab.models.base import Size
from lab.models.likelihood import Encoded, Logits
from lab.models.local import LocalModel
from lab.schema import LabError, Prompt
from lab.tasks.documents import document_text
from lab.weights.base import Progress, TrainingData, TrainingLog, Weights
from lab.weights.training import DECAYS, Objective, Schedule, batch_loss, encode_documents, encode_pairs, train

STUDY_EPOCHS = 30
MOST_WORDINGS = 5
"""Of a question on the documents."""
Pairs = tuple[tuple[Prompt, str], ...]


@dataclass(frozen=True)
class Trained(Weights):
    """The recipe; ``study`` reads the documents' text before the pairs."""

    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "": {},
        "study_": {"study": True},
        "qa_": {"study": True, "wordings": 2},
    }
    RATES: ClassVar[tuple[float, ...]] = (1e-3,)
    """Learning rates that validation chooses from where the recipe is fixed (the lab's own models)."""
    STUDY_RATES: ClassVar[tuple[float, ...]] = (1e-3,)
    """Of the stage on the documents, likewise; for another model the middle two of its own rates."""
    AROUND: ClassVar[tuple[float, ...]] = (0.5, 1.0, 2.0, 4.0)
    """Rates of a model's grid, as multiples of the formula's: short trainings, as small data makes them, want more."""

    learning_rate: float = 1e-3
    epochs: int = 10
    minimum_steps: int = 150
    batch_size: int = 16
    patience: int = 0
    """Above 0: training ends after so many looks at validation that found no lower loss."""
    study: bool = False
    study_rate: float = 1e-3
    """Learning rate of the study stage."""
    study_epochs: int = 0
    """Above 0 this is the study stage itself: that many epochs of the documents' text and no pairs."""
    wordings: int = 0
    """Above 0: the documents are read as questions and answers that the model writes itself, each in so many wordings,
    instead of as text."""
    decay: str = "cosine"
    """How the learning rate goes after its warm-up: ``cosine``, ``linear`` or ``constant``."""
    weight_decay: float = 0.0
    replay: float = 0.0
    """Share of general texts among the items trained on (0.05: one in twenty), beside all of the task's own."""
    kl: float = 0.0
    """Weight of KL(base || tuned) on general texts in the loss."""
    wrong_labels: float = 0.0
    """Share of training targets replaced by another item's: what does bad data cost?"""
    distinct: int = 0
    """Above 0: only so many different examples, repeated up to the same count: what is variety worth?"""

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise LabError(f"unknown decay {self.decay!r}; one of {', '.join(DECAYS)}")
        for name, most in (("replay", 0.9), ("wrong_labels", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise LabError(f"{name} {getattr(self, name)}: a share from 0 to {most:g} is needed")
        for name in ("kl", "weight_decay", "distinct", "patience", "wordings"):
            if getattr(self, name) < 0:
                raise LabError(f"{name} {getattr(self, name)}: not below 0")
        if self.wordings > MOST_WORDINGS:
            raise LabError(f"wordings {self.wordings}: at most {MOST_WORDINGS}")

    @property
    def needs_general(self) -> bool:
        """Whether general texts are trained on beside the task."""
        return self.replay > 0 or self.kl > 0

    @property
    def reads(self) -> bool:
        """Where epochs of reading are set."""
        return self.study_epochs > 0

    def stage(self) -> Weights | None:
        """The stage on the documents that comes before, where ``study`` is set."""
        if not self.study:
            return None
        # A fact is met as often, however many wordings it has.
        epochs = max(1, STUDY_EPOCHS // max(1, self.wordings))
        return replace(self, study=False, study_epochs=epochs, learning_rate=self.study_rate)

    def suited(self, size: Size) -> Self:
        """Up to five epochs, ended early; the least number of steps is for small data, where five epochs are few."""
        return replace(self, epochs=5, minimum_steps=60, batch_size=8, patience=3)

    @abstractmethod
    def rate_for(self, size: Size) -> float:
        """The learning rate that a pretrained model of this size is known to train well at."""

    def rates_for(self, size: Size | None) -> tuple[float, ...]:
        """Learning rates that validation chooses from."""
        return tuple(float(f"{f * self.rate_for(size):.2g}") for f in self.AROUND) if size else self.RATES

    def grid(self, looks: int, size: Size | None = None) -> tuple[Self, ...]:
        """Learning rates; where documents are studied first, that stage's rates too."""
        offered = self.rates_for(size)
        if not self.study:
            return tuple(replace(self, learning_rate=r) for r in middle(offered, looks))
        stages = middle(middle(offered, 2) if size else self.STUDY_RATES, max(1, looks // 2))
        rates = middle(offered, max(1, looks // len(stages)))
        return tuple(replace(self, learning_rate=r, study_rate=s) for s in stages for r in rates)

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
        """Train what this method trains and keep in ``folder`` what was learned."""
        what = f"{self.name} study" if self.reads else f"{self.name}{self.says}, rate {self.learning_rate:g}"
        validation = [] if self.reads else encode_pairs(model, data.validation, self.before)
        general = encode_documents(model, list(data.general)) if self.needs_general else []
        if self.needs_general and not general:
            raise LabError(
                f"{self.name}: replay and kl need general texts, and there are none for {model.name}; name a text file "
                "with --general-text"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with self.prepared(model, seed, start) as network:
            items = self.items(model, network, data, seed)
            base = self.base_logits(model, network) if self.kl else None
            log = train(
                model,
                network,
                items,
                validation,
                self.schedule,
                seed,
                progress,
                what,
                folder / CHECKPOINT,
                general,
                base,
                pause_after,
                self.objective,
            )
            log.unrejected = len(data.pairs) - self.usable(data)
            log.left_out = 0 if self.reads else self.usable(data) - len(items)
            self.keep(model, network, log, folder)
        return log

    def items(self, model: LocalModel, network: torch.nn.Module, data: TrainingData, seed: int) -> Sequence[Encoded]:
        """What is trained on, as tokens; ``network`` is what will be trained."""
        if self.reads and not self.wordings:
            return encode_documents(model, [document_text(d) for d in data.documents])
        return encode_pairs(model, self._taught(data.pairs, seed), self.before)

    def usable(self, data: TrainingData) -> int:
        """How many of the pairs it can learn from, whatever their length."""
        return len(data.pairs)

    @property
    def objective(self) -> Objective:
        """The loss of one batch."""
        return batch_loss

    @property
    def schedule(self) -> Schedule:
        """How long and how fast this recipe trains."""
        return Schedule(
            self.learning_rate,
            self.study_epochs or self.epochs,
            self.minimum_steps,
            self.batch_size,
            patience=self.patience,
            weight_decay=self.weight_decay,
            decay=self.decay,
            replay=self.replay,
            kl=self.kl,
        )

    @abstractmethod
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> AbstractContextManager[torch.nn.Module]:
        """The network to train, with ``requires_grad`` set on what is learned; the base is as it was at the end."""

    @abstractmethod
    def base_logits(self, model: LocalModel, network: torch.nn.Module) -> Logits:
        """What the base says while ``network`` is trained."""

    @abstractmethod
    def keep(self, model: LocalModel, network: torch.nn.Module, log: TrainingLog, folder: Path) -> None:
        """Write what was learned, and the spectrum of the change into the log."""

    def _taught(self, pairs: Pairs, seed: int) -> Pairs:
        """The pairs as this recipe teaches them: repeated where few are distinct, some with another item's target."""
        rng = random.Random(f"taught {seed}")
        if self.distinct:
            kept = pairs[: self.distinct]
            pairs = tuple(kept[i % len(kept)] for i in range(len(pairs)))
        if not self.wrong_labels:
            return pairs
        wrong = set(rng.sample(range(len(pairs)), round(self.wrong_labels * len(pairs))))
        others = sorted({t for _, t in pairs})
        return tuple(
            (p, rng.choice([o for o in others if o != t] or [t])) if i in wrong else (p, t)
            for i, (p, t) in enumerate(pairs)
        )


def rate_by_width(size: Size) -> float:
    """5e-5 x (2000 / hidden width)^0.78: full fine-tuning's learning rate, falling with the width.

    Source: Schulman et al., LoRA Without Regret (2025), the fit for Llama models over widths 1,024 to 8,192; what it is
    worth at 576 is in ``reports/rates``.
    """
    return 5e-5 * (2000 / size.hidden) ** 0.78


def middle(values: Sequence[float], count: int) -> Sequence[float]:
    """So many neighbours from the middle of an ordered grid."""
    start = max(0, (len(values) - count + 1) // 2)
    return values[start : start + count]
