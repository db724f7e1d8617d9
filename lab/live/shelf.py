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
from lab.study import Cell, Probed, Study


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

    def of(self, task: str, model: str, digest: str = "") -> list[Shelved]:
        """The studies of a task (with this very data, where a digest is given) and model that can stand together.

        They share data, weights, decoding and embedder with the first of them, the newest own one.
        """
        found = [s for s in self.studies if (s.study.task["name"], s.study.model["name"]) == (task, model) and digest in ("", s.study.task["digest"])]
        return [s for s in found if _identity(s.study) == _identity(found[0].study)]

    def combined(self, task: str, model: str, digest: str = "") -> Study | None:
        """One study of them all; None where there is none.

        The seeds of an arm at a rank and size come from the study that has most of them (own before committed); seeds
        that it lacks come from others only where settings and machine are the same. It is finished where one of them is.
        """
        found = self.of(task, model, digest)
        if not found:
            return None
        cells = [cell for group in _groups(found).values() for cell in group]
        choices: dict[str, dict] = {}
        probes: dict[str, dict] = {}
        probed: dict[tuple, Probed] = {}
        for shelved in found:
            choices = {c["key"]: c for c in shelved.study.choices} | choices
            probes = shelved.study.probes | probes
            probed = {(p.method, p.rank, p.size, p.seed, p.probe): p for p in _asked_alike(shelved.study.probed, probed)} | probed
        leading = next((s.study for s in found if "finished" in s.study.made), found[0].study)
        seeds = max(s.study.settings["seeds"] for s in found)
        commands = "; ".join(dict.fromkeys(s.study.settings["command"] for s in found if s.study.settings.get("command")))
        ordered = sorted(cells, key=lambda c: c.control == "baseline")
        return replace(leading, cells=ordered, choices=list(choices.values()), probes=probes, probed=list(probed.values()), settings=leading.settings | {"seeds": seeds, "command": commands})


def _groups(found: list[Shelved]) -> dict[tuple, list[Cell]]:
    """Cells by (method, rank, size, control), each group from one study as far as its settings or machine differ."""
    by_group: dict[tuple, list[list[Cell]]] = {}
    for shelved in found:
        mine: dict[tuple, list[Cell]] = {}
        for cell in shelved.study.cells:
            mine.setdefault((cell.method, cell.rank, cell.size, cell.control), []).append(cell)
        for group, cells in mine.items():
            by_group.setdefault(group, []).append(cells)
    merged = {}
    for group, offers in by_group.items():
        kept = list(max(offers, key=len))
        for cell in (c for cells in offers for c in cells):
            alike = (cell.context, cell.weights, cell.machine) == (kept[0].context, kept[0].weights, kept[0].machine)
            if alike and cell.seed not in {c.seed for c in kept}:
                kept.append(cell)
        merged[group] = sorted(kept, key=lambda c: c.seed)
    return merged


def _asked_alike(probed: list[Probed], known: dict[tuple, Probed]) -> list[Probed]:
    """A study's probes, where its base was asked the very items that are known already; else only what its base was asked beside them.

    The same name may stand for other items in an older study, and an arm's headline must stay one over all of its probes.
    """
    # An evaluation's key is made of model, prompts, choices and decoding; the machine is not in it.
    asked = lambda p: p.evaluation or (p.outcomes, p.nats)  # noqa: E731
    before = {p.probe: asked(p) for p in known.values() if not p.method}
    alike = all(before.get(p.probe, asked(p)) == asked(p) for p in probed if not p.method)
    return probed if alike else [p for p in probed if not p.method and p.probe not in before]


def _identity(study: Study) -> tuple:
    return study.task["digest"], study.model["revision"], str(study.settings["decoding"]), study.settings["embedder"]


def written(store: Store, name: str, folders: Sequence[Path] = (Path("lab-reports"),)) -> dict[str, Path]:
    """{folder name: path} of every file of this name (``sweep.json``, ``why.json``) in the reports at hand, own before committed."""
    places = [*folders, *([store.committed] if store.committed else [])]
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob(f"*/{name}"), key=lambda p: p.stat().st_mtime, reverse=True):
            found.setdefault(path.parent.name, path)
    return found


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
