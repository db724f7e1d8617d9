"""Method = Context x Weights. Every pair of the two families is a method; well-known names are derived from them.

``method("rag_lora")``, ``method("study_dora")``; ``method("nearest+full")`` is the same by the classes' own names. An
arm's candidates are the product of the two grids, cut so that each arm gets the same number of looks at validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import lab.context
import lab.weights
from lab.context.base import Context, Offer
from lab.flow.families import members
from lab.models.base import Model
from lab.schema import LabError
from lab.tasks.check import is_classification
from lab.tasks.task import Task
from lab.weights.base import Weights

CANDIDATES = 4
"""Candidates that each arm may try on validation."""
FROZEN_ARMS = ("zero_shot", "few_shot")


@dataclass(frozen=True)
class Candidate:
    """One concrete method: settings of both families."""

    context: Context
    weights: Weights

    def at_rank(self, rank: int | None) -> Candidate:
        """The same with another rank, where it has one."""
        return replace(self, weights=self.weights.at_rank(rank))


@dataclass(frozen=True)
class Method:
    """A named arm and the candidates that validation chooses from, the simplest first."""

    name: str
    candidates: tuple[Candidate, ...]
    moves: bool = False
    """Whether the grid moves on, once, where validation chooses at its edge."""

    @property
    def trains(self) -> bool:
        """Whether weights change."""
        return self.candidates[0].weights.trains

    @property
    def has_rank(self) -> bool:
        """Whether a rank is one of its settings."""
        return self.candidates[0].weights.has_rank

    @property
    def needs_documents(self) -> bool:
        """Whether its prompts are made from the task's documents, or its weights have read them."""
        first = self.candidates[0]
        return first.context.needs_documents or any(w.reads for w in first.weights.stages)

    @property
    def searches_instructions(self) -> bool:
        """Whether it tries instructions."""
        return any(c.context.searches_instructions and not c.weights.trains for c in self.candidates)

    @property
    def uses_reranker(self) -> bool:
        """Whether a cross-encoder orders its passages."""
        return any(c.context.uses_reranker for c in self.candidates)

    @property
    def writes_questions(self) -> bool:
        """Whether the model itself writes questions on the documents that it then reads."""
        return any(w.reads and w.wordings for w in self.candidates[0].weights.stages)

    @property
    def controls(self) -> tuple[str, ...]:
        """Modes that show what its passages are worth."""
        return self.candidates[0].context.controls

    @property
    def uses_labels(self) -> bool:
        """Whether labelled items change anything: else data size and seed don't."""
        return self.trains or any(c.context.uses_pool for c in self.candidates)

    @property
    def abilities(self) -> tuple[str, ...]:
        """What a model must be able to do for it (``lab.models.base.ABILITIES``)."""
        return ("complete", "train") if self.trains else ("complete",)

    def with_rank(self, rank: int | None) -> Method:
        """The method with every candidate at this rank."""
        if rank is None or not self.has_rank:
            return self
        return replace(self, candidates=tuple(c.at_rank(rank) for c in self.candidates))


def candidates_of(context: Context, weights: Weights, offer: Offer) -> tuple[Candidate, ...]:
    """The product of both grids within CANDIDATES: a grid that stands alone takes all looks, two share them."""
    alone = not weights.trains
    contexts = context.grid(CANDIDATES if alone else CANDIDATES // 2, not alone, offer)
    weights = weights.suited(offer.size) if offer.size else weights
    offered = weights.grid(CANDIDATES // len(contexts), offer.size)
    return tuple(Candidate(c, w) for w, c in product(offered, contexts))[:CANDIDATES]


@lru_cache(maxsize=4)
def presets(offer: Offer = Offer()) -> dict[str, Method]:  # noqa: B008 (frozen)
    """All derived methods by name: contexts alone (``rag``), and before trained weights (``lora``,
    ``rag_lora``, ``rag_study_lora``)."""
    contexts = [c for c in members(lab.context).values() if not c().is_control]
    contexts.sort(key=lambda c: (not c.bare, c.needs_documents))
    found: dict[str, Method] = {}
    for weights, context in product(sorted(members(lab.weights).values(), key=lambda w: w.trains), contexts):
        for (name, fixed), (before, set_) in product(_variants(context).items(), weights.variants.items()):
            if weights.trains:
                name = ("" if context.bare else f"{name}_") + before + weights.name
            candidates = candidates_of(context(**fixed), weights(**set_), offer)
            found[name] = Method(name, candidates, moves=offer.size is not None)
    return found


def _variants(context: type[Context]) -> dict[str, dict[str, Any]]:
    return context.variants or {context.name: {}}


def method(name: str, offer: Offer = Offer()) -> Method:  # noqa: B008 (frozen)
    """A preset, or ``context+weights`` by the classes' names;
    raises LabError for anything else, listing what there is."""
    if name in presets(offer):
        return presets(offer)[name]
    contexts, weights = members(lab.context), members(lab.weights)
    left, plus, right = name.partition("+")
    if plus and left in contexts and right in weights:
        return Method(name, candidates_of(contexts[left](), weights[right](), offer), moves=offer.size is not None)
    prompting = [n for n, m in presets().items() if not m.trains]
    training = [w for w, kind in weights.items() if kind.trains]
    raise LabError(
        f"unknown method {name!r}; one of {', '.join(prompting)}; {', '.join(training)} (alone, or after one of the "
        "others as in rag_lora; study_lora reads the documents first, qa_lora as questions that the model writes); or "
        f"context+weights with {', '.join(contexts)} and {', '.join(weights)}"
    )


def default_methods(task: Task) -> list[str]:
    """Prompting and LoRA; with documents also retrieval, both together, and the closed-book arm that studied them."""
    retrieval = ["rag", "rag_lora", "study_lora"] if task.documents else []
    return [*FROZEN_ARMS, "few_shot_rag" if task.documents else "few_shot_nearest", *retrieval, "lora"]


def offer_of(model: Model, task: Task, instructions: Sequence[str] = ()) -> Offer:
    """What this model and this task leave to choose in a prompt, with ``instructions`` to try beside the task's own."""
    listed = is_classification(task) and model.count_tokens(", ".join(task.labels)) <= model.window // 4
    return Offer(model.is_chat, listed, tuple(instructions), model.size)
