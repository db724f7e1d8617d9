"""A Study: what one ``lab decide`` measured, without any text of the task.

Statistics, decision and report are pure functions of it; ``Study.load(path)`` needs neither model nor task::

    study.arms() -> ["zero_shot", "few_shot", "rag", "lora"];  study.cells_of("lora", 400) -> its cells, one a seed
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lab.files import fitting, load, write_json
from lab.schema import OUTCOMES, LabError

SCHEMA = 2
LETTERS = {o: o[0] for o in OUTCOMES}
"""Outcomes in a study file: one letter an item."""
FAILED = -1.0
"""Accuracy of a trial whose training failed."""
OLD_NAMES = {"study": "stage", "study_seconds": "stage_seconds"}
"""Fields of trials as results were stored before the stage had its name."""
UNASKED = "-"
"""Letter of an item that an arm was not asked: it had left the race."""


SEARCH_DRAW = 0
"""The draw of the training sample that searches choose on. It is none of those that are measured: a training that was
chosen among several would count as a fresh one, and lies a little high. (Older studies measured it as well.)"""


def draws(count: int) -> range:
    """The draws that are measured, by number."""
    return range(SEARCH_DRAW + 1, SEARCH_DRAW + 1 + count)


def right(outcomes: str) -> list[float]:
    """1.0 or 0.0 an item."""
    return [1.0 if o == "c" else 0.0 for o in outcomes]


@dataclass
class Cell:
    """One spec's measurements on the test items, and what was true of the spec."""

    method: str
    seed: int
    size: int | None = None
    rank: int | None = None
    control: str = ""
    """Empty for an arm; ``oracle`` or ``random`` for a control with other passages;
    ``baseline`` for no language model."""
    context: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    """Name of the model; empty for a baseline, which needs none."""
    needs_documents: bool = False
    """The arm's context reads the task's documents."""
    asks: list[str] = field(default_factory=list)
    """Probes of what the arm asks of its base as it is; one passed is enough. Empty where training can teach it."""
    adapter: bool = False
    """What was learned can be kept beside the base's weights."""
    adaptation: str = ""
    stage: str = ""
    """The reading of the documents that the adaptation went on from."""
    evaluation: str = ""
    machine: str = ""
    """Where the seconds were measured."""
    failed: str = ""
    """Why there is nothing behind it: its training failed, and every item counts as an error."""
    outcomes: str = ""
    """One letter an item, in the order of ``Study.items``: c(orrect) w(rong) m(alformed) t(runcated) r(efused)
    e(rror), and ``-`` for an item that was not asked."""
    parts: dict[str, list[float | None]] = field(default_factory=dict)
    """Partial scores an item; None for an item that was not asked."""
    validation: float | None = None
    """Accuracy on the arm's own validation items."""
    validation_evaluation: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    """Means a request (prompt_tokens, cached_tokens, completion_tokens,
    seconds) and totals of the training (training_*, stage_*)."""
    recall: dict[str, float] = field(default_factory=dict)
    """Share of items with a gold document among the first k passages, by k."""

    @property
    def correct(self) -> list[float]:
        """1.0 or 0.0 an item."""
        return right(self.outcomes)

    @property
    def asked(self) -> int:
        """Items that were asked."""
        return len(self.outcomes) - self.outcomes.count(UNASKED)

    @property
    def accuracy(self) -> float:
        """Share of correct items among those asked."""
        return sum(self.correct) / self.asked


@dataclass
class Probed:
    """One probe's answers: of the untouched base, of an adapted model, or of the base with an arm's context."""

    probe: str
    says: str
    method: str = ""
    """Empty for the base."""
    seed: int = 0
    size: int | None = None
    rank: int | None = None
    in_context: bool = False
    """The arm's examples or passages stood in the prompt; no weights were changed."""
    outcomes: str = ""
    """One letter an item, as in a cell; empty for the likelihood of general texts."""
    nats: list[float] = field(default_factory=list)
    """Negative log likelihood of each general text."""
    tokens: list[int] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    """KL(base || tuned) summed over each text's tokens; zeros for the base."""
    chance: float = 0.0
    """What guessing among an item's candidates gives; 0 where answers are free."""
    evaluation: str = ""
    model: str = ""

    @property
    def correct(self) -> list[float]:
        """1.0 or 0.0 an item."""
        return right(self.outcomes)


@dataclass
class Trial:
    """One candidate of a search, scored on validation."""

    number: int
    settings: dict[str, dict[str, Any]]
    """``context`` and ``weights``, as ``lab.flow.families.settings_of`` gives them."""
    accuracy: float = FAILED
    evaluation: str = ""
    adaptation: str = ""
    nll: float | None = None
    looks: int = 0
    """At validation, early stopping's included."""
    seconds: float = 0.0
    stage: str = ""
    stage_seconds: float = 0.0
    """Of the reading of the documents that it went on from."""
    machine: str = ""
    failed: str = ""
    """Why its training failed; empty where it did not."""
    left_at: int = 0
    """Step at which it left the search, behind others; its accuracy is of that step. 0: it was trained whole."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Trial:
        """From JSON; results stored before the stage had its name are read as well."""
        return cls(**_renamed(data, OLD_NAMES))


@dataclass
class Choice:
    """What validation chose for an arm, and from what."""

    key: str
    method: str
    size: int | None
    rank: int | None
    trials: list[Trial]
    chosen: int
    """Place among the trials."""
    at_edge: list[str] = field(default_factory=list)
    """Axes whose chosen number is the smallest or largest of those tried."""
    still_rising: bool = False
    """The chosen training was still getting better at its last step."""
    looks: int = 0
    validation_items: int = 0
    model: str = ""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Choice:
        """From JSON."""
        return cls(**(data | {"trials": [Trial.of(t) for t in data["trials"]]}))

    @property
    def best(self) -> Trial:
        """The chosen trial."""
        return self.trials[self.chosen]


@dataclass
class Study:
    """Everything that the report needs."""

    task: dict[str, Any]
    model: dict[str, Any]
    """The base that all matched arms share: name, revision, parameters, window."""
    settings: dict[str, Any]
    items: list[str]
    groups: list[str]
    cells: list[Cell] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the base can do, by probe: what frozen arms need of it."""
    probed: list[Probed] = field(default_factory=list)
    """What was asked before and after: forgetting."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further models, by name, whose arms stand beside *as deployed*; each with its own ``probes``."""
    schema: int = SCHEMA

    def name_of(self, measured: Cell | Choice | Probed) -> str:
        """An arm's name: its method, and its model where that is not the base that matched arms share."""
        foreign = measured.method and measured.model in self.others
        return f"{measured.method} on {measured.model}" if foreign else measured.method

    def arms(self) -> list[str]:
        """Names of the arms, controls left out, in the order they were asked for."""
        return list(dict.fromkeys(self.name_of(c) for c in self.cells if c.control in ("", "baseline")))

    def sizes(self) -> list[int]:
        """Data sizes that were run, smallest first."""
        return sorted({c.size for c in self.cells if c.size is not None})

    def cells_of(self, arm: str, size: int | None, rank: int | None = None, control: str | None = None) -> list[Cell]:
        """An arm's cells at one size and rank, one a seed; arms that use no labels have one cell for all of them."""
        controls = ("", "baseline") if control is None else (control,)
        return [
            c
            for c in self.cells
            if self.name_of(c) == arm
            and c.control in controls
            and c.size in (size, None)
            and (rank is None or c.rank in (rank, None))
        ]

    def ranks(self, arm: str) -> list[int]:
        """Ranks that were run of an arm."""
        return sorted({c.rank for c in self.cells if self.name_of(c) == arm and c.rank is not None})

    def choices_of(self, arm: str) -> list[Choice]:
        """An arm's searches."""
        return [c for c in self.choices if self.name_of(c) == arm]

    def probes_of(self, model: str) -> dict[str, dict[str, Any]]:
        """What a model can do as it is, by probe."""
        return self.others[model].get("probes", {}) if model in self.others else self.probes

    def redacted(self) -> Study:
        """The same study without words of the task: ids, group names and findings become numbers and counts."""
        names: dict[str, str] = {}
        groups = [names.setdefault(g, f"group {len(names)}") for g in self.groups]
        return replace(
            self,
            items=[f"item {n}" for n in range(len(self.items))],
            groups=groups,
            findings=[_without_words(f) for f in self.findings],
            task={k: v for k, v in self.task.items() if k != "instruction"},
        )

    def save(self, path: Path) -> None:
        """Write as JSON; the file is replaced whole."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read a study from its ``study.json`` or the folder that holds it; raises LabError where the file is missing,
        damaged or of a later schema."""
        path = path / "study.json" if path.is_dir() else path
        return load(path, lambda data: cls._of(data, path), "study", "lab decide TASK")

    @classmethod
    def _of(cls, data: dict[str, Any], path: Path) -> Study:
        if data["schema"] == 1:
            data = _from_schema_1(data)
        if data["schema"] != SCHEMA:
            raise LabError(f"{path}: schema {data['schema']}, this lab reads 1 to {SCHEMA}; run lab decide again")
        choices = [c | {"trials": [_renamed(t, OLD_NAMES) for t in c["trials"]]} for c in data["choices"]]
        study = fitting(data | {"choices": choices}, cls)
        study._require_sound()
        return study

    def _require_sound(self) -> None:
        """Raises ValueError for a study whose parts don't fit each other: what stands on it would be nonsense."""
        items, letters = len(self.items), set(LETTERS.values()) | {UNASKED}
        named = (("task", self.task, "name"), ("task", self.task, "digest"), ("model", self.model, "name"))
        for part, held, name in (*named, ("made", self.made, "date")):
            if not isinstance(held.get(name), str):
                raise ValueError(f"{part} has no {name}")
        if not isinstance(self.made["machine"]["name"], str):
            raise ValueError("made names no machine")
        if len(self.groups) != items:
            raise ValueError(f"{items} items have {len(self.groups)} groups")
        if not isinstance(self.settings.get("seeds"), int):
            raise ValueError("its seeds are no number")
        for cell in self.cells:
            name = f"a cell of {cell.method}"
            if len(cell.outcomes) != items or not set(cell.outcomes) <= letters:
                raise ValueError(f"{name} has other outcomes than one known letter for each of {items} items")
            values = [*cell.usage.values(), *(v for part in cell.parts.values() for v in part)]
            if not all(v is None or math.isfinite(v) for v in values):
                raise ValueError(f"{name} has a figure that is no number")
            if any(len(part) != items for part in cell.parts.values()):
                raise ValueError(f"{name} has parts for other items")
        for choice in self.choices:
            if not 0 <= choice.chosen < len(choice.trials):
                raise ValueError(f"the choice of {choice.method} is none of its trials")


def _without_words(finding: dict[str, Any]) -> dict[str, Any]:
    count = f" ({len(finding['ids'])} items)" if finding.get("ids") else ""
    return finding | {"text": finding["kind"].replace("_", " ") + count, "ids": []}


def _renamed(data: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(k, k): v for k, v in data.items()}


def _from_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """Studies of schema 1 did not record what was true of a cell; their contexts were these, and their base one."""
    name = data["model"]["name"]

    def cell(old: dict[str, Any]) -> dict[str, Any]:
        context = old.get("context", {})
        passages, frozen = context.get("name") == "passages", not old.get("adaptation")
        asks = {
            "none": ["instruction"],
            "examples": ["format_examples", "label_examples"],
            "nearest": ["format_examples", "label_examples"],
            "passages": ["reading_5", *(["format_examples"] if context.get("examples") else [])],
        }
        new = _renamed(old, {"study": "stage"}) | {
            "model": "" if old.get("control") == "baseline" else name,
            "needs_documents": passages,
            "asks": asks.get(context.get("name"), []) if frozen else [],
            "adapter": old.get("weights", {}).get("name") == "lora",
        }
        return new | {"usage": _renamed(old.get("usage", {}), {"study_seconds": "stage_seconds"})}

    settings = {k: v for k, v in data["settings"].items() if k != "alpha"}
    convention = data["settings"].get("alpha")
    kept = {f.name for f in fields(Study)}
    return {k: v for k, v in data.items() if k in kept} | {
        "schema": SCHEMA,
        "cells": [cell(c) for c in data["cells"]],
        "choices": [c | {"model": name} for c in data.get("choices", [])],
        "probed": [p | {"model": name} for p in data.get("probed", [])],
        "settings": settings | {"conventions": {"lora": convention} if convention else {}},
    }
