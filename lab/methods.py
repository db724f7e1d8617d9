"""Method = Context x Weights. Presets carry the field's names; any ``context+weights`` pair works as well.

``method("rag_lora")``; ``method("nearest+full")``. A preset's grid has four candidates whatever it is, so that each
arm gets the same number of looks at validation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import lab.context
import lab.weights
from lab.context.base import Context
from lab.context.examples import FixedExamples, NearestExamples
from lab.context.none import NoContext
from lab.context.passages import Passages
from lab.families import members
from lab.schema import WORDINGS, LabError
from lab.weights.base import Weights
from lab.weights.frozen import Frozen
from lab.weights.full import Full
from lab.weights.lora import Lora
from lab.weights.scratch import Scratch

LOOKS = 4
"""Candidates that each arm may try on validation."""


@dataclass(frozen=True)
class Candidate:
    """One concrete method: settings of both families."""

    context: Context
    weights: Weights


@dataclass(frozen=True)
class Method:
    """A named arm and the candidates that validation chooses from, the simplest first."""

    name: str
    candidates: tuple[Candidate, ...]

    @property
    def trains(self) -> bool:
        """Whether weights change."""
        return self.candidates[0].weights.trains

    @property
    def has_rank(self) -> bool:
        """Whether a rank is one of its settings."""
        return hasattr(self.candidates[0].weights, "rank")

    @property
    def retrieves(self) -> bool:
        """Whether passages stand in its prompts."""
        return isinstance(self.candidates[0].context, Passages)

    @property
    def uses_labels(self) -> bool:
        """Whether labelled items change anything: else data size and seed don't."""
        return self.trains or any(c.context.uses_pool for c in self.candidates)

    def with_rank(self, rank: int | None) -> Method:
        """The method with every candidate at this rank."""
        if rank is None or not self.has_rank:
            return self
        return Method(self.name, tuple(Candidate(c.context, replace(c.weights, rank=rank)) for c in self.candidates))


def _grid(contexts: list[Context], weights: list[Weights]) -> tuple[Candidate, ...]:
    return tuple(Candidate(c, w) for w, c in product(weights, contexts))


LORA_RATES = (1e-3, 2e-3, 4e-3, 8e-3)
FULL_RATES = (1e-4, 3e-4, 1e-3, 2e-3)
_PLAIN = [NoContext()]
_PASSAGES = [Passages(k=1, mode="lexical"), Passages(k=3, mode="hybrid")]

PRESETS: dict[str, tuple[Candidate, ...]] = {
    "zero_shot": _grid([NoContext(wording=w, instruct=i) for w in WORDINGS for i in (True, False)], [Frozen()]),
    "few_shot": _grid([FixedExamples(k=k, wording=w) for k in (5, 12) for w in WORDINGS], [Frozen()]),
    "few_shot_nearest": _grid([NearestExamples(k=k, mode=m) for k in (5, 12) for m in ("lexical", "hybrid")], [Frozen()]),
    "rag": _grid([Passages(k=1, mode="lexical"), Passages(k=3, mode="lexical"), Passages(k=3, mode="hybrid"), Passages(k=3, mode="dense")], [Frozen()]),
    "few_shot_rag": _grid([Passages(k=k, mode=m, examples=e) for k, e in ((1, 4), (3, 4)) for m in ("lexical", "hybrid")], [Frozen()]),
    "lora": _grid(_PLAIN, [Lora(learning_rate=r) for r in LORA_RATES]),
    "study_lora": _grid(_PLAIN, [Lora(learning_rate=r, study=True, study_rate=s) for s in (1e-3, 4e-3) for r in LORA_RATES[1:3]]),
    "rag_lora": _grid(_PASSAGES, [Lora(learning_rate=r) for r in LORA_RATES[1:3]]),
    "full": _grid(_PLAIN, [Full(learning_rate=r) for r in FULL_RATES]),
    "study_full": _grid(_PLAIN, [Full(learning_rate=r, study=True, study_rate=s) for s in (2e-4, 1e-3) for r in FULL_RATES[1:3]]),
    "scratch": _grid(_PLAIN, [Scratch(learning_rate=r, epochs=e) for e in (10, 40) for r in (1e-3, 3e-3)]),
    "rag_full": _grid(_PASSAGES, [Full(learning_rate=r) for r in FULL_RATES[1:3]]),
}


def method(name: str) -> Method:
    """A preset, or ``context+weights`` at their defaults; raises LabError for anything else, listing what there is."""
    if name in PRESETS:
        return Method(name, PRESETS[name])
    contexts, weights = members(lab.context), members(lab.weights)
    left, plus, right = name.partition("+")
    if plus and left in contexts and right in weights:
        return Method(name, (Candidate(contexts[left](), weights[right]()),))
    raise LabError(f"unknown method {name!r}; one of {', '.join(PRESETS)}, or context+weights with {', '.join(contexts)} and {', '.join(weights)}")
