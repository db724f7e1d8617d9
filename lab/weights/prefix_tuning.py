"""Prefix tuning: keys and values of virtual tokens are learned in every layer (Li and Liang 2021).

Without the paper's network that makes them: they begin as what the base makes of real words, which the paper found to
be what matters where data is little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from peft import PrefixTuningConfig

from lab.measure.flops import Shape
from lab.models.local import LocalModel
from lab.models.virtual import Prefix, keys_and_values
from lab.schema import LabError
from lab.weights.virtual_tokens import Virtual


@dataclass(frozen=True)
class PrefixTuning(Virtual):
    """Virtual tokens that every layer attends to."""

    name: ClassVar[str] = "prefix_tuning"
    convention: ClassVar[str] = "20 virtual tokens in every layer, begun as words drawn from the vocabulary"

    def begin(self, model: LocalModel, words: list[int]) -> Prefix:
        """Keys and values of the words."""
        return Prefix(model.network, self._of(model, words))

    def held(self, network: Prefix) -> torch.Tensor:
        """(tokens, layers x 2 x heads x width), as peft reads it."""
        return network.prefix.flatten(0, 1).transpose(0, 1).flatten(1)

    def put_on(self, model: LocalModel, held: torch.Tensor) -> Prefix:
        """Raises RuntimeError for a prefix of another shape."""
        layers, two, _, heads, width = self._of(model, [0]).shape
        return Prefix(model.network, held.view(-1, layers, two, heads, width).permute(1, 2, 0, 3, 4))

    def config(self, model: LocalModel) -> PrefixTuningConfig:
        """Sizes are named: those of keys, which peft would take for those of queries."""
        layers, _, _, heads, width = self._of(model, [0]).shape
        return PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.tokens,
            token_dim=heads * width,
            num_attention_heads=heads,
            num_layers=layers,
            num_transformer_submodules=1,
        )

    def added_parameters(self, shape: Shape) -> int:
        """A key and a value a token, in every layer."""
        return self.tokens * shape.layers * 2 * shape.key_value_heads * shape.head_width

    def _of(self, model: LocalModel, words: list[int]) -> torch.Tensor:
        try:
            return keys_and_values(model.network, words)
        except ValueError as error:
            raise LabError(f"{self.name}: {model.name} ({model.config.model_type}): {error}") from None
