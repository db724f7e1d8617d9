"""Training from scratch on the task alone: the base model's architecture and tokenizer, random weights, the same data.

What is left of fine-tuning's cheapness when nothing was learned before (``notebooks/why_cheap.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import AutoModelForCausalLM

from lab.models.local import LocalModel
from lab.weights.full import Full


@dataclass(frozen=True)
class Scratch(Full):
    """All weights, beginning with the architecture's own random ones."""

    name: ClassVar[str] = "scratch"

    learning_rate: float = 1e-3

    def network(self, model: LocalModel, seed: int, start: Path | None) -> Any:
        """A network of the base's configuration with freshly drawn weights (``start`` goes on from its result)."""
        if start is not None:
            return super().network(model, seed, start)
        torch.manual_seed(seed)
        network = AutoModelForCausalLM.from_config(model.network.config)
        return network.to(device=model.network.device, dtype=model.network.dtype).requires_grad_(True)
