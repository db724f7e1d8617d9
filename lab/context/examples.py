"""Worked examples in the prompt: the same ones for every item, or the ones most like it."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

from lab.context.base import Context, Fitted, Tools
from lab.schema import Example, Prompt, Sample
from lab.tasks.task import Task


def as_example(sample: Sample) -> Example:
    """A training item as it stands in a prompt."""
    return Example(sample.id, sample.input, sample.target)


def without_group(candidates: list[Sample], sample: Sample) -> list[Sample]:
    """Candidates that are neither the sample nor of its group: else a training item would read its own answer."""
    return [c for c in candidates if c.id != sample.id and (not sample.group or c.group != sample.group)]


@dataclass(frozen=True)
class FixedExamples(Context):
    """``k`` examples, the same for every item, so that a provider can cache them."""

    name: ClassVar[str] = "examples"
    uses_pool: ClassVar[bool] = True

    k: int = 6
    order: str = "spread"
    """``spread`` takes targets in turn, so that every label is shown where there is room; ``drawn`` keeps the draw's order."""

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Choose the examples from the train split."""
        pool = list(task.train)
        return _Fixed(self, task, spread(pool) if self.order == "spread" else pool)


def spread(pool: list[Sample]) -> list[Sample]:
    """The pool reordered so that different targets come in turn (unchanged where all targets differ)."""
    queues: dict[str, list[Sample]] = defaultdict(list)
    for sample in pool:
        queues[sample.target].append(sample)
    turns = [(turn, first, s) for first, queue in enumerate(queues.values()) for turn, s in enumerate(queue)]
    return [s for _, _, s in sorted(turns, key=lambda t: (t[0], t[1]))]


class _Fixed(Fitted):
    def __init__(self, context: FixedExamples, task: Task, ordered: list[Sample]) -> None:
        self.context, self.instruction, self.ordered = context, context.instruction_of(task), ordered

    def build(self, sample: Sample) -> Prompt:
        # A few spare ones, so that leaving out the item's own group still leaves k.
        chosen = without_group(self.ordered[:self.context.k], sample)
        for spare in self.ordered[self.context.k:]:
            if len(chosen) >= self.context.k:
                break
            chosen += without_group([spare], sample)
        return Prompt(self.instruction, sample.input, tuple(as_example(s) for s in chosen), wording=self.context.words)


@dataclass(frozen=True)
class NearestExamples(Context):
    """The ``k`` training items most like the input, best next to it."""

    name: ClassVar[str] = "nearest"
    uses_pool: ClassVar[bool] = True
    uses_embedder: ClassVar[bool] = True

    k: int = 6
    mode: str = "hybrid"

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Index the inputs of the train split."""
        from lab.context.retrieval.search import Searcher

        searcher = Searcher([s.input for s in task.train], self.mode, tools)
        return _Nearest(self, task, searcher)


class _Nearest(Fitted):
    def __init__(self, context: NearestExamples, task: Task, searcher) -> None:
        self.context, self.task, self.searcher = context, task, searcher
        self.instruction, self.index_seconds = context.instruction_of(task), searcher.index_seconds
        self._found: dict[str, list[int]] = {}

    def prepare(self, samples: list[Sample]) -> None:
        wanted = [s for s in samples if s.id not in self._found]
        # Spare hits make up for the item's own group, which is left out.
        for sample, hits in zip(wanted, self.searcher.search([s.input for s in wanted], self.context.k + 16)):
            self._found[sample.id] = [index for index, _ in hits]

    def build(self, sample: Sample) -> Prompt:
        self.prepare([sample])
        candidates = without_group([self.task.train[i] for i in self._found[sample.id]], sample)
        return Prompt(self.instruction, sample.input, tuple(as_example(s) for s in candidates[:self.context.k]), wording=self.context.words)


@dataclass(frozen=True)
class RandomExamples(Context):
    """A control: ``k`` other examples for every item, drawn by its id."""

    name: ClassVar[str] = "random_examples"
    uses_pool: ClassVar[bool] = True

    k: int = 6

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Keep the train split to draw from."""
        return _Random(self, task)


class _Random(Fitted):
    def __init__(self, context: RandomExamples, task: Task) -> None:
        self.context, self.task, self.instruction = context, task, context.instruction_of(task)

    def build(self, sample: Sample) -> Prompt:
        pool = without_group(list(self.task.train), sample)
        chosen = random.Random(f"examples {sample.id}").sample(pool, min(self.context.k, len(pool)))
        return Prompt(self.instruction, sample.input, tuple(as_example(s) for s in chosen), wording=self.context.words)
