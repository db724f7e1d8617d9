"""DoRA: a LoRA of each matrix's direction, and its columns' lengths trained beside it (Liu et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from peft import LoraConfig

from lab.measure.flops import Shape
from lab.weights.lora import Lora


@dataclass(frozen=True)
class Dora(Lora):
    """A low-rank adapter with magnitudes of its own."""

    name: ClassVar[str] = "dora"

    def config(self, **changes: Any) -> LoraConfig:
        """LoRA's, with weight decomposition."""
        return super().config(use_dora=True, **changes)

    def added_parameters(self, shape: Shape) -> int:
        """LoRA's, and one magnitude an output of every matrix."""
        return super().added_parameters(shape) + shape.layers * sum(out for _, out in shape.matrices.values())
