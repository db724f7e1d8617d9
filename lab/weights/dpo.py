"""DPO: preferred answers against rejected ones, from where LoRA on the preferred ones has come (Rafailov et al. 2023).

A chain: (the documents' text,) LoRA on the pairs, then the preferences in the same adapter, held to what LoRA said by
``beta``. Rejected answers come with the task (``rejected``), or are the model's own wrong ones on training items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

import torch
from torch.nn.functional import logsigmoid

from lab.models.base import Size
from lab.models.likelihood import Encoded, nats_of, sums_of
from lab.models.local import LocalModel
from lab.schema import LabError, Prompt, TrainingFailed
from lab.weights.base import TrainingData, Weights
from lab.weights.lora import Lora
from lab.weights.trained import middle, rate_by_width
from lab.weights.training import Objective


@dataclass(frozen=True)
class Preference(Encoded):
    """A context, the answer that is to be given (``target``) and one that is not."""

    rejected: list[int]
    before: tuple[float, float]
    """Log likelihood of both, in nats, before preferences were trained."""

    @property
    def size(self) -> int:
        """Tokens that go through the network: the context twice."""
        return 2 * len(self.context) + len(self.target) + len(self.rejected)


@dataclass(frozen=True)
class Dpo(Lora):
    """LoRA, then preferences."""

    name: ClassVar[str] = "dpo"
    learns: ClassVar[str] = "preferences"
    RATES: ClassVar[tuple[float, ...]] = (1e-4, 3e-4, 1e-3, 3e-3)
    convention: ClassVar[str] = f"{Lora.convention}; beta 0.1, begun from LoRA on the preferred answers"

    learning_rate: float = 3e-4
    tuned_rate: float = 3e-3
    """Learning rate of the LoRA that comes before."""
    beta: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta <= 0:
            raise LabError(f"beta {self.beta}: above 0")
        if used := next((n for n in ("replay", "kl", "wrong_labels", "distinct") if getattr(self, n)), None):
            raise LabError(f"dpo: {used} is a setting of trainings on pairs, not on preferences")

    def suited(self, size: Size) -> Self:
        """LoRA's recipe and rate, for both of its trainings."""
        rate = float(f"{super().rate_for(size):.2g}")
        return replace(super().suited(size), tuned_rate=rate, study_rate=rate)

    def rate_for(self, size: Size) -> float:
        """A tenth of LoRA's: preferences move what is trained already."""
        return rate_by_width(size)

    def grid(self, looks: int, size: Size | None = None) -> tuple[Self, ...]:
        """Learning rates of the preferences; what comes before is trained at the middle of its own."""
        return tuple(replace(self, learning_rate=r) for r in middle(self.rates_for(size), looks))

    def stage(self) -> Weights | None:
        """LoRA on the preferred answers, by the same recipe."""
        return Lora(
            learning_rate=self.tuned_rate,
            epochs=self.epochs,
            minimum_steps=self.minimum_steps,
            batch_size=self.batch_size,
            patience=self.patience,
            study=self.study,
            study_rate=self.study_rate,
            wordings=self.wordings,
            decay=self.decay,
            weight_decay=self.weight_decay,
            rank=self.rank,
        )

    def items(self, model: LocalModel, network: torch.nn.Module, data: TrainingData, seed: int) -> Sequence[Encoded]:
        """The pairs that have a rejected answer; how likely the network, untrained, finds both."""
        found = []
        for prompt, target, rejected in _rejected(data):
            wanted, other = model.encode_target(target), model.encode_target(rejected)
            context = model.encode(prompt, max(len(wanted), len(other)))
            if not context.error:
                found.append((context.tokens, wanted, other))
        if not found:
            raise TrainingFailed(
                "dpo: no rejected answers to learn from: the task has none, and the model answers no training item "
                "wrongly"
            )
        rows = [Encoded(context, t) for context, *both in found for t in both]
        told = [-nats for nats, _, _ in nats_of(network, rows, model.pad, network.device)]
        network.train()
        return [Preference(c, t, r, (told[2 * n], told[2 * n + 1])) for n, (c, t, r) in enumerate(found)]

    def usable(self, data: TrainingData) -> int:
        """Those that have a rejected answer."""
        return len(_rejected(data))

    @property
    def objective(self) -> Objective:
        """The loss of preferences."""
        return partial(preference_loss, self.beta)


def _rejected(data: TrainingData) -> list[tuple[Prompt, str, str]]:
    """(prompt, answer, rejected answer) of the pairs that have one."""
    both = zip(data.pairs, data.rejected)
    return [(prompt, target, other) for (prompt, target), other in both if other not in ("", target)]


def preference_loss(
    beta: float, network: torch.nn.Module, base, batch: Sequence[Preference], general, schedule, pad: int, device
) -> torch.Tensor:
    """-log sigmoid(beta x (what preferred gained - what rejected gained)), the mean over the batch."""
    rows = [Encoded(e.context, e.target) for e in batch] + [Encoded(e.context, e.rejected) for e in batch]
    preferred, rejected = sums_of(network, rows, pad, device).chunk(2)
    before = torch.tensor([e.before for e in batch], device=preferred.device)
    return -logsigmoid(beta * ((preferred - before[:, 0]) - (rejected - before[:, 1]))).mean()
