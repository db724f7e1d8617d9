"""Peak memory of a piece of work: of CUDA's allocator on all GPUs, elsewhere of the process, sampled while it runs.

``with PeakMemory("cpu") as memory: work()``, then ``memory.bytes``: what was held beyond the start.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import weakref
from functools import lru_cache

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

SAMPLE_SECONDS = 0.01


def release_memory() -> None:
    """Give freed memory back to the system: glibc keeps it,
    and a process that has seen many tensor shapes grows by gigabytes."""
    _settle()
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            return


@lru_cache(maxsize=1)
def _settle() -> None:
    """Leave what is there at the first call out of every later collection:
    half a million objects of imported libraries take half a second to walk."""
    gc.collect()
    gc.freeze()


def _own_bytes(process: psutil.Process) -> int:
    """What a process holds for itself: pages of files (a model's weights as they lie on disk) can be had again."""
    info = process.memory_info()
    return info.rss - getattr(info, "shared", 0)


class PeakMemory:
    """Measures between its beginning and its end."""

    bytes: int = 0
    """Most that was held beyond what was held at the beginning."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"

    def __enter__(self) -> PeakMemory:
        release_memory()
        if self.cuda:
            for gpu in self._gpus():
                torch.cuda.reset_peak_memory_stats(gpu)
            self._before = sum(map(torch.cuda.memory_allocated, self._gpus()))
            return self
        self._process, self._ended = psutil.Process(), threading.Event()
        self._before = self._peak = _own_bytes(self._process)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.cuda:
            self.bytes = max(0, sum(map(torch.cuda.max_memory_allocated, self._gpus())) - self._before)
            return
        self._ended.set()
        self._thread.join()
        self.bytes = max(0, self._peak - self._before)

    @staticmethod
    def _gpus() -> range:
        return range(torch.cuda.device_count())

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, _own_bytes(self._process))


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive while it is on: exact, on any device, and blind to what the
    allocator keeps.

    ``with TensorMemory() as memory: step()``, then ``memory.peak``. Slow; for benchmarks and tests.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive, self.peak, self._known = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run the operation and count the storages it made."""
        result = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def count(self, tensors) -> TensorMemory:
        """Tensors that were there before."""
        for tensor in tensors:
            self._count(tensor.untyped_storage())
        return self

    def _count(self, storage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or not size:
            return
        self._known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size
