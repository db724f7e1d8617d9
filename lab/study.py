"""A Study: what one ``lab decide`` measured, without any text of the task.

Statistics, decision and report are pure functions of it; ``Study.load(path)`` needs neither model nor task::

    study.arms() -> ["zero_shot", "few_shot", "rag", "lora"];  study.at_size("lora", 400) -> its cells, one a seed
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.schema import OUTCOMES, LabError

SCHEMA = 1
LETTERS = {o: o[0] for o in OUTCOMES}
"""Outcomes in a study file: one letter an item."""


@dataclass
class Cell:
    """One spec's measurements on the test items."""

    method: str
    seed: int
    size: int | None = None
    rank: int | None = None
    control: str = ""
    """Empty for an arm; ``oracle`` or ``random`` for a control with other passages; ``baseline`` for no language model."""
    context: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    adaptation: str = ""
    study: str = ""
    """The study stage that the adaptation went on from."""
    evaluation: str = ""
    machine: str = ""
    """Where the seconds were measured."""
    outcomes: str = ""
    """One letter an item, in the order of ``Study.items``: c(orrect) w(rong) m(alformed) t(runcated) r(efused) e(rror)."""
    parts: dict[str, list[float]] = field(default_factory=dict)
    validation: float | None = None
    """Accuracy on the arm's own validation items."""
    validation_evaluation: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    """Means a request (prompt_tokens, cached_tokens, completion_tokens, seconds) and totals of the training (training_*)."""
    recall: dict[str, float] = field(default_factory=dict)
    """Share of items with a gold document among the first k passages, by k."""

    @property
    def correct(self) -> list[float]:
        """1.0 or 0.0 an item."""
        return [1.0 if o == "c" else 0.0 for o in self.outcomes]

    @property
    def accuracy(self) -> float:
        """Share of correct items."""
        return sum(self.correct) / len(self.outcomes)


@dataclass
class Probed:
    """One probe's answers: of the untouched base, of an adapted model, or of the base with an arm's context in the prompt."""

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
    evaluation: str = ""

    @property
    def correct(self) -> list[float]:
        """1.0 or 0.0 an item."""
        return [1.0 if o == "c" else 0.0 for o in self.outcomes]


@dataclass
class Study:
    """Everything that the report needs."""

    task: dict[str, Any]
    model: dict[str, Any]
    settings: dict[str, Any]
    items: list[str]
    groups: list[str]
    cells: list[Cell] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the base can do, by probe: what frozen arms need of it."""
    probed: list[Probed] = field(default_factory=list)
    """What was asked before and after: forgetting."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def arms(self) -> list[str]:
        """Names of the arms, controls left out, in the order they were asked for."""
        return list(dict.fromkeys(c.method for c in self.cells if c.control in ("", "baseline")))

    def sizes(self) -> list[int]:
        """Data sizes that were run, smallest first."""
        return sorted({c.size for c in self.cells if c.size is not None})

    def cells_of(self, method: str, size: int | None, rank: int | None = None, control: str | None = None) -> list[Cell]:
        """An arm's cells at one size and rank, one a seed; arms that use no labels have one cell for all sizes and seeds."""
        controls = ("", "baseline") if control is None else (control,)
        return [c for c in self.cells if c.method == method and c.control in controls and c.size in (size, None) and (rank is None or c.rank in (rank, None))]

    def ranks(self, method: str) -> list[int]:
        """Ranks that were run of an arm."""
        return sorted({c.rank for c in self.cells if c.method == method and c.rank is not None})

    def redacted(self) -> Study:
        """The same study without words of the task: ids, group names and findings become numbers and counts."""
        names: dict[str, str] = {}
        groups = [names.setdefault(g, f"group {len(names)}") for g in self.groups]
        findings = [f | {"text": f"{f['kind'].replace('_', ' ')}" + (f" ({len(f['ids'])} items)" if f.get("ids") else ""), "ids": []} for f in self.findings]
        return replace(self, items=[f"item {n}" for n in range(len(self.items))], groups=groups, findings=findings)

    def save(self, path: Path) -> None:
        """Write as JSON; the file is replaced whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read a study; raises LabError where the file is missing, damaged or of another schema."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["schema"] != SCHEMA:
                raise LabError(f"{path}: schema {data['schema']}, this lab reads {SCHEMA}; run lab decide again")
            return cls(**(data | {"cells": [Cell(**c) for c in data["cells"]], "probed": [Probed(**p) for p in data.get("probed", [])]}))
        except FileNotFoundError:
            raise LabError(f"{path}: no such study; make one with lab decide") from None
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(f"{path}: damaged study ({error}); run lab decide again") from None
