"""rsLoRA: LoRA scaled by alpha / sqrt(rank): a large rank learns as fast as a small one (Kalajdzievski 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from peft import LoraConfig

from lab.weights.lora import Lora

ALPHA = 8
"""At rank 16 the scale is LoRA's own, 2."""


@dataclass(frozen=True)
class RsLora(Lora):
    """A low-rank adapter with a rank-stabilised scale."""

    name: ClassVar[str] = "rslora"
    convention: ClassVar[str] = "alpha = 8 at every rank, scale alpha / sqrt(rank), on all linear layers"

    def config(self, **changes: Any) -> LoraConfig:
        """LoRA's, with the other scale."""
        return super().config(use_rslora=True, lora_alpha=ALPHA, **changes)
