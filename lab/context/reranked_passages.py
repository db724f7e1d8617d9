"""Retrieved passages in the order of a cross-encoder, which reads question and passage together (Nogueira, Cho 2019).

The search brings ``among`` passages, the best ``k`` of which by the cross-encoder (``--reranker``) stand in the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from lab.context.base import Fitted, Tools
from lab.context.passages import Passages, Retrieved
from lab.schema import Passage, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class RerankedPassages(Passages):
    """As ``rag``, with a second look at what was found."""

    name: ClassVar[str] = "reranked_passages"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"rerank_rag": {}}
    uses_reranker: ClassVar[bool] = True

    among: int = 20
    """Passages that the cross-encoder reads for each question; 0: none, the search's own order."""

    def outline(self) -> Self:
        """As long a prompt, found by words."""
        return replace(super().outline(), among=0)

    def control(self, mode: str) -> Self:
        """Gold and random passages are in no order."""
        return replace(super().control(mode), among=0)

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """The cross-encoder belongs to it."""
        return super().digest_parts(task, tools) | ({"reranker": tools.reranker.revision} if self.among else {})

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Index the documents."""
        return _Reranked(self, task, tools) if self.among else super().fit(task, tools)


class _Reranked(Retrieved):
    def __init__(self, context: RerankedPassages, task: Task, tools: Tools) -> None:
        super().__init__(context, task, tools)
        # What is searched is not yet what stands in the prompt: nobody can answer with the index alone.
        self._first, self.searcher, self._reranker = self.searcher, None, tools.reranker

    def search(self, samples: list[Sample]) -> list[list[Passage]]:
        queries = [s.input for s in samples]
        hits = self._first.search(queries, max(self.context.among, self.context.k))
        found = [[self.passages[i] for i, _ in h] for h in hits]
        orders = self._reranker.orders(queries, [[p.text for p in some] for some in found])
        return [[some[n] for n in order[: self.context.k]] for some, order in zip(found, orders)]
