"""Studies on disk, and all of one task and model as one: what a notebook shows at once.

``Shelf.read(store)`` looks at the user's own studies, at ``lab-reports/`` and beneath them at the committed ones::

    shelf.combined("handbook", "nano") -> Study
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

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
        """One study of them all; None where there is none."""
        found = self.of(task, model, digest)
        return combine([s.study for s in found]) if found else None


def combine(studies: Sequence[Study]) -> Study:
    """One study of several on the same data and weights, own ones first; raises LabError where they can't stand together.

    The seeds of an arm at a rank and size come from the study that has most of them (the first of equals); seeds that it
    lacks come from others only where settings and machine are the same. It is finished where one of them is.
    """
    first = studies[0]
    for study in studies[1:]:
        if _identity(study) != _identity(first):
            raise LabError(f"{study.task['name']} with {study.model['name']}: differs from {first.task['name']} with {first.model['name']} in data, weights, decoding or embedder; such studies can't be one")
    cells = [cell for group in _groups(studies).values() for cell in group]
    choices: dict[str, dict] = {}
    probes: dict[str, dict] = {}
    probed: dict[tuple, Probed] = {}
    for study in studies:
        choices = {c["key"]: c for c in study.choices} | choices
        probes = study.probes | probes
        probed = {(p.method, p.rank, p.size, p.seed, p.probe): p for p in _asked_alike(study.probed, probed)} | probed
    leading = next((s for s in studies if "finished" in s.made), first)
    seeds = max(s.settings["seeds"] for s in studies)
    commands = "; ".join(dict.fromkeys(s.settings["command"] for s in studies if s.settings.get("command")))
    looks = max(s.settings.get("test_looks", 0) for s in studies)
    ordered = sorted(cells, key=lambda c: c.control == "baseline")
    return replace(leading, cells=ordered, choices=list(choices.values()), probes=probes, probed=list(probed.values()), plan=_plans(studies, leading),
                   settings=leading.settings | {"seeds": seeds, "command": commands, "test_looks": looks})


def _plans(studies: Sequence[Study], leading: Study) -> dict[str, Any]:
    """The leading study's plan, with what all of them forecast and measured arm by arm; a whole run's seconds are told of a single study only.

    A cell that stands in several is told of the first: forecast and measurement must be of the same run.
    """
    if len(studies) == 1:
        return leading.plan
    forecast: dict[str, dict[str, Any]] = {}
    measured: dict[str, dict[str, Any]] = {}
    for study in studies:
        for name, told in study.plan.get("forecast", {}).items():
            known = forecast.get(name, {"search": 0.0, "cells": {}, "peak_bytes": None})
            own = {cell: seconds for cell, seconds in told["cells"].items() if cell not in known["cells"]}
            if own:
                forecast[name] = {"search": known["search"] + told["search"], "cells": known["cells"] | own, "peak_bytes": max(told["peak_bytes"] or 0.0, known["peak_bytes"] or 0.0) or None}
                measured |= {cell: took for cell, took in study.plan["measured"].items() if cell in own}
    return leading.plan | {"forecast_seconds": None, "forecast": forecast, "measured": measured, "cells": len({cell for f in forecast.values() for cell in f["cells"]}) or leading.plan.get("cells", 0),
                           "methods": list(dict.fromkeys(name for s in studies for name in s.plan.get("methods", [])))}


def _groups(studies: Sequence[Study]) -> dict[tuple, list[Cell]]:
    """Cells by (method, rank, size, control), each group from one study as far as its settings or machine differ."""
    by_group: dict[tuple, list[list[Cell]]] = {}
    for study in studies:
        mine: dict[tuple, list[Cell]] = {}
        for cell in study.cells:
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
