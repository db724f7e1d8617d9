"""LoRA through peft: low-rank updates of all linear layers (Hu et al. 2021; all layers: LoRA Without Regret 2025)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from peft import LoraConfig, PeftModel, get_peft_model

from lab.models.local import LocalModel
from lab.schema import LabError
from lab.weights.base import TrainingLog
from lab.weights.spectrum import lora_spectrum
from lab.weights.trained import Trained

# peft reads an attribute that transformers has renamed; nothing a user could mend.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)

ALPHA_PER_RANK = 2
"""The alpha convention: alpha = 2 x rank, so that the scale alpha / rank is 2 at every rank."""


@dataclass(frozen=True)
class Lora(Trained):
    """A low-rank adapter."""

    name: ClassVar[str] = "lora"

    learning_rate: float = 3e-3
    study_rate: float = 3e-3
    rank: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise LabError(f"--ranks {self.rank}: a rank is a whole number from 1")

    @property
    def words(self) -> str:
        """The rank."""
        return f" rank {self.rank}"

    def network(self, model: LocalModel, seed: int, start: Path | None) -> Any:
        """A copy of the base with an adapter: a fresh one (B = 0), or ``start``'s to go on from."""
        base = model.copy_network()
        if start is not None:
            return PeftModel.from_pretrained(base, str(start), is_trainable=True)
        return get_peft_model(base, LoraConfig(r=self.rank, lora_alpha=ALPHA_PER_RANK * self.rank, lora_dropout=0.0, target_modules="all-linear",
                                               task_type="CAUSAL_LM", init_lora_weights=_seeded(seed)))

    def keep(self, model: LocalModel, network: Any, log: TrainingLog, folder: Path) -> None:
        """Save the adapter in peft's format."""
        log.spectrum = lora_spectrum(network)
        network.save_pretrained(str(folder), safe_serialization=True)

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the adapter merged into a copy of its weights."""
        network = PeftModel.from_pretrained(model.copy_network(), str(folder))
        return model.with_network(network.merge_and_unload().eval())

    def alongside(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the adapter beside its weights, as a server that shares one base among adapters keeps it."""
        return model.with_network(PeftModel.from_pretrained(model.copy_network(), str(folder)).eval())


def _seeded(seed: int) -> bool:
    """Seed the draw of A; B is zero, so an untrained adapter changes nothing."""
    from accelerate.utils import set_seed

    set_seed(seed)
    return True
