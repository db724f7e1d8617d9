"""QLoRA: LoRA beside a base in four bits (Dettmers et al. 2023): NF4, double quantisation, bitsandbytes.

While it is trained on a GPU the base's matrices are held in four bits, and the base itself waits in main memory. On a
CPU, and where it is used, they are the same four-bit values in the base's own number format: what a server of four-bit
weights answers, at the speed of ordinary ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from peft import PeftModel

from lab.models.likelihood import Logits, completion_logits
from lab.models.local import LocalModel
from lab.schema import LabError, extra
from lab.weights.adapter import adapted_layers, attached, strip
from lab.weights.base import TrainingLog
from lab.weights.held import Values, holding, put
from lab.weights.lora import Lora
from lab.weights.spectrum import spectrum

FORMAT = {"quant_type": "nf4", "compress_statistics": True}


@dataclass(frozen=True)
class QLora(Lora):
    """A low-rank adapter on a base in four bits."""

    name: ClassVar[str] = "qlora"
    footprint: ClassVar[str] = "qlora"
    rounds: ClassVar[bool] = True
    convention: ClassVar[str] = f"{Lora.convention}; the base in NF4 with double quantisation"

    @contextmanager
    def prepared(self, model: LocalModel, seed: int, start: Path | None) -> Iterator[torch.nn.Module]:
        """The base in four bits with a fresh adapter, or with ``start``'s; all of it is taken off at the end."""
        base = model.network
        if not list(matrices(base)):
            kind = base.config.model_type
            raise LabError(f"qlora: {model.name} ({kind}) has no linear layers that bitsandbytes holds in four bits")
        with (in_four_bits if base.device.type == "cuda" else rounded)(base):
            with super().prepared(model, seed, start) as network:
                yield network

    def keep(self, model: LocalModel, network: PeftModel, log: TrainingLog, folder: Path) -> None:
        """Save the adapter in peft's format; the spectrum is that of the adapter, without the rounding."""
        changes = (
            (name, layer.get_delta_weight("default").detach(), layer.lora_B["default"].weight)
            for name, layer in adapted_layers(network)
        )
        log.spectrum, log.energy = spectrum(changes)
        network.save_pretrained(str(folder), safe_serialization=True)

    def apply(self, model: LocalModel, folder: Path) -> LocalModel:
        """The base's matrices rounded to four bits, the adapter merged into them."""
        base = model.network
        own = _rounded_in_place(base)
        try:
            with attached(base, folder) as network:
                for _, layer in adapted_layers(network):
                    layer.merge()
        except BaseException:
            put(own)
            raise
        return model.lend(base.eval(), lambda: put(own))

    def beside(self, model: LocalModel, folder: Path) -> LocalModel:
        """The same with the adapter beside the rounded matrices; it knows what the base, not rounded, says."""
        base = model.network
        own = _rounded_in_place(base)
        try:
            network = PeftModel.from_pretrained(base, str(folder)).eval()
        except BaseException:
            strip(base)
            put(own)
            raise

        def undo() -> None:
            strip(base)
            put(own)

        return model.lend(network, undo, _unrounded(model, network, own))


def _unrounded(model: LocalModel, network: PeftModel, own: Values) -> Logits:
    """What the base says: for the while its own matrices, without the adapter."""

    def logits(batch):
        with holding(own), network.disable_adapter():
            return completion_logits(network, batch, model.pad, network.device)[0]

    return logits


def matrices(network: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    """(parent, name in it, layer) of all linear layers but the head, which stays as it is."""
    head = network.get_output_embeddings()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and child is not head:
                yield parent, name, child


@contextmanager
def in_four_bits(network: torch.nn.Module) -> Iterator[None]:
    """The network's linear layers held in four bits; its own stand in their places again at the end."""
    with extra("qlora", "QLoRA"):
        import bitsandbytes
    replaced: list[tuple[torch.nn.Module, str, torch.nn.Linear, torch.device]] = []
    try:
        for parent, name, layer in matrices(network):
            held = bitsandbytes.nn.Linear4bit(
                layer.in_features, layer.out_features, layer.bias is not None, network.dtype, **FORMAT
            )
            held.weight = bitsandbytes.nn.Params4bit(layer.weight.detach().cpu().clone(), False, **FORMAT)
            held.bias = layer.bias
            device = layer.weight.device
            replaced.append((parent, name, layer, device))
            setattr(parent, name, held.to(device))
            layer.weight.data = layer.weight.data.cpu()
        # Read by peft: which kind of layer it puts beside these.
        network.is_loaded_in_4bit = True
        yield
    finally:
        vars(network).pop("is_loaded_in_4bit", None)
        for parent, name, layer, device in replaced:
            layer.weight.data = layer.weight.data.to(device)
            setattr(parent, name, layer)


@contextmanager
def rounded(network: torch.nn.Module) -> Iterator[None]:
    """The network's matrices rounded to four bits and back; their own values come back at the end."""
    own = _rounded_in_place(network)
    try:
        yield
    finally:
        put(own)


@torch.no_grad()
def _rounded_in_place(network: torch.nn.Module) -> Values:
    """Round the matrices to four bits and back; their own values."""
    with extra("qlora", "QLoRA"):
        import bitsandbytes
    quantize, dequantize = bitsandbytes.functional.quantize_4bit, bitsandbytes.functional.dequantize_4bit
    own = {}
    for _, _, layer in matrices(network):
        weight = layer.weight
        own[weight] = weight.data
        held, state = quantize(weight.data, **FORMAT)
        weight.data = dequantize(held, state).to(weight.dtype)
    return own
