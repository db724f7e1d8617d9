"""Compute by formula: what a forward pass, a training step and a LoRA step cost, N without embeddings, attention
counted.

``Shape.of(config)`` reads any Llama-type ``config.json``; formulas count a multiplication and an addition as two::

    forward a token   2 N + 4 L h t        (t: mean number of positions attended to; N has the head's h V only
                                            where logits are computed)
    full fine-tuning  3 x forward          (Kaplan et al. 2020: 6 N)
    LoRA              2 x forward + 6 P    (no weight gradients of the base: 4 N + 6 P)
    frozen layers     forward, and 2 x that of the layers above them

checked within 5 % against torch's own counter (``tests/measure/test_flops.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.schema import LabError


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer by its sizes."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head_width: int
    vocabulary: int
    tied: bool = False
    gated: bool = True
    """Gate and up projection beside the down projection (Llama, Mistral, Qwen); False: two matrices (GPT-2, Phi)."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Shape:
        """From a ``config.json``'s keys; raises LabError naming the first one that is missing."""

        def read(*names: str, default: int | None = None) -> int:
            found = next((config[n] for n in names if config.get(n) is not None), default)
            if not isinstance(found, int) or found < 1:
                raise LabError(f"config.json: {' or '.join(names)} is missing or no positive number")
            return found

        hidden, heads = read("hidden_size", "n_embd"), read("num_attention_heads", "n_head")
        inner = read("intermediate_size", "n_inner", default=4 * hidden)
        return cls(
            read("num_hidden_layers", "n_layer"),
            hidden,
            inner,
            heads,
            read("num_key_value_heads", default=heads),
            read("head_dim", default=max(1, hidden // heads)),
            read("vocab_size"),
            bool(config.get("tie_word_embeddings", False)),
            config.get("model_type") not in ("gpt2", "gpt_neox", "phi", "opt", "starcoder2"),
        )

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Linear layers of one block: name -> (inputs, outputs)."""
        h, q, kv = self.hidden, self.heads * self.head_width, self.key_value_heads * self.head_width
        inner = {"gate": (h, self.intermediate)} if self.gated else {}
        return {
            "q": (h, q),
            "k": (h, kv),
            "v": (h, kv),
            "o": (q, h),
            **inner,
            "up": (h, self.intermediate),
            "down": (self.intermediate, h),
        }

    @property
    def block_parameters(self) -> int:
        """Weights of all blocks' matrices: N without embeddings and head."""
        return self.layers * sum(a * b for a, b in self.matrices.values())

    @property
    def parameters(self) -> int:
        """All weights: blocks, norms, embeddings, and a head where it is not tied."""
        return self.block_parameters + self.norm_parameters + self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def norm_parameters(self) -> int:
        """Scales of two norms a block, and of the last one."""
        return self.layers * 2 * self.hidden + self.hidden

    def lora_parameters(self, rank: int) -> int:
        """Weights of an adapter on all linear layers."""
        return self.layers * sum(rank * (a + b) for a, b in self.matrices.values())


def forward_flops(shape: Shape, tokens: float, attended: float, with_logits: float | None = None) -> float:
    """Of ``tokens`` that each attend to ``attended`` positions on average;
    ``with_logits`` of them (all by default) reach the head."""
    head = 2 * shape.hidden * shape.vocabulary * (tokens if with_logits is None else with_logits)
    attention = 4 * shape.layers * shape.heads * shape.head_width * attended * tokens
    return 2 * shape.block_parameters * tokens + attention + head


def training_flops(
    shape: Shape,
    tokens: float,
    attended: float,
    with_logits: float | None = None,
    adapter_parameters: float = 0,
    frozen_layers: int = 0,
) -> float:
    """Forward and backward; of an adapter only its own parameters get gradients,
    with frozen layers nothing below the others (nor embeddings and head)."""
    forward = forward_flops(shape, tokens, attended, with_logits)
    if frozen_layers:
        return forward + _backward_above(shape, tokens, attended, with_logits, frozen_layers)
    if not adapter_parameters:
        return 3 * forward
    # The base's weights need no gradients of their own, attention's inputs still do; the adapter costs 6 P a token.
    attention = 4 * shape.layers * shape.heads * shape.head_width * attended * tokens
    return 2 * forward + attention + 6 * adapter_parameters * tokens


def _backward_above(
    shape: Shape, tokens: float, attended: float, with_logits: float | None, frozen_layers: int
) -> float:
    """The head's inputs;
    weights and inputs of the layers that are trained (the first one's too: its norm is trained)."""
    head = 2 * shape.hidden * shape.vocabulary * (tokens if with_logits is None else with_logits)
    blocks = forward_flops(shape, tokens, attended, with_logits) - head
    return head + 2 * blocks * (shape.layers - frozen_layers) / shape.layers
