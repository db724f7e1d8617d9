"""Prompt tuning: embeddings of virtual tokens are learned, nothing else (Lester et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from peft import PromptTuningConfig

from lab.measure.flops import Shape
from lab.models.local import LocalModel
from lab.models.virtual import SoftPrompt
from lab.weights.virtual_tokens import Virtual


@dataclass(frozen=True)
class PromptTuning(Virtual):
    """A prompt of vectors instead of words."""

    name: ClassVar[str] = "prompt_tuning"
    convention: ClassVar[str] = "20 virtual tokens, begun as words drawn from the vocabulary"

    def begin(self, model: LocalModel, words: list[int]) -> SoftPrompt:
        """Embeddings of the words."""
        table = model.network.get_input_embeddings()
        with torch.no_grad():
            return SoftPrompt(model.network, table(torch.tensor(words, device=model.network.device)))

    def held(self, network: SoftPrompt) -> torch.Tensor:
        """(tokens, width)."""
        return network.prompt

    def put_on(self, model: LocalModel, held: torch.Tensor) -> SoftPrompt:
        """Raises RuntimeError for embeddings of another width."""
        width = model.network.get_input_embeddings().embedding_dim
        return SoftPrompt(model.network, held.view(-1, width))

    def config(self, model: LocalModel) -> PromptTuningConfig:
        """Sizes are named, so that peft need not find them in the base's configuration."""
        width = model.network.get_input_embeddings().embedding_dim
        return PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.tokens,
            token_dim=width,
            num_layers=model.layers,
            num_transformer_submodules=1,
        )

    def added_parameters(self, shape: Shape) -> int:
        """A vector a token."""
        return self.tokens * shape.hidden
