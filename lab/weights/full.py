"""Full fine-tuning: every parameter is trained, or all above the first layers; its learning rate is never LoRA's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file, save_file

from lab.models.local import LocalModel
from lab.schema import LabError
from lab.weights.base import TrainingLog
from lab.weights.spectrum import full_spectrum
from lab.weights.trained import Trained


@dataclass(frozen=True)
class Full(Trained):
    """All weights."""

    name: ClassVar[str] = "full"

    learning_rate: float = 3e-4
    study_rate: float = 5e-4
    frozen_layers: int = 0
    """Above 0: the embeddings and so many of the first layers stay as they are."""

    def network(self, model: LocalModel, seed: int, start: Path | None) -> Any:
        """A copy of the base (or of ``start``'s result), all of it trained but for the frozen layers."""
        network = (self.apply(model, start) if start else model.with_network(model.copy_network())).network
        network.requires_grad_(True)
        if self.frozen_layers:
            layers = network.base_model.layers
            if self.frozen_layers > len(layers):
                raise LabError(f"frozen_layers {self.frozen_layers}: {model.name} has {len(layers)} layers")
            for module in (network.get_input_embeddings(), network.get_output_embeddings(), *layers[:self.frozen_layers]):
                module.requires_grad_(False)
        return network

    def keep(self, model: LocalModel, network: Any, log: TrainingLog, folder: Path) -> None:
        """Save the network whole."""
        log.spectrum, log.energy = full_spectrum(model.network, network)
        tied = {"lm_head.weight"} if getattr(network.config, "tie_word_embeddings", False) else set()
        save_file({k: v.detach().contiguous() for k, v in network.state_dict().items() if k not in tied}, folder / "model.safetensors")

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the trained weights."""
        network = model.copy_network()
        missing, unexpected = network.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        if unexpected or any("lm_head" not in name for name in missing):
            raise ValueError(f"{folder}: weights of another model")
        return model.with_network(network.eval())
