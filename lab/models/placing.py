"""Where a network's weights lie: on one device where they fit, else block by block over all GPUs.

``from_pretrained(..., device_map=placement(config, dtype, machine))``. Of a network that is spread accelerate's hooks
move what goes from block to block; all but the blocks lies on the first GPU, where texts come in and logits go out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from accelerate import dispatch_model, init_empty_weights
from transformers import AutoModelForCausalLM, PretrainedConfig

from lab.models.device import Machine

SHARE_FOR_WEIGHTS = 0.6
"""Of one GPU's free memory: beyond, caches and what training holds would not fit beside the weights."""

DeviceMap = dict[str, str]
"""Module name to device, as accelerate takes it."""


def placement(config: PretrainedConfig, dtype: torch.dtype, machine: Machine) -> DeviceMap | None:
    """None where one device is to hold the network, else its even spread over all GPUs."""
    count = torch.cuda.device_count() if machine.device == "cuda" else 1
    if count < 2:
        return None
    free = min(torch.cuda.mem_get_info(n)[0] for n in range(count))
    with init_empty_weights():
        network = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if bytes_of(network) <= SHARE_FOR_WEIGHTS * free:
        return None
    return even_spread(network, [f"cuda:{n}" for n in range(count)])


def even_spread(network: torch.nn.Module, devices: list[str]) -> DeviceMap:
    """Blocks in their order over the devices, so that each holds about as many bytes; all else on the first one."""
    inner = {id(block) for block in blocks(network)}
    spread = dict.fromkeys((name for name, _ in _parts(network, inner)), devices[0])
    in_blocks = {name: bytes_of(module) for name, module in network.named_modules() if id(module) in inner}
    held = bytes_of(network) - sum(in_blocks.values())
    share = bytes_of(network) / len(devices)
    if held > share:
        devices, held, share = devices[1:], 0, sum(in_blocks.values()) / (len(devices) - 1)
    for name, size in in_blocks.items():
        # Its middle decides: half a block too many on one device is made good by the next.
        spread[name] = devices[min(int((held + size / 2) / share), len(devices) - 1)]
        held += size
    return spread


def blocks(network: torch.nn.Module) -> torch.nn.ModuleList:
    """The blocks of a network: families call the list ``layers``, ``h`` or ``blocks``, all have one of that length."""
    count = network.config.num_hidden_layers
    return next(m for m in network.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)


def bytes_of(network: torch.nn.Module) -> int:
    """Bytes of its weights, those that are shared once."""
    return sum(p.numel() * p.element_size() for p in network.parameters())


def devices_of(network: torch.nn.Module) -> list[str]:
    """The devices that its weights lie on, by name."""
    return sorted({str(p.device) for p in network.parameters()})


def put(network: torch.nn.Module, machine: Machine) -> tuple[torch.nn.Module, Machine]:
    """The network on the machine's device, and the machine that holds it: several GPUs where it is spread already."""
    if len(devices_of(network)) > 1:
        return network, replace(machine, name=f"{machine.name} x{len(devices_of(network))}")
    return network.to(machine.device), machine


def put_as(network: torch.nn.Module, base: torch.nn.Module) -> torch.nn.Module:
    """A network of the same shape where ``base`` lies."""
    if len(devices_of(base)) > 1:
        return dispatch_model(network, base.hf_device_map, main_device=base.device)
    return network.to(device=base.device)


def _parts(module: torch.nn.Module, inner: set[int], name: str = "") -> Iterator[tuple[str, torch.nn.Module]]:
    """The largest modules that hold none of the ``inner`` ones, with their names."""
    for child_name, child in module.named_children():
        whole = f"{name}.{child_name}" if name else child_name
        if id(child) in inner:
            continue
        if any(id(m) in inner for m in child.modules()):
            yield from _parts(child, inner, whole)
        else:
            yield whole, child
