"""What prompt tuning and prefix tuning share: learned tokens before every text, the network's own weights as they are.

They are kept in peft's layout (``PeftModel.from_pretrained`` reads them), trained and read by the lab's own loop, in
which they stand right before each text and are read once for all prompts, as every other beginning is.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from peft import PromptLearningConfig
from safetensors.torch import load_file, save_file

from lab.models.base import Size
from lab.models.likelihood import Logits
from lab.models.local import LocalModel
from lab.models.virtual import VirtualTokens
from lab.schema import LabError
from lab.weights.base import TrainingLog
from lab.weights.trained import Trained

KEPT, TENSOR = "adapter_model.safetensors", "prompt_embeddings"
"""peft's names."""


@dataclass(frozen=True)
class Virtual(Trained):
    """So many tokens that are no word."""

    adapter: ClassVar[bool] = True
    merges: ClassVar[bool] = False
    footprint: ClassVar[str] = "lora"
    RATES: ClassVar[tuple[float, ...]] = (3e-3, 1e-2, 3e-2, 1e-1)
    STUDY_RATES: ClassVar[tuple[float, ...]] = (1e-2, 3e-2)

    learning_rate: float = 1e-2
    study_rate: float = 1e-2
    tokens: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokens < 1:
            raise LabError(f"tokens {self.tokens}: a whole number from 1")

    @property
    def before(self) -> int:
        """All of them."""
        return self.tokens

    @abstractmethod
    def begin(self, model: LocalModel, words: list[int]) -> VirtualTokens:
        """The network with virtual tokens that are, before training, what it makes of these words (ids)."""

    @abstractmethod
    def held(self, network: VirtualTokens) -> torch.Tensor:
        """What is learned, in the shape that peft keeps."""

    @abstractmethod
    def put_on(self, model: LocalModel, held: torch.Tensor) -> VirtualTokens:
        """The network with what was kept."""

    @abstractmethod
    def config(self, model: LocalModel) -> PromptLearningConfig:
        """What peft is told of it."""

    def rate_for(self, size: Size) -> float:
        """The middle of the fixed grid: rates of virtual tokens do not follow the width."""
        return self.RATES[1]

    @contextmanager
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> Iterator[torch.nn.Module]:
        """The base with virtual tokens that begin as words drawn from its vocabulary, or as ``start``'s."""
        base = model.network
        base.requires_grad_(False)
        if start is not None:
            network = self._read(model, start)
        else:
            rng = random.Random(f"virtual {seed}")
            words = [w for w in range(len(model.tokenizer)) if w not in model.tokenizer.all_special_ids]
            network = self.begin(model, [rng.choice(words) for _ in range(self.tokens)])
        yield network

    def base_logits(self, model: LocalModel, network: VirtualTokens) -> Logits:
        """What the base says: the same texts without the virtual tokens."""
        return model.logits

    def keep(self, model: LocalModel, network: VirtualTokens, log: TrainingLog, folder: Path) -> None:
        """Save in peft's layout; no matrix has moved."""
        config = self.config(model)
        config.inference_mode = True
        config.save_pretrained(str(folder))
        save_file({TENSOR: self.held(network).detach().float().cpu().contiguous()}, folder / KEPT)

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The base with the virtual tokens before every text."""
        return model.beside(self._read(model, folder).eval())

    def _read(self, model: LocalModel, folder: Path) -> VirtualTokens:
        try:
            return self.put_on(model, load_file(folder / KEPT)[TENSOR].to(model.network.device))
        except (KeyError, RuntimeError):
            raise LabError(f"{folder}: weights of another model; remove them with: lab prune --damaged") from None
