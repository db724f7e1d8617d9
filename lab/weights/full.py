"""Full fine-tuning: every parameter is trained, or all above the first layers; its learning rate is never LoRA's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file

from lab.models.base import Size
from lab.models.likelihood import Logits
from lab.models.local import LocalModel
from lab.models.placing import blocks
from lab.schema import LabError
from lab.weights.base import TrainingLog
from lab.weights.spectrum import linear_changes, spectrum
from lab.weights.trained import Trained, rate_by_width


@dataclass(frozen=True)
class Full(Trained):
    """All weights: the one method that holds a second set of them."""

    name: ClassVar[str] = "full"
    RATES: ClassVar[tuple[float, ...]] = (1e-4, 3e-4, 1e-3, 2e-3)
    STUDY_RATES: ClassVar[tuple[float, ...]] = (2e-4, 1e-3)

    learning_rate: float = 3e-4
    study_rate: float = 5e-4
    frozen_layers: int = 0
    """Above 0: the embeddings and so many of the first layers stay as they are."""

    def rate_for(self, size: Size) -> float:
        """By the width; a tenth of LoRA's."""
        return rate_by_width(size)

    @contextmanager
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> Iterator[torch.nn.Module]:
        """A copy of the base (or of ``start``'s result) in float32, all of it trained but for the frozen layers."""
        network = self.apply(model, start).network if start else self.fresh(model, seed)
        network = network.float().requires_grad_(True)
        if frozen := self.frozen(model):
            if frozen > model.layers:
                raise LabError(f"frozen_layers {frozen}: {model.name} has {model.layers} layers")
            embeddings = [m for m in network.modules() if isinstance(m, torch.nn.Embedding)]
            for module in (*embeddings, network.get_output_embeddings(), *blocks(network)[:frozen]):
                module.requires_grad_(False)
        yield network

    def frozen(self, model: LocalModel) -> int:
        """How many of the first layers stay as they are."""
        return self.frozen_layers

    def fresh(self, model: LocalModel, seed: int) -> torch.nn.Module:
        """What training begins with: a copy of the base."""
        return model.copy_network()

    def base_logits(self, model: LocalModel, network: torch.nn.Module) -> Logits:
        """What the base says: it stands beside the copy."""
        return model.logits

    def keep(self, model: LocalModel, network: torch.nn.Module, log: TrainingLog, folder: Path) -> None:
        """Save the network whole, in the base's number format."""
        base = model.network
        log.spectrum, log.energy = spectrum(linear_changes(base, network))
        tied = {"lm_head.weight"} if getattr(network.config, "tie_word_embeddings", False) else set()
        state = {k: v.detach().to(base.dtype).contiguous() for k, v in network.state_dict().items() if k not in tied}
        save_file(state, folder / "model.safetensors")

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the trained weights."""
        network = model.copy_network()
        missing, unexpected = network.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        if unexpected or any("lm_head" not in name for name in missing):
            raise LabError(f"{folder}: weights of another model; remove them with: lab prune --damaged")
        return model.beside(network.eval())
