"""Worked examples in the prompt: the same ones for every item, or the ones most like it."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Self

from lab.context.base import Context, Fitted, Offer, Tools, without_group, words_searched
from lab.schema import WORDINGS, Prompt, Sample
from lab.tasks.task import Task

COUNTS = (5, 12)
"""Examples in the prompt that validation chooses between."""


@dataclass(frozen=True)
class FixedExamples(Context):
    """``k`` examples, the same for every item, so that a provider can cache them."""

    name: ClassVar[str] = "examples"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"few_shot": {}}
    asks: ClassVar[tuple[str, ...]] = ("format_examples", "label_examples")
    uses_pool: ClassVar[bool] = True

    k: int = 6
    order: str = "spread"
    """``spread`` takes targets in turn, so that every label is shown where there is room;
    ``drawn`` keeps the draw's order."""

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """Numbers of examples, in both wordings (of a chat model: layouts) where there are looks for it."""
        if offer.chat and not trained:
            return tuple(replace(c, k=k) for k in COUNTS for c in self.in_layouts(offer))[:looks]
        wordings = (self.wording,) if trained else WORDINGS
        return tuple(replace(self, k=k, wording=w) for k, w in product(COUNTS, wordings))[:looks]

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Choose the examples from the train split."""
        return _Fixed(self, task)


def spread(pool: list[Sample]) -> list[Sample]:
    """The pool reordered so that different targets come in turn (unchanged where all targets differ)."""
    queues: dict[str, list[Sample]] = defaultdict(list)
    for sample in pool:
        queues[sample.target].append(sample)
    turns = [(turn, first, s) for first, queue in enumerate(queues.values()) for turn, s in enumerate(queue)]
    return [s for _, _, s in sorted(turns, key=lambda t: (t[0], t[1]))]


class _Fixed(Fitted):
    def __init__(self, context: FixedExamples, task: Task) -> None:
        super().__init__(context, task)
        self.ordered = spread(list(task.train)) if context.order == "spread" else list(task.train)

    def build(self, sample: Sample) -> Prompt:
        # A few spare ones, so that leaving out the item's own group still leaves k.
        chosen = without_group(self.ordered[: self.context.k], sample)
        for spare in self.ordered[self.context.k :]:
            if len(chosen) >= self.context.k:
                break
            chosen += without_group([spare], sample)
        return self.prompt(sample, chosen)


@dataclass(frozen=True)
class NearestExamples(Context):
    """The ``k`` training items most like the input, best next to it."""

    name: ClassVar[str] = "nearest"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"few_shot_nearest": {}}
    asks: ClassVar[tuple[str, ...]] = ("format_examples", "label_examples")
    uses_pool: ClassVar[bool] = True
    uses_embedder: ClassVar[bool] = True

    k: int = 6
    mode: str = "hybrid"

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """Numbers of examples, found in either of two ways; of a chat model in either layout."""
        if offer.chat and not trained:
            return tuple(replace(c, k=k) for k in COUNTS for c in self.in_layouts(offer))[:looks]
        ways = [(5, "lexical"), (12, "hybrid")] if looks < 4 else product(COUNTS, ("lexical", "hybrid"))
        return tuple(replace(self, k=k, mode=m) for k, m in ways)[:looks]

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """The way of searching belongs to it."""
        return super().digest_parts(task, tools) | words_searched(task, self.mode)

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Index the inputs of the train split."""
        from lab.context.retrieval.search import Searcher

        searcher = Searcher([s.input for s in task.train], self.mode, tools, task.asks_singles)
        return _Nearest(self, task, searcher)


class _Nearest(Fitted):
    def __init__(self, context: NearestExamples, task: Task, searcher) -> None:
        super().__init__(context, task)
        self.searcher, self.index_seconds = searcher, searcher.index_seconds
        self._found: dict[str, list[int]] = {}

    @property
    def rows_searched(self) -> list[dict[str, str]]:
        return [{"id": s.id, "input": s.input, "target": s.target} for s in self.task.train]

    def prepare(self, samples: list[Sample]) -> None:
        wanted = [s for s in samples if s.id not in self._found]
        # Spare hits make up for the item's own group, which is left out.
        found = self.searcher.search([s.input for s in wanted], self.context.k + 16)
        self._found |= {s.id: [index for index, _ in hits] for s, hits in zip(wanted, found)}

    def chosen(self, sample: Sample) -> list[Sample]:
        """The training items most like a sample, the best first."""
        self.prepare([sample])
        nearest = without_group([self.task.train[i] for i in self._found[sample.id]], sample)
        return nearest[: self.context.k]

    def build(self, sample: Sample) -> Prompt:
        return self.prompt(sample, self.chosen(sample))


@dataclass(frozen=True)
class RandomExamples(Context):
    """A control: ``k`` other examples for every item, drawn by its id."""

    name: ClassVar[str] = "random_examples"
    uses_pool: ClassVar[bool] = True

    k: int = 6

    @property
    def is_control(self) -> bool:
        """It shows what choosing the examples is worth."""
        return True

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Keep the train split to draw from."""
        return _Random(self, task)


class _Random(Fitted):
    def build(self, sample: Sample) -> Prompt:
        pool = without_group(self.task.train, sample)
        count = min(self.context.k, len(pool))
        return self.prompt(sample, random.Random(f"examples {sample.id}").sample(pool, count))
