"""Passages found by an embedder that was fine-tuned on the training questions and the passages that answer them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from lab.context.base import Fitted, Offer, Tools
from lab.context.passages import Passages, Retrieved
from lab.schema import LabError, Passage, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class TunedPassages(Passages):
    """As ``rag``, its embedder trained on the labelled items: data size and draw change it."""

    name: ClassVar[str] = "tuned_passages"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"tuned_rag": {}}

    k: int = 3
    mode: str = "dense"
    epochs: int = 8
    """Of training the embedder; 0: none."""

    @property
    def uses_pool(self) -> bool:
        """The embedder learns from the training items."""
        return self.epochs > 0 or super().uses_pool

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """Found by meaning, or by words and meaning; one passage or three; of a chat model in either layout."""
        ways = [(1, "dense"), (3, "hybrid"), (3, "dense"), (1, "hybrid")]
        if offer.chat and not trained:
            return tuple(replace(c, k=k, mode=m) for k, m in ways[:2] for c in self.in_layouts(offer))[:looks]
        return tuple(replace(self, k=k, mode=m) for k, m in ways)[:looks]

    def outline(self) -> Self:
        """Found by words, nothing trained."""
        return replace(super().outline(), epochs=0)

    def control(self, mode: str) -> Self:
        """Gold and random passages need no embedder."""
        return replace(super().control(mode), epochs=0)

    def require(self, task: Task) -> None:
        """Which passage answers a training item must be known of some."""
        super().require(task)
        if not any(s.evidence for s in task.labelled):
            raise LabError(
                f"tuned_rag learns which document answers which question: it needs the field evidence in "
                f"{task.folder or task.name}/train.jsonl, and no row has it"
            )

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Train the embedder on the train split, then index the documents."""
        if not (self.epochs and self.uses_embedder):
            return super().fit(task, tools)
        from lab.context.retrieval.tuning import tuned

        gold = replace(self.control("oracle"), k=1).fit(task, tools)
        gold.prepare(list(task.train))
        read: list[tuple[Sample, tuple[Passage, ...]]] = [(s, gold.read_from(s)) for s in task.train]
        own, seconds = tuned(tools, [(s.input, p[0].text) for s, p in read if p], self.epochs)
        fitted = Retrieved(self, task, own)
        fitted.index_seconds += seconds
        return fitted
