"""Training from scratch on the task alone: the base model's architecture and tokenizer, random weights, the same data.

What is left of fine-tuning's cheapness when nothing was learned before (``notebooks/why_cheap.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from transformers import AutoModelForCausalLM

from lab.models.local import LocalModel
from lab.weights.full import Full


@dataclass(frozen=True)
class Scratch(Full):
    """All weights, beginning with the architecture's own random ones."""

    name: ClassVar[str] = "scratch"
    RATES: ClassVar[tuple[float, ...]] = (1e-3, 3e-3)
    EPOCHS: ClassVar[tuple[int, ...]] = (10, 40)
    """Random weights need more of them than anything else does."""

    learning_rate: float = 1e-3

    def grid(self, looks: int) -> tuple[Self, ...]:
        """Rates, at both numbers of epochs where there are looks for it."""
        if self.study or looks < 2 * len(self.RATES):
            return super().grid(looks)
        return tuple(replace(self, epochs=e, learning_rate=r) for e in self.EPOCHS for r in self.RATES)

    def fresh(self, model: LocalModel, seed: int) -> torch.nn.Module:
        """A network of the base's configuration with freshly drawn weights."""
        torch.manual_seed(seed)
        network = AutoModelForCausalLM.from_config(model.config)
        return network.to(device=model.network.device)
