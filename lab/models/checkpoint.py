"""A training stopped half-way, as files: tensors in safetensors, the rest in JSON, no pickle.

The progress file is replaced last and names the step's files, so that a kill at any moment leaves a whole checkpoint::

    save_checkpoint(folder, {"weight": w}, [optimizer], {"step": 40})
    progress = load_checkpoint(folder, {"weight": w}, [optimizer])     # copies into w; None where there is none
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lab.files import tell, write_json
from lab.schema import first_line


def save_checkpoint(
    folder: Path,
    tensors: dict[str, torch.Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    progress: dict[str, Any],
) -> None:
    """Write tensors, optimizer states and ``progress`` (plain data with a ``step``); older steps are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    step = progress["step"]
    states = {}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            states |= {f"{number}.{index}.{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, folder / f"weights-{step}.safetensors")
    save_file(states, folder / f"optimizer-{step}.safetensors")
    write_json(folder / "progress.json", progress)
    for old in folder.glob("*-*.safetensors"):
        if not old.stem.endswith(f"-{step}"):
            old.unlink()


@torch.no_grad()
def load_checkpoint(
    folder: Path, tensors: dict[str, torch.Tensor], optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any] | None:
    """Copy a checkpoint's values into ``tensors`` and ``optimizers`` and return its progress;
    None where there is none, or none that can be read, which is told."""
    if not (folder / "progress.json").exists():
        return None
    try:
        progress = json.loads((folder / "progress.json").read_text())
        step = progress["step"]
        saved = load_file(folder / f"weights-{step}.safetensors")
        states = load_file(folder / f"optimizer-{step}.safetensors")
        if any(saved[name].shape != tensor.shape for name, tensor in tensors.items()):
            raise ValueError("it is of another training")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        tell(f"{folder}: this checkpoint can't be gone on from ({first_line(error)}); from the start")
        return None
    for name, tensor in tensors.items():
        tensor.copy_(saved[name])
    for number, optimizer in enumerate(optimizers):
        state_dict = optimizer.state_dict()
        for name, value in states.items():
            owner, index, key = name.split(".", 2)
            if int(owner) == number:
                state_dict["state"].setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(state_dict)
    return progress
