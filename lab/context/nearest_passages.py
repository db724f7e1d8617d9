"""Retrieved passages and the nearest worked examples together: what is known, and how the likes of it were answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from lab.context.base import Fitted, Offer, Tools, words_searched
from lab.context.examples import NearestExamples
from lab.context.passages import Passages
from lab.schema import Passage, Prompt, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class NearestPassages(Passages):
    """Passages as ``rag`` finds them, and ``examples`` training items as ``few_shot_nearest`` finds them."""

    name: ClassVar[str] = "nearest_passages"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"nearest_rag": {}}

    examples: int = 4
    examples_by: str = "lexical"
    """How the examples are found, whatever the passages are: ``dense``, ``lexical`` or ``hybrid``."""

    @property
    def uses_embedder(self) -> bool:
        """Where either is found by meaning."""
        return super().uses_embedder or self.examples_by != "lexical"

    def outline(self) -> Self:
        """Both found by words."""
        return replace(self, mode="lexical" if super().uses_embedder else self.mode, examples_by="lexical")

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """The way of finding examples belongs to it."""
        return super().digest_parts(task, tools) | words_searched(task, self.examples_by)

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """One passage or three, found by words or by both; of a chat model in either layout."""
        if offer.chat and not trained:
            return tuple(replace(c, examples_by=c.mode) for c in super().grid(looks, trained, offer))
        ways = ((1, "lexical"), (3, "hybrid"), (1, "hybrid"), (3, "lexical"))
        return tuple(replace(self, k=k, mode=m, examples_by=m) for k, m in ways)[:looks]

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Index the documents, and the inputs of the train split."""
        nearest = NearestExamples(k=self.examples, mode=self.examples_by).fit(task, tools)
        return _Both(self, task, super().fit(task, tools), nearest)


class _Both(Fitted):
    def __init__(self, context: NearestPassages, task: Task, passages: Fitted, nearest: Fitted) -> None:
        super().__init__(context, task)
        self.passages, self.nearest = passages, nearest
        self.index_seconds = passages.index_seconds + nearest.index_seconds

    def prepare(self, samples: list[Sample]) -> None:
        self.passages.prepare(samples)
        self.nearest.prepare(samples)
        if self.context.layout == "turns":
            # Examples stand with passages of their own, which are searched for together.
            self.passages.prepare([e for s in samples for e in self.nearest.chosen(s)])

    def read_from(self, example: Sample) -> tuple[Passage, ...]:
        return self.passages.read_from(example)

    def build(self, sample: Sample) -> Prompt:
        self.prepare([sample])
        return self.prompt(sample, self.nearest.chosen(sample), self.passages.read_from(sample))
