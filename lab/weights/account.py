"""What a training step costs: its FLOPs by torch's counter, and the pace of its steps on this machine.

``counted_flops(model, items, weights)`` is FLOPs a token; ``training_pace(model, items, weights)`` tokens a second.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from lab.models.likelihood import Encoded, completion_logits
from lab.models.local import LocalModel
from lab.weights.trained import Trained
from lab.weights.training import Schedule, count_tokens, train

RATE = 1e-9
"""Of trainings that are timed and thrown away."""


def counted_flops(model: LocalModel, batch: Sequence[Encoded], weights: Trained) -> float:
    """FLOPs a token of one training step, by torch's counter, attention counted in full."""
    with weights.prepared(model, 0, None) as network:
        attention = network.config._attn_implementation
        network.set_attn_implementation("eager")
        try:
            with FlopCounterMode(display=False) as counter:
                logits, labels = completion_logits(network, batch, model.pad, network.device)
                torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100).backward()
        finally:
            network.set_attn_implementation(attention)
    return counter.get_total_flops() / count_tokens(batch)


def training_pace(model: LocalModel, items: Sequence[Encoded], weights: Trained, warm: int | None = None) -> float:
    """Tokens a second of a training's steps on these items; the first ``warm`` items (one batch where not said) warm up
    and do not count."""
    size = weights.batch_size
    with weights.prepared(model, 0, None) as network:
        for some in (list(items[: warm or size]), list(items)):
            log = train(
                model, network, some, [], Schedule(RATE, 1, 1, size), 0, lambda done, total, words: None, "pace"
            )
    return log.trained_tokens / log.seconds
