"""Studies on disk, and all of one task and model as one: what a notebook shows at once.

``Shelf.read(store)`` looks at the user's own studies, at ``lab-reports/`` and beneath them at the committed ones::

    shelf.combined("handbook", "nano") -> Study
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.measure.joining import combine, identity
from lab.schema import LabError
from lab.store import Store
from lab.study import Study


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
        """Every study.json of the store, of ``folders`` and of the committed reports;
        a damaged one is named, the rest is read."""
        shelf = cls()
        places = [
            (store.home / "studies", False),
            *((f, False) for f in folders),
            *([(store.committed, True)] if store.committed else []),
        ]
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

    def of(self, task: str, model: str, digest: str = "") -> list[Shelved]:
        """The studies of a task (with this very data, where a digest is given) and model that can stand together.

        They share data, weights, decoding and embedder with the first of them, the newest own one.
        """
        found = [
            s
            for s in self.studies
            if (s.study.task["name"], s.study.model["name"]) == (task, model) and digest in ("", s.study.task["digest"])
        ]
        return [s for s in found if identity(s.study) == identity(found[0].study)]

    def combined(self, task: str, model: str, digest: str = "") -> Study | None:
        """One study of them all; None where there is none."""
        found = self.of(task, model, digest)
        return combine([s.study for s in found]) if found else None


def written(store: Store, name: str, folders: Sequence[Path] = (Path("lab-reports"),)) -> dict[str, Path]:
    """{folder name: path} of every file of this name (``sweep.json``,
    ``why.json``) in the reports at hand, own before committed."""
    places = [*folders, *([store.committed] if store.committed else [])]
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob(f"*/{name}"), key=lambda p: p.stat().st_mtime, reverse=True):
            found.setdefault(path.parent.name, path)
    return found


def missing(study: Study | None, methods: Sequence[str], size: int, rank: int, seeds: int) -> list[str]:
    """Names of the methods that lack a seed at this size (and rank, where they have one)."""
    from lab.flow.methods import method

    lacking = []
    for name in methods:
        m = method(name)
        wanted = seeds if m.uses_labels else 1
        found = study.cells_of(name, size if m.uses_labels else None, rank if m.has_rank else None) if study else []
        if len({c.seed for c in found if not m.has_rank or c.rank == rank}) < wanted:
            lacking.append(name)
    return lacking
