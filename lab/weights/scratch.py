"""Training from scratch on the task alone: the base model's architecture and tokenizer, random weights, the same data.

What is left of fine-tuning's cheapness when nothing was learned before (``notebooks/why_cheap.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from transformers import AutoModelForCausalLM

from lab.models.base import Size
from lab.models.local import LocalModel
from lab.models.placing import put_as
from lab.weights.full import Full


@dataclass(frozen=True)
class Scratch(Full):
    """All weights, beginning with the architecture's own random ones."""

    name: ClassVar[str] = "scratch"
    RATES: ClassVar[tuple[float, ...]] = (1e-3, 3e-3)
    AROUND: ClassVar[tuple[float, ...]] = (0.5, 1.0)
    """The formula's rate and half of it: weights that have to be found stand no more."""
    EPOCHS: ClassVar[tuple[int, ...]] = (10, 40)
    """Random weights need more of them than anything else does."""

    learning_rate: float = 1e-3

    def suited(self, size: Size) -> Self:
        """The fixed recipe: nothing is there that few epochs could build on."""
        return self

    def rate_for(self, size: Size) -> float:
        """0.003239 - 0.0001395 ln(parameters): of networks that begin with random weights (Kaplan et al. 2020, D.6)."""
        return 0.003239 - 0.0001395 * math.log(size.parameters)

    def grid(self, looks: int, size: Size | None = None) -> tuple[Self, ...]:
        """Rates, at both numbers of epochs where there are looks for it."""
        if self.study or looks < 2 * len(self.RATES):
            return super().grid(looks, size)
        return tuple(replace(self, epochs=e, learning_rate=r) for e in self.EPOCHS for r in self.rates_for(size))

    def fresh(self, model: LocalModel, seed: int) -> torch.nn.Module:
        """A network of the base's configuration with freshly drawn weights."""
        torch.manual_seed(seed)
        return put_as(AutoModelForCausalLM.from_config(model.config), model.network)
