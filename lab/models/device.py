"""What this machine can do: device, number format and threads, found by a short probe and never assumed.

``machine("auto")`` on a laptop without bf16 instructions: ``Machine(device="cpu", dtype="float32", threads=2, ...)``.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from functools import lru_cache

import torch

from lab.schema import LabError

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Machine:
    """Where a run took place; seconds belong to it."""

    device: str
    dtype: str
    """Format of matrix products: ``bfloat16`` where the probe found it faster, else ``float32``."""
    threads: int
    name: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """``dtype`` as PyTorch's own."""
        return getattr(torch, self.dtype)


def available_cores() -> int:
    """Cores this process may use: a container may allow fewer than there are, and so may ``OMP_NUM_THREADS``."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(asked)) if asked.isdigit() and int(asked) else allowed


def _seconds(dtype: torch.dtype, size: int = 512, repeats: int = 8) -> float:
    matrix = torch.randn(size, size).to(dtype)
    matrix @ matrix
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - start)
    return best


@lru_cache(maxsize=1)
def cpu_dtype() -> str:
    """``bfloat16`` where a matrix product in it is at least 1.3 times as fast as in float32 on this CPU."""
    return "bfloat16" if _seconds(torch.bfloat16, 256, 3) * 1.3 < _seconds(torch.float32, 256, 3) else "float32"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache(maxsize=8)
def machine(device: str = "auto", dtype: str = "auto") -> Machine:
    """The machine for a requested device; sets torch's threads to the cores there are.

    Raises LabError for a device that is unknown or not there.
    """
    if device not in DEVICES:
        raise LabError(f"--device {device}: one of {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if present["cuda"] else "mps" if present["mps"] else "cpu"
    if not present[device]:
        raise LabError(f"--device {device}: this machine has none that torch can use; take --device cpu or auto")
    threads = available_cores()
    torch.set_num_threads(threads)
    if dtype == "auto":
        dtype = (
            cpu_dtype()
            if device == "cpu"
            else "bfloat16"
            if device == "cuda" and torch.cuda.is_bf16_supported()
            else "float32"
        )
    name = torch.cuda.get_device_name() if device == "cuda" else f"{_cpu_name()} x{threads}"
    return Machine(device, dtype, threads, name)


def can_compile(here: Machine) -> bool:
    """Whether torch.compile can work: on a CPU it needs a C++ compiler and Python's headers."""
    import shutil
    import sysconfig

    if here.device != "cpu":
        return here.device == "cuda"
    headers = os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
    return headers and any(shutil.which(c) for c in ("c++", "g++", "clang++"))
