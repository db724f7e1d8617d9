"""Memory before a run, for any model shape: weights, gradients, optimizer state, activations, logits, KV cache; bytes.

``forecast_training(Shape.of(config), "qlora", batch=1, sequence=2048, checkpointing=True)`` -> Memory(weights=...,
...). Formulas: full fine-tuning with Adam in mixed precision 16 bytes a parameter (12 without a master copy), LoRA 2 N
+ 16 P, QLoRA about 0.55 N + 16 P (Dettmers et al. 2023: 4 bits and the double-quantised constants); activations a block
after Korthikanti et al. 2022, counted for gated blocks.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files

from lab.measure.flops import Shape
from lab.schema import LabError

FOOTPRINTS = ("full", "lora", "qlora", "vectors")
FOUR_BIT = 0.5 + 0.127 / 8 * 4
"""Bytes a weight: four bits, and 0.127 bits a weight of double-quantised constants on blocks
of 64, rounded up for norms."""


@dataclass(frozen=True)
class Memory:
    """Bytes by what they hold."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """The peak: all held at once, at the end of the forward pass or in the backward pass."""
        return sum(asdict(self).values())

    @property
    def beyond_weights(self) -> float:
        """What training adds to a loaded model."""
        return self.total - self.weights


def forecast_training(
    shape: Shape,
    method: str,
    *,
    batch: int,
    sequence: int,
    rank: int = 16,
    bytes_each: float = 2.0,
    checkpointing: bool = False,
    fused_attention: bool = True,
    logit_positions: int | None = None,
    master_copy: bool = True,
) -> Memory:
    """Peak memory of a training; ``bytes_each`` of activations and weights (4 for float32: then there is no master
    copy).

    ``logit_positions`` a row (all by default) reach the head, whose logits are held in float32 with their gradient.
    Raises LabError for an unknown method.
    """
    if method not in FOOTPRINTS:
        raise LabError(f"unknown method {method!r}; one of {', '.join(FOOTPRINTS)}")
    trained = {"full": shape.parameters, "vectors": shape.norm_parameters}.get(method, shape.lora_parameters(rank))
    mixed = bytes_each < 4
    weights = shape.parameters * bytes_each
    if method == "qlora":
        embeddings = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
        weights = shape.block_parameters * FOUR_BIT + embeddings * bytes_each
    adapter = 0 if method == "full" else trained * (4 if mixed else bytes_each)
    master = 4 * trained if method == "full" and mixed and master_copy else 0
    gradients = trained * (bytes_each if method == "full" else 4)
    rows = batch * sequence
    logits = batch * (logit_positions or sequence) * shape.vocabulary * (4 + 4 + (bytes_each if mixed else 4))
    return Memory(
        weights + adapter + master,
        gradients,
        8 * trained,
        activation_bytes(
            shape, rows, sequence, bytes_each, method.endswith("lora"), rank, checkpointing, fused_attention
        ),
        logits,
    )


def activation_bytes(
    shape: Shape,
    rows: int,
    sequence: int,
    bytes_each: float,
    adapters: bool,
    rank: int,
    checkpointing: bool,
    fused_attention: bool,
) -> float:
    """What the backward pass needs of the forward pass,
    over all blocks (one block and the borders with checkpointing)."""
    h, q, kv = shape.hidden, shape.heads * shape.head_width, shape.key_value_heads * shape.head_width
    # Inputs of both norms and their normalised outputs, q and k before and after the rotation, v, the attention's
    # output, the residual after it.
    held = 5 * h + 2 * q + 2 * kv + kv + q
    # Gate, up, the activation and the product that goes down; two matrices hold two.
    held += (4 if shape.gated else 2) * shape.intermediate
    if adapters:
        held += rank * len(shape.matrices)
    norms = 2 * 4 * h if bytes_each < 4 else 2 * 2 * 4
    block = rows * (held * bytes_each + norms)
    if not fused_attention:
        block += rows * sequence * shape.heads * (2 * bytes_each + 1)
    if not checkpointing:
        return shape.layers * block
    return shape.layers * rows * h * bytes_each + block


def cache_bytes(shape: Shape, rows: int, tokens: int, bytes_each: float = 2.0) -> float:
    """Keys and values of ``rows`` sequences of ``tokens``."""
    return 2 * shape.layers * rows * tokens * shape.key_value_heads * shape.head_width * bytes_each


def known_shapes() -> dict[str, tuple[Shape, float]]:
    """{name: (shape, published parameters in billions)} of public models (``lab/measure/shapes.toml``)."""
    table = tomllib.loads(files("lab.measure").joinpath("shapes.toml").read_text(encoding="utf-8"))
    return {name: (Shape.of(row), row["published"]) for name, row in table.items()}
