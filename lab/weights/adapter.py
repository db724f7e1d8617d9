"""Adapters through peft: one class whose only hook is the peft config, so that a method is a file of ten lines.

The adapter is attached to the one base, trained or used, and taken off again; no network is copied. Used, it is merged
into the base's own matrices (as fast as the base), which are put back bit for bit from the model's files, or kept
beside them (as a server keeps it that shares one base among adapters).
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate.utils import set_seed
from peft import PeftConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer

from lab.models.base import Size
from lab.models.likelihood import Logits, completion_logits
from lab.models.local import LocalModel
from lab.weights.base import TrainingLog
from lab.weights.spectrum import spectrum
from lab.weights.trained import Trained, rate_by_width

# peft reads an attribute that transformers has renamed; nothing a user could mend.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
# What is unmerged is put back from a copy.
warnings.filterwarnings("ignore", message="Unmerge result can be inaccurate.*")


@dataclass(frozen=True)
class Adapter(Trained):
    """Whatever peft attaches to a network's layers."""

    adapter: ClassVar[bool] = True
    footprint: ClassVar[str] = "lora"
    RATES: ClassVar[tuple[float, ...]] = (1e-3, 2e-3, 4e-3, 8e-3)
    STUDY_RATES: ClassVar[tuple[float, ...]] = (1e-3, 4e-3)

    def rate_for(self, size: Size) -> float:
        """Ten times full fine-tuning's (the same source)."""
        return 10 * rate_by_width(size)

    @abstractmethod
    def config(self) -> PeftConfig:
        """What peft is to attach; ``init`` must leave the base's answers as they are before training."""

    @contextmanager
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> Iterator[torch.nn.Module]:
        """The base with a fresh adapter, or with ``start``'s to go on from; taken off at the end."""
        base = model.network
        set_seed(seed)
        try:
            if start is not None:
                network = PeftModel.from_pretrained(base, str(start), is_trainable=True)
            else:
                network = get_peft_model(base, self.config())
            model.lend(network, lambda: strip(base))
            yield network
        finally:
            model.take_back()
            strip(base)

    def base_logits(self, model: LocalModel, network: PeftModel) -> Logits:
        """What the base says: the same network with the adapter switched off."""

        def logits(batch):
            with network.disable_adapter():
                return completion_logits(network, batch, model.pad, network.device)[0]

        return logits

    def keep(self, model: LocalModel, network: PeftModel, log: TrainingLog, folder: Path) -> None:
        """Save the adapter in peft's format."""
        log.spectrum, log.energy = spectrum(merged_changes(network))
        network.save_pretrained(str(folder), safe_serialization=True)

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the adapter merged into its weights, until the base is used again."""
        # Made before the first change: it finds out where the base's own values lie.
        base, pristine = model.network, model.pristine
        with attached(base, folder) as network:
            changed = []
            for name, layer in adapted_layers(network):
                changed += [f"{name}.{p}" for p, _ in layer.get_base_layer().named_parameters()]
                layer.merge()
        return model.lend(base.eval(), lambda: pristine.restore(changed))

    def beside(self, model: LocalModel, folder: Path) -> LocalModel:
        """The model with the adapter beside its weights."""
        base = model.network
        network = _loaded(base, folder).eval()
        return model.lend(network, lambda: strip(base), self.base_logits(model, network))


def _loaded(base: torch.nn.Module, folder: Path) -> PeftModel:
    """The adapter of a folder on the base; a base that can't take it is left as it was."""
    try:
        return PeftModel.from_pretrained(base, str(folder))
    except BaseException:
        strip(base)
        raise


@contextmanager
def attached(base: torch.nn.Module, folder: Path) -> Iterator[PeftModel]:
    """The base with an adapter beside its layers; what is merged inside stays."""
    network = _loaded(base, folder)
    try:
        yield network
    finally:
        strip(base)


def adapted_layers(network: PeftModel) -> Iterator[tuple[str, BaseTunerLayer]]:
    """(name in the base network, layer) of everything that an adapter changes."""
    for name, module in network.get_base_model().named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module


def strip(base: torch.nn.Module) -> None:
    """Take adapters off a network: every layer that peft wrapped stands in its place again."""
    for parent in list(base.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BaseTunerLayer):
                setattr(parent, name, child.get_base_layer())
    # peft marks the network it was on, and warns when it meets one again.
    for mark in ("peft_config", "_hf_peft_config_loaded"):
        vars(base).pop(mark, None)


@torch.no_grad()
def merged_changes(network: PeftModel) -> Iterator[tuple[str, torch.Tensor, Any]]:
    """(name, merged minus base, base) of every adapted matrix; the base's values come back as they were."""
    for name, layer in adapted_layers(network):
        weight = layer.get_base_layer().weight
        before = weight.detach().clone()
        layer.merge()
        change = weight.detach() - before
        layer.unmerge()
        weight.copy_(before)
        yield name, change, before
