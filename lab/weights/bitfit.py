"""BitFit: the biases and the norms' scales are trained, no matrix is (Ben Zaken et al. 2022; norms: Zhao et al. 2024).

A network without biases, such as Llama's, trains its norms alone. They are trained in the one base and taken out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils import parametrize

from lab.models.base import Size
from lab.models.likelihood import Logits, completion_logits
from lab.models.local import LocalModel
from lab.schema import LabError
from lab.weights.base import TrainingLog
from lab.weights.held import holding
from lab.weights.trained import Trained, rate_by_width


@dataclass(frozen=True)
class BitFit(Trained):
    """Every parameter that is a vector."""

    name: ClassVar[str] = "bitfit"
    footprint: ClassVar[str] = "vectors"
    RATES: ClassVar[tuple[float, ...]] = (1e-3, 3e-3, 1e-2, 3e-2)
    STUDY_RATES: ClassVar[tuple[float, ...]] = (3e-3, 1e-2)

    learning_rate: float = 3e-3
    study_rate: float = 3e-3

    def rate_for(self, size: Size) -> float:
        """Twenty times full fine-tuning's: 1e-3 at a width of 2,000, the upper end of the paper's."""
        return 20 * rate_by_width(size)

    @contextmanager
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> Iterator[torch.nn.Module]:
        """The base itself with its vectors trained; what they were comes back at the end."""
        network = model.network
        own = {n: p.data for n, p in vectors(network).items()}
        begun = _read(start, own) if start else own
        network.requires_grad_(False)
        places = [(n, network.get_submodule(n.rpartition(".")[0]), n.rpartition(".")[2]) for n in own]
        network.untrained = {}
        try:
            for name, module, of in places:
                parameter = getattr(module, of)
                parameter.data = begun[name].to(torch.float32, copy=True)
                parametrize.register_parametrization(module, of, _Rounded(own[name].dtype), unsafe=True)
                master = module.parametrizations[of].original
                network.untrained[master.requires_grad_(True)] = own[name].float()
            yield network
        finally:
            del network.untrained
            for _, module, of in places:
                if parametrize.is_parametrized(module, of):
                    parametrize.remove_parametrizations(module, of, leave_parametrized=False)
            _put(network, own)

    def base_logits(self, model: LocalModel, network: torch.nn.Module) -> Logits:
        """What the base says: the same network, for the while with its own vectors."""

        def logits(batch):
            with holding(network.untrained):
                return completion_logits(network, batch, model.pad, network.device)[0]

        return logits

    def keep(self, model: LocalModel, network: torch.nn.Module, log: TrainingLog, folder: Path) -> None:
        """Save the vectors, in the base's number format; no matrix has moved."""
        found = {n.replace("parametrizations.", "").removesuffix(".original"): p for n, p in network.named_parameters()}
        state = {n: p.detach().to(model.dtype).contiguous() for n, p in found.items() if p.requires_grad}
        save_file(state, folder / "vectors.safetensors")

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The base with the trained vectors in it, until it is used again; it knows what the base says."""
        network = model.network
        own = {n: p.data for n, p in vectors(network).items()}
        _put(network, _read(folder, own))

        base = {p: own[n] for n, p in vectors(network).items()}

        def of_base(batch):
            with holding(base):
                return completion_logits(network, batch, model.pad, network.device)[0]

        return model.lend(network.eval(), lambda: _put(network, own), of_base)


class _Rounded(torch.nn.Module):
    """A vector that is trained in float32 and used in the base's number format, as it will be once it is applied."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        return vector.to(self.dtype)


def vectors(network: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Biases and norms by name."""
    return {n: p for n, p in network.named_parameters() if p.ndim == 1}


def _put(network: torch.nn.Module, values: dict[str, torch.Tensor]) -> None:
    for name, parameter in vectors(network).items():
        parameter.requires_grad_(False)
        parameter.grad, parameter.data = None, values[name]


def _read(folder: Path, own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The vectors of a folder, where they are those of this base."""
    found = load_file(folder / "vectors.safetensors")
    if {n: v.shape for n, v in found.items()} != {n: v.shape for n, v in own.items()}:
        raise LabError(f"{folder}: weights of another model; remove them with: lab prune --damaged")
    return {n: v.to(own[n].device, own[n].dtype) for n, v in found.items()}
