"""How likely a network finds given texts: the logits of targets after their contexts, in padded batches.

Training, validation, forced choice and the likelihood of general text all go through ``completion_logits``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lab.models.virtual import lead_of


@dataclass(frozen=True)
class Encoded:
    """One text: context tokens (given) and target tokens (predicted)."""

    context: list[int]
    target: list[int]

    @property
    def size(self) -> int:
        """Tokens that go through the network."""
        return len(self.context) + len(self.target)


Logits = Callable[[Sequence[Encoded]], torch.Tensor]
"""A batch to the logits of its target tokens: (rows, longest target, vocabulary)."""


def _padded(
    batch: Sequence[Encoded], lead: list[int], pad: int, device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """ids, attention mask (rows, width), labels (rows, kept) with -100 outside targets, and kept = longest target."""
    texts = [[*lead, *e.context, *e.target] for e in batch]
    width = max(map(len, texts))
    kept = max(len(e.target) for e in batch)
    ids = [[pad] * (width - len(text)) + text for text in texts]
    mask = [[0] * (width - len(text)) + [1] * len(text) for text in texts]
    labels = [[-100] * (kept - len(e.target)) + e.target for e in batch]
    return (
        torch.tensor(ids, device=device),
        torch.tensor(mask, device=device),
        torch.tensor(labels, device=device),
        kept,
    )


def completion_logits(network, batch: Sequence[Encoded], pad: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits that predict the target tokens, labels): both (rows, longest target, ...), labels -100 where there is
    none.

    Rows are padded on the left, so that the logits of the context are never computed.
    """
    ids, mask, labels, kept = _padded(batch, lead_of(network), pad, device)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    # As indices, not as a count: a slice is not contiguous, and the head would then be copied for each row.
    width = ids.shape[1]
    output = network(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=False,
        logits_to_keep=torch.arange(width - kept - 1, width - 1, device=ids.device),
    )
    return output.logits.float(), labels


def sums_of(network, batch: Sequence[Encoded], pad: int, device) -> torch.Tensor:
    """Log likelihood in nats of each row's whole target (rows)."""
    logits, labels = completion_logits(network, batch, pad, device)
    each = logits.log_softmax(-1).gather(-1, labels.clamp_min(0)[..., None])[..., 0]
    return (each * (labels != -100)).sum(-1)


def kl_each(base_logits: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """KL(base || tuned) in nats of each position; both logits (..., vocabulary)."""
    base, tuned = base_logits.log_softmax(-1), logits.log_softmax(-1)
    return (base.exp() * (base - tuned)).sum(-1)


@torch.inference_mode()
def nats_of(
    network, items: Sequence[Encoded], pad: int, device, base: Logits | None = None, batch_tokens: int = 8192
) -> list[tuple[float, int, float]]:
    """Of each item: (nats of its target, target tokens, sum of KL(base || network) over them; 0 without ``base``)."""
    network.eval()
    order = sorted(range(len(items)), key=lambda i: items[i].size)
    found: dict[int, tuple[float, int, float]] = {}
    while order:
        width = items[order[-1]].size
        rows = [order.pop() for _ in range(min(len(order), max(1, batch_tokens // width)))]
        batch = [items[i] for i in rows]
        logits, labels = completion_logits(network, batch, pad, device)
        kept = labels != -100
        nats = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=-100
        ).view(labels.shape)
        divergence = (
            torch.where(kept, kl_each(base(batch), logits), 0.0) if base is not None else torch.zeros_like(nats)
        )
        for row, i in enumerate(rows):
            found[i] = (nats[row].sum().item(), int(kept[row].sum()), divergence[row].sum().item())
    return [found[i] for i in range(len(items))]
