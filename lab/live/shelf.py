"""Studies on disk, and all of one task and model as one: what a notebook shows at once.

``Shelf.read(store)`` looks at the user's own studies, at ``lab-reports/`` and beneath them at the committed ones::

    shelf.combined("handbook", "nano") -> Study
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.schema import LabError
from lab.store import Store
from lab.study import Cell, Study


@dataclass(frozen=True)
class Shelved:
    """A study and where it lies."""

    study: Study
    path: Path
    committed: bool


@dataclass
class Shelf:
    """All readable studies, own ones first, and what could not be read."""

    studies: list[Shelved] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, store: Store, folders: Sequence[Path] = (Path("lab-reports"),)) -> Shelf:
        """Every study.json of the store, of ``folders`` and of the committed reports; a damaged one is named, the rest is read."""
        shelf = cls()
        places = [(store.home / "studies", False), *((f, False) for f in folders), *([(store.committed, True)] if store.committed else [])]
        for place, committed in places:
            for path in sorted(place.glob("*/study.json"), key=lambda p: p.stat().st_mtime, reverse=True):
                try:
                    shelf.studies.append(Shelved(Study.load(path), path, committed))
                except LabError as error:
                    shelf.damaged.append(str(error))
        return shelf

    def names(self) -> list[tuple[str, str]]:
        """(task name, model name) of everything there is, the newest own first."""
        return list(dict.fromkeys((s.study.task["name"], s.study.model["name"]) for s in self.studies))

    def of(self, task: str, model: str) -> list[Shelved]:
        """The studies of a task and model that can stand together: those of the first one's very data, weights and decoding."""
        found = [s for s in self.studies if (s.study.task["name"], s.study.model["name"]) == (task, model)]
        return [s for s in found if _identity(s.study) == _identity(found[0].study)]

    def combined(self, task: str, model: str) -> Study | None:
        """One study with every cell of them, own cells before committed ones; None where there is none."""
        found = self.of(task, model)
        if not found:
            return None
        cells: dict[tuple, Cell] = {}
        choices: dict[str, dict] = {}
        probes: dict[str, dict] = {}
        for shelved in found:
            for cell in shelved.study.cells:
                cells.setdefault((cell.method, cell.rank, cell.size, cell.seed, cell.control), cell)
            choices = {c["key"]: c for c in shelved.study.choices} | choices
            probes = shelved.study.probes | probes
        first = found[0].study
        seeds = max(s.study.settings["seeds"] for s in found)
        commands = "; ".join(dict.fromkeys(s.study.settings["command"] for s in found if s.study.settings.get("command")))
        # Every cell was measured whole; which are missing at a size and rank is told beside the verdict.
        made = first.made | {"finished": first.made.get("finished", "combined")}
        ordered = sorted(cells.values(), key=lambda c: c.control == "baseline")
        return replace(first, cells=ordered, choices=list(choices.values()), probes=probes, settings=first.settings | {"seeds": seeds, "command": commands}, made=made)


def _identity(study: Study) -> tuple:
    return study.task["digest"], study.model["revision"], str(study.settings["decoding"]), study.settings["embedder"]


def missing(study: Study | None, methods: Sequence[str], size: int, rank: int, seeds: int) -> list[str]:
    """Names of the methods that lack a seed at this size (and rank, where they have one)."""
    from lab.methods import method

    lacking = []
    for name in methods:
        m = method(name)
        wanted = seeds if m.uses_labels else 1
        found = study.cells_of(name, size if m.uses_labels else None, rank if m.has_rank else None) if study else []
        if len({c.seed for c in found if not m.has_rank or c.rank == rank}) < wanted:
            lacking.append(name)
    return lacking
