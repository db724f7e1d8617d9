"""Several studies of one task as one study: whose cells stand where, and what may not stand together.

``combine([own, committed])`` is what a notebook shows and ``lab keep A B --out X`` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lab.schema import LabError
from lab.study import Cell, Choice, Probed, Study


def combine(studies: Sequence[Study]) -> Study:
    """One study of several on the same data and weights, own ones first; raises LabError where they can't stand
    together.

    The seeds of an arm at a rank and size come from the study that has most of them (the first of equals); seeds that
    it lacks come from others only where settings and machine are the same. It is finished where one of them is.
    """
    first = studies[0]
    for study in studies[1:]:
        if identity(study) != identity(first):
            raise LabError(
                f"{study.task['name']} with {study.model['name']}: differs from {first.task['name']} with "
                f"{first.model['name']} in data, weights, decoding or embedder; such studies can't be one"
            )
    probes: dict[str, dict[str, Any]] = {}
    probed: dict[tuple, Probed] = {}
    for study in studies:
        probes = study.probes | probes
        probed = {(p.method, p.rank, p.size, p.seed, p.probe): p for p in _asked_alike(study.probed, probed)} | probed
    leading = next((s for s in studies if "finished" in s.made), first)
    return replace(
        leading,
        cells=sorted((c for group in _groups(studies).values() for c in group), key=lambda c: c.control == "baseline"),
        choices=_choices(studies),
        probes=probes,
        probed=list(probed.values()),
        plan=_plans(studies, leading),
        settings=leading.settings | _settings(studies),
    )


def beside(matched: Study, others: Sequence[Study]) -> Study:
    """A study with the arms of other models on the same data beside its own, *as deployed*; raises LabError for other
    data.

    Each model keeps its name, its probes and its own searches; where two share a name the revision tells them apart.
    Decoding and embedder belong to a deployment and may differ.
    """
    cells, choices, probed = list(matched.cells), list(matched.choices), list(matched.probed)
    models = dict(matched.others)
    for study in others:
        if study.task["digest"] != matched.task["digest"]:
            raise LabError(
                f"{study.task['name']} with {study.model['name']}: has other data than {matched.task['name']} with "
                f"{matched.model['name']}; arms are compared on the same items only"
            )
        name = study.model["name"]
        if name in {matched.model["name"], *models}:
            name = f"{name} ({study.model['revision'][:8]})"
        kept = {"decoding": study.settings["decoding"], "embedder": study.settings["embedder"], "probes": study.probes}
        models[name] = study.model | {"name": name} | kept
        # Baselines need no model, and those of the first study stand already.
        cells += [replace(c, model=name) for c in study.cells if c.control != "baseline"]
        choices += [replace(c, model=name) for c in study.choices]
        probed += [replace(p, model=name) for p in study.probed]
    studies = [matched, *others]
    finished = {} if all("finished" in s.made for s in studies) else {"finished": None}
    made = {k: v for k, v in matched.made.items() if k not in finished}
    plan = matched.plan | {"cells": sum(s.plan.get("cells", 0) for s in studies), "forecast_seconds": None}
    return replace(
        matched,
        cells=sorted(cells, key=lambda c: c.control == "baseline"),
        choices=choices,
        probed=probed,
        others=models,
        made=made,
        plan=plan,
        settings=matched.settings | _settings(studies),
    )


def _choices(studies: Sequence[Study]) -> list[Choice]:
    """Every choice once, by its key."""
    found: dict[str, Choice] = {}
    for study in studies:
        found = {c.key: c for c in study.choices} | found
    return list(found.values())


def _settings(studies: Sequence[Study]) -> dict[str, Any]:
    """What is true of all of them together."""
    conventions: dict[str, str] = {}
    for study in studies:
        conventions = study.settings.get("conventions", {}) | conventions
    return {
        "seeds": max(s.settings["seeds"] for s in studies),
        "command": "; ".join(dict.fromkeys(s.settings["command"] for s in studies if s.settings.get("command"))),
        "test_looks": max(s.settings.get("test_looks", 0) for s in studies),
        "conventions": conventions,
    }


def _plans(studies: Sequence[Study], leading: Study) -> dict[str, Any]:
    """The leading study's plan, with what all of them forecast and measured arm by arm; a whole run's seconds are told
    of a single study only.

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
                forecast[name] = {
                    "search": known["search"] + told["search"],
                    "cells": known["cells"] | own,
                    "peak_bytes": max(told["peak_bytes"] or 0.0, known["peak_bytes"] or 0.0) or None,
                }
                measured |= {cell: took for cell, took in study.plan["measured"].items() if cell in own}
    return leading.plan | {
        "forecast_seconds": None,
        "forecast": forecast,
        "measured": measured,
        "cells": len({cell for f in forecast.values() for cell in f["cells"]}) or leading.plan.get("cells", 0),
        "methods": list(dict.fromkeys(name for s in studies for name in s.plan.get("methods", []))),
    }


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
    """A study's probes, where its base was asked the very items that are known already; else only what its base was
    asked beside them.

    The same name may stand for other items in an older study, and an arm's headline must stay one over all of its
    probes.
    """
    # An evaluation's key is made of model, prompts, choices and decoding; the machine is not in it.
    asked = lambda p: p.evaluation or (p.outcomes, p.nats)  # noqa: E731
    before = {p.probe: asked(p) for p in known.values() if not p.method}
    alike = all(before.get(p.probe, asked(p)) == asked(p) for p in probed if not p.method)
    return probed if alike else [p for p in probed if not p.method and p.probe not in before]


def identity(study: Study) -> tuple:
    """What studies must share to be one: data, weights, decoding and embedder."""
    asked = (str(study.settings["decoding"]), study.settings.get("extraction", ""), study.settings["embedder"])
    return study.task["digest"], study.model["revision"], *asked
