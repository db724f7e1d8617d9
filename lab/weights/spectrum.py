"""Singular values of what training changed: in how many directions did each matrix move?

``lora_spectrum(network)`` gives {matrix name: singular values, largest first}; ``full_spectrum(base, tuned)`` the first
of them, and with them each matrix's whole energy (the sum of all squared singular values).
"""

from __future__ import annotations

import torch

MOST = 64
"""Singular values that are kept of a full update."""


@torch.no_grad()
def lora_spectrum(network) -> dict[str, list[float]]:
    """Of every adapted matrix: the singular values of scale x B A, without forming the product."""
    found = {}
    for name, module in network.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            a, b = module.lora_A["default"].weight.float(), module.lora_B["default"].weight.float()
            core = torch.linalg.qr(b).R @ torch.linalg.qr(a.T).R.T * module.scaling["default"]
            found[name.removeprefix("base_model.model.")] = _rounded(torch.linalg.svdvals(core))
    return found


@torch.no_grad()
def full_spectrum(base, tuned) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Of every linear layer: the largest singular values of the difference of the weights (of a large one by a randomised SVD), and the energy of all."""
    before, found, energy = dict(base.named_modules()), {}, {}
    for name, module in tuned.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            change = (module.weight - before[name].weight).float()
            large = min(change.shape) > 1024
            values = torch.svd_lowrank(change, q=MOST)[1] if large else torch.linalg.svdvals(change)
            found[name] = _rounded(values[:MOST])
            energy[name] = float(f"{change.square().sum().item():.6g}")
    return found, energy


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{v:.4g}") for v in values.tolist()]
