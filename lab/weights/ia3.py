"""(IA)3: a factor for every output of every linear layer, and nothing else (Liu et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from peft import IA3Config

from lab.measure.flops import Shape
from lab.models.base import Size
from lab.weights.adapter import Adapter
from lab.weights.trained import rate_by_width


@dataclass(frozen=True)
class IA3(Adapter):
    """Factors on outputs: the smallest adapter there is."""

    name: ClassVar[str] = "ia3"
    RATES: ClassVar[tuple[float, ...]] = (3e-3, 1e-2, 3e-2, 1e-1)
    STUDY_RATES: ClassVar[tuple[float, ...]] = (1e-2, 3e-2)
    convention: ClassVar[str] = "a factor on every output of all linear layers (the paper: of keys, values and the MLP)"

    learning_rate: float = 1e-2
    study_rate: float = 1e-2

    def rate_for(self, size: Size) -> float:
        """Sixty times full fine-tuning's: 3e-3 at the paper's width of 2,048, where rates of so few weights are."""
        return 60 * rate_by_width(size)

    def config(self) -> IA3Config:
        """All factors are one before training; outputs are scaled alike whatever a family calls its layers."""
        return IA3Config(target_modules="all-linear", feedforward_modules=[], task_type="CAUSAL_LM")

    def added_parameters(self, shape: Shape) -> int:
        """One an output of every matrix."""
        return shape.layers * sum(out for _, out in shape.matrices.values())
