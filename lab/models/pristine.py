"""A base network's own values, to be put back bit for bit after something was merged into them.

What is added and taken away again in floating point does not come back exactly. So the values are read again from the
model's files, one matrix at a time; where the files can't give them (a network made in memory, other shapes or number
formats) they are written to a temporary file once. Nothing is held twice in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


class Pristine:
    """The values of a network as it was when this was made: they are looked for, or written, at once."""

    def __init__(self, network: torch.nn.Module, folder: Path | None) -> None:
        self.network, self.folder = network, folder
        self._own: tempfile.TemporaryDirectory[str] | None = None
        found = self._in_folder()
        self.files = found if found is not None else self._written()
        """Where each parameter's values lie."""

    @torch.no_grad()
    def restore(self, names: Iterable[str]) -> None:
        """Copy the values of these parameters back into the network."""
        parameters = dict(self.network.named_parameters())
        with _reader(self.files) as read:
            for name in names:
                parameters[name].copy_(read(name).to(parameters[name].dtype))

    def _in_folder(self) -> dict[str, Path] | None:
        """The model's own files, where they hold exactly what the network holds."""
        places: dict[str, Path] = {}
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder else ():
            with safe_open(path, "pt") as file:
                places |= dict.fromkeys(file.keys(), path)
        parameters = dict(self.network.named_parameters())
        if not parameters.keys() <= places.keys():
            return None
        with _reader(places) as read:
            for name, value in parameters.items():
                saved = read(name)
                if saved.shape != value.shape or not torch.equal(saved.to(value.dtype), value.detach().cpu()):
                    return None
        return places

    def _written(self) -> dict[str, Path]:
        self._own = tempfile.TemporaryDirectory(prefix="decision-lab-")
        path = Path(self._own.name) / "base.safetensors"
        parameters = dict(self.network.named_parameters())
        save_file({n: p.detach().cpu().contiguous() for n, p in parameters.items()}, path)
        return dict.fromkeys(parameters, path)


@contextmanager
def _reader(places: dict[str, Path]) -> Iterator:
    """A function from a parameter's name to its stored values; each file is opened once."""
    with ExitStack() as stack:
        opened: dict[Path, object] = {}

        def read(name: str) -> torch.Tensor:
            path = places[name]
            if path not in opened:
                opened[path] = stack.enter_context(safe_open(path, "pt"))
            return opened[path].get_tensor(name)

        yield read
