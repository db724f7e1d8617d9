"""A toy weight method: LoRA on the attention alone, in one file as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from peft import LoraConfig

from lab.weights.lora import Lora


@dataclass(frozen=True)
class AttentionLora(Lora):
    """A low-rank adapter of the queries and values."""

    name: ClassVar[str] = "attention_lora"
    convention: ClassVar[str] = "alpha = 2 x rank on queries and values"

    def config(self, **changes: Any) -> LoraConfig:
        """LoRA's, on two layers of each block."""
        return super().config(target_modules=["q_proj", "v_proj"], **changes)
