"""Singular values of what training changed: in how many directions did each matrix move?

``spectrum(changes)`` gives {matrix name: singular values, largest first} and each matrix's whole energy (the sum of all
squared singular values), whatever method made the change.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lab.models.local import LocalModel

MOST = 64
"""Singular values that are kept of an update."""
EXACT_BELOW = 512
"""A matrix whose smaller side is larger is decomposed by a randomised SVD."""


@torch.no_grad()
def spectrum(
    changes: Iterable[tuple[str, torch.Tensor, torch.Tensor]],
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Of every (name, change, matrix before): the largest singular values of the change, and the energy of all.

    A matrix that did not change is left out, and so are values that rounding of the matrix alone could leave.
    """
    found, energy = {}, {}
    for name, change, before in changes:
        change = change.float()
        if not change.any():
            continue
        large = min(change.shape) > EXACT_BELOW
        values = torch.svd_lowrank(change, q=MOST)[1] if large else torch.linalg.svdvals(change)
        noise = torch.finfo(before.dtype).eps * before.float().abs().max() * max(change.shape) ** 0.5
        found[name] = [float(f"{v:.4g}") for v in values[:MOST].tolist() if v > noise]
        energy[name] = float(f"{change.square().sum().item():.6g}")
    return found, energy


def linear_changes(base: torch.nn.Module, tuned: torch.nn.Module) -> Iterable[tuple[str, torch.Tensor, torch.Tensor]]:
    """(name, tuned minus base, base) of every linear layer but the head."""
    before = dict(base.named_modules())
    for name, module in tuned.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            old = before[name].weight.detach()
            yield name, module.weight.detach().to(old.dtype) - old, old


@torch.no_grad()
def cut_to_rank(model: LocalModel, tuned: LocalModel, rank: int) -> LocalModel:
    """The base plus the best rank-``rank`` approximation of every linear layer's update; all else is the base's own."""
    network, changed = model.copy_network(), dict(tuned.network.named_modules())
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            u, s, v = torch.linalg.svd((changed[name].weight - module.weight).float(), full_matrices=False)
            module.weight += ((u[:, :rank] * s[:rank]) @ v[:rank]).to(module.weight.dtype)
    return model.beside(network.eval())
