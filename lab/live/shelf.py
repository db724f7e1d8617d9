"""Studies on disk, and all of one task and model as one: what a notebook shows at once.

``Shelf.read(store)`` looks at the user's own studies, at ``lab-reports/`` and beneath them at the committed ones::

    shelf.combined("handbook", "nano") -> Study
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lab.measure.joining import combine, identity
from lab.schema import LabError
from lab.store import Store
from lab.study import Study
from lab.tasks.task import Task

MINE, REFERENCE, BOTH = "mine", "reference", "both"
"""Whose results are shown."""
DEPTHS = ("*/study.json", "*/*/study.json")
"""Where studies lie in a folder of reports."""


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
            for path in _studies_in(place):
                try:
                    found = Shelved(_loaded(path, path.stat().st_mtime_ns), path, committed)
                except LabError as error:
                    shelf.damaged.append(str(error))
                    continue
                # A run lies in the store and beside its report.
                if committed or not any(_same_run(found.study, s.study) for s in shelf.studies):
                    shelf.studies.append(found)
        return shelf

    def names(self) -> list[tuple[str, str]]:
        """(task name, model name) of everything there is, the newest own first."""
        return list(dict.fromkeys((s.study.task["name"], s.study.model["name"]) for s in self.studies))

    def of(self, task: str, model: str, digests: Container[str] | None = None, results: str = BOTH) -> list[Shelved]:
        """The studies of a task (with this very data, where its digests are given) and model that can stand together:
        ``results`` of one's own, of the committed reference, or of both.

        They share data, weights, decoding and embedder with the first of them, the newest own one.
        """
        found = [
            s
            for s in self.studies
            if (s.study.task["name"], s.study.model["name"]) == (task, model)
            and (digests is None or s.study.task["digest"] in digests)
            and (results == BOTH or s.committed == (results == REFERENCE))
        ]
        return [s for s in found if identity(s.study) == identity(found[0].study)]

    def digests_of(self, task: Task) -> set[str]:
        """Digests of a task's data as studies know it: whole, and with the parts of its test items that any took."""
        named = [s.study.task for s in self.studies if s.study.task["name"] == task.name]
        parts = {facts["test"] for facts in named if facts.get("test_of")}
        return {task.digest, *(task.with_items(count).digest for count in parts if count)}

    def offered(self, task: str, model: str, digests: Container[str] | None = None) -> list[str]:
        """Whose results there are to show, what is shown at first ahead: one's own, else the reference."""
        found = self.of(task, model, digests)
        own, committed = (any(s.committed == c for s in found) for c in (False, True))
        return [name for name, there in ((MINE, own), (REFERENCE, committed), (BOTH, own and committed)) if there]

    def combined(
        self, task: str, model: str, digests: Container[str] | None = None, results: str = BOTH
    ) -> Study | None:
        """One study of them all; None where there is none."""
        found = self.of(task, model, digests, results)
        return combine([s.study for s in found]) if found else None

    def first(self, task: str, model: str) -> Study | None:
        """One study of what is shown at first: one's own results where there are any, else the reference."""
        offered = self.offered(task, model)
        return self.combined(task, model, results=offered[0]) if offered else None


def _studies_in(place: Path) -> list[Path]:
    """Every study of a folder, those in a folder of a model (``reports/smollm2/triage``) behind the others, the newest
    first."""
    found = (sorted(place.glob(depth), key=lambda p: p.stat().st_mtime, reverse=True) for depth in DEPTHS)
    return [path for paths in found for path in paths]


@lru_cache(maxsize=256)
def _loaded(path: Path, stamp: int) -> Study:
    """A study as its file was at a time: a page reads the whole shelf several times."""
    return Study.load(path)


def _same_run(first: Study, second: Study) -> bool:
    """Whether two files hold one run: a command at one time."""
    return (first.made.get("date"), first.settings.get("command"), first.task["digest"]) == (
        second.made.get("date"),
        second.settings.get("command"),
        second.task["digest"],
    )


def written(store: Store, name: str, folders: Sequence[Path] = (Path("lab-reports"),)) -> dict[str, Path]:
    """{folder name: path} of every file of this name (``sweep.json``,
    ``why.json``) in the reports at hand, own before committed."""
    places = [*folders, *([store.committed] if store.committed else [])]
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob(f"*/{name}"), key=lambda p: p.stat().st_mtime, reverse=True):
            found.setdefault(path.parent.name, path)
    return found


def nearest(wanted: int, measured: Sequence[int]) -> int | None:
    """The measured size (or rank) next to a wanted one by ratio, the smaller of equals; None where none is."""
    return min(measured, key=lambda m: (max(m, wanted) / max(1, min(m, wanted)), m), default=None)


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
