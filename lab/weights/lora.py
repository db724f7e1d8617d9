"""LoRA through peft: low-rank updates of all linear layers (Hu et al. 2021; all layers: LoRA Without Regret 2025)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from peft import LoraConfig, PeftModel, get_peft_model

from lab.models.local import LocalModel
from lab.schema import LabError
from lab.store import CHECKPOINT
from lab.tasks.task import document_text
from lab.weights.base import Progress, TrainingData, TrainingLog, Weights
from lab.weights.spectrum import lora_spectrum
from lab.weights.training import Schedule, encode_documents, encode_pairs, train

# peft reads an attribute that transformers has renamed; nothing a user could mend.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)

ALPHA_PER_RANK = 2
"""The alpha convention: alpha = 2 x rank, so that the scale alpha / rank is 2 at every rank."""


@dataclass(frozen=True)
class Lora(Weights):
    """A low-rank adapter; with ``study`` it reads the documents' text before the pairs."""

    name: ClassVar[str] = "lora"

    rank: int = 16
    learning_rate: float = 3e-3
    epochs: int = 10
    minimum_steps: int = 150
    batch_size: int = 16
    study: bool = False
    study_rate: float = 3e-3
    """Learning rate of the study stage."""
    study_epochs: int = 0
    """Above 0 this is the study stage itself: that many epochs of the documents' text and no pairs."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise LabError(f"--ranks {self.rank}: a rank is a whole number from 1")

    def study_stage(self) -> Lora | None:
        """The stage on the documents that comes before, where ``study`` is set."""
        return replace(self, study=False, study_epochs=30, learning_rate=self.study_rate) if self.study else None

    def adapt(self, model: LocalModel, data: TrainingData, folder: Path, seed: int, progress: Progress, start: Path | None = None) -> TrainingLog:
        """Train an adapter (going on from ``start``'s) and save it in peft's format."""
        base = model.copy_network()
        if start is not None:
            network = PeftModel.from_pretrained(base, str(start), is_trainable=True)
        else:
            network = get_peft_model(base, LoraConfig(r=self.rank, lora_alpha=ALPHA_PER_RANK * self.rank, lora_dropout=0.0, target_modules="all-linear",
                                                      task_type="CAUSAL_LM", init_lora_weights=_seeded(seed)))
        if self.study_epochs:
            items = encode_documents(model, [document_text(d) for d in data.documents])
            log = train(model, network, items, [], Schedule(self.learning_rate, self.study_epochs, self.minimum_steps, self.batch_size), seed, progress, f"study rank {self.rank}", folder / CHECKPOINT)
        else:
            log = train(model, network, encode_pairs(model, data.pairs), encode_pairs(model, data.validation),
                        Schedule(self.learning_rate, self.epochs, self.minimum_steps, self.batch_size), seed, progress, f"lora rank {self.rank}, rate {self.learning_rate:g}", folder / CHECKPOINT)
        log.spectrum = lora_spectrum(network)
        network.save_pretrained(str(folder), safe_serialization=True)
        return log

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the adapter merged into a copy of its weights."""
        network = PeftModel.from_pretrained(model.copy_network(), str(folder))
        return model.with_network(network.merge_and_unload().eval())


def _seeded(seed: int) -> bool:
    """Seed the draw of A; B is zero, so an untrained adapter changes nothing."""
    from accelerate.utils import set_seed

    set_seed(seed)
    return True
