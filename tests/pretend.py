"""Devices that are none: tensors that say they lie on ``cpu:1`` or ``cpu:2``, hold their numbers in plain main memory,
and refuse, as GPUs do, an operation on two devices.

``with pretend_devices(): network.to("cpu:1")``. A build of torch without CUDA takes no other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import safetensors.torch
import torch
from accelerate import dispatch_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from lab.models.placing import even_spread

CPU = torch.device("cpu")
DEVICES = ("cpu:1", "cpu:2")
ACROSS = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
"""Operations that take from one device and write to another."""
INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}


class Elsewhere(torch.Tensor):
    """Numbers that say where they lie."""

    @staticmethod
    def __new__(cls, held: torch.Tensor, where: torch.device) -> Elsewhere:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=where
        )

    def __init__(self, held: torch.Tensor, where: torch.device) -> None:
        self.held = held

    def __repr__(self, **more) -> str:
        return f"Elsewhere({self.held!r}, {self.device})"

    @property
    def data(self) -> Elsewhere:
        return self.detach()

    @data.setter
    def data(self, value: Elsewhere) -> None:
        # torch's own setter would leave the old numbers where they are looked for.
        assert (value.device, value.dtype, value.shape) == (self.device, self.dtype, self.shape)
        self.held = value.held

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def tolist(self) -> list:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def held(value):
    return value.held if isinstance(value, Elsewhere) else value


def run(function, args, kwargs):
    """The operation in main memory; its result lies where its arguments do, or where it is told to."""
    given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
    # A number that is no row goes with anything, as on a real GPU; so does an index in main memory.
    free = (lambda t: t.device == CPU) if function in INDEXED else (lambda t: t.device == CPU and not t.ndim)
    places = {t.device for t in given if not free(t)}
    if function not in ACROSS and len(places) > 1:
        raise RuntimeError(f"{function}: tensors on {sorted(map(str, places))}")
    where = given[0].device if function in ACROSS and given else next(iter(places), CPU)
    if kwargs.get("device") is not None:
        where = torch.device(kwargs["device"])
        kwargs = kwargs | {"device": CPU}
    written = [t for t in given if isinstance(t, Elsewhere)]
    result = function(*tree_map(held, args), **tree_map(held, kwargs))

    def back(value):
        if not isinstance(value, torch.Tensor) or where == CPU:
            return value
        same = next((t for t in written if t.held is value), None)
        return Elsewhere(value, where) if same is None else same

    return tree_map(back, result)


class Pretending(TorchDispatchMode):
    """Sees what is made from nothing but a device's name."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def spread(network: torch.nn.Module) -> torch.nn.Module:
    """The network over two devices, as one too large for a GPU is; within ``pretend_devices``."""
    return dispatch_model(network, even_spread(network, list(DEVICES)), main_device=DEVICES[0])


@contextmanager
def pretend_devices() -> Iterator[None]:
    made = torch.tensor

    def tensor(data, device=None, **more):
        # What torch.tensor does with a device no mode sees.
        return made(data, **more) if device is None else made(data, **more).to(device)

    flatten = safetensors.torch._flatten_as_ptr

    def written(tensors, *more):
        # It reads a tensor's memory, which these have somewhere else.
        return flatten({name: t.detach().cpu() for name, t in tensors.items()}, *more)

    swapped = torch.__future__.get_overwrite_module_params_on_conversion()
    with (
        patch("torch.tensor", tensor),
        patch("safetensors.torch._flatten_as_ptr", written),
        # Inference mode knows no versions, which a tensor within a tensor is asked for.
        patch("torch._C._InferenceMode", lambda mode: torch.no_grad()),
        Pretending(),
    ):
        # A parameter that moves becomes a new one, of the class that knows where it lies.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(swapped)
