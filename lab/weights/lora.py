"""LoRA: low-rank updates of all linear layers (Hu et al. 2021; all layers: LoRA Without Regret 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from peft import LoraConfig

from lab.measure.flops import Shape
from lab.schema import LabError
from lab.weights.adapter import Adapter

ALPHA_PER_RANK = 2
"""The alpha convention: alpha = 2 x rank, so that the scale alpha / rank is 2 at every rank."""


@dataclass(frozen=True)
class Lora(Adapter):
    """A low-rank adapter."""

    name: ClassVar[str] = "lora"
    has_rank: ClassVar[bool] = True
    convention: ClassVar[str] = "alpha = 2 x rank on all linear layers"

    learning_rate: float = 3e-3
    study_rate: float = 3e-3
    rank: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise LabError(f"--ranks {self.rank}: a rank is a whole number from 1")

    def config(self, **changes: Any) -> LoraConfig:
        """B is zero, so an untrained adapter changes nothing."""
        return LoraConfig(
            **(
                {
                    "r": self.rank,
                    "lora_alpha": ALPHA_PER_RANK * self.rank,
                    "lora_dropout": 0.0,
                    "target_modules": "all-linear",
                    "task_type": "CAUSAL_LM",
                }
                | changes
            )
        )

    @property
    def says(self) -> str:
        """The rank."""
        return f" rank {self.rank}"

    def added_parameters(self, shape: Shape) -> int:
        """A and B of every linear layer."""
        return shape.lora_parameters(self.rank)
