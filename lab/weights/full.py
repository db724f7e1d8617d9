"""Full fine-tuning: every parameter is trained; its learning rate is never LoRA's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load_file, save_file

from lab.models.local import LocalModel
from lab.store import CHECKPOINT
from lab.tasks.task import document_text
from lab.weights.base import Progress, TrainingData, TrainingLog, Weights
from lab.weights.spectrum import full_spectrum
from lab.weights.training import Schedule, encode_documents, encode_pairs, train


@dataclass(frozen=True)
class Full(Weights):
    """All weights; with ``study`` the documents' text comes before the pairs."""

    name: ClassVar[str] = "full"

    learning_rate: float = 3e-4
    epochs: int = 10
    minimum_steps: int = 150
    batch_size: int = 16
    study: bool = False
    study_rate: float = 5e-4
    study_epochs: int = 0

    def study_stage(self) -> Full | None:
        """The stage on the documents that comes before, where ``study`` is set."""
        return replace(self, study=False, study_epochs=30, learning_rate=self.study_rate) if self.study else None

    def adapt(self, model: LocalModel, data: TrainingData, folder: Path, seed: int, progress: Progress, start: Path | None = None) -> TrainingLog:
        """Train a copy of the network and save it whole."""
        network = (self.apply(model, start) if start else model.with_network(model.copy_network())).network
        network.requires_grad_(True)
        if self.study_epochs:
            log = train(model, network, encode_documents(model, [document_text(d) for d in data.documents]), [],
                        Schedule(self.learning_rate, self.study_epochs, self.minimum_steps, self.batch_size), seed, progress, "full study", folder / CHECKPOINT)
        else:
            log = train(model, network, encode_pairs(model, data.pairs), encode_pairs(model, data.validation),
                        Schedule(self.learning_rate, self.epochs, self.minimum_steps, self.batch_size), seed, progress, f"full, rate {self.learning_rate:g}", folder / CHECKPOINT)
        log.spectrum, log.energy = full_spectrum(model.network, network)
        tied = {"lm_head.weight"} if getattr(network.config, "tie_word_embeddings", False) else set()
        save_file({k: v.detach().contiguous() for k, v in network.state_dict().items() if k not in tied}, folder / "model.safetensors")
        return log

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the trained weights."""
        network = model.copy_network()
        missing, unexpected = network.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        if unexpected or any("lm_head" not in name for name in missing):
            raise ValueError(f"{folder}: weights of another model")
        return model.with_network(network.eval())
