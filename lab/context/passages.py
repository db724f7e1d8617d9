"""Passages of the documents in the prompt: retrieved ones (RAG), the gold ones (oracle) or random ones (control)."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Self

from lab.context.base import Context, Fitted, Offer, Tools, without_group, words_searched
from lab.context.examples import spread
from lab.context.retrieval.chunking import chunk_documents
from lab.schema import LabError, Passage, Prompt, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class Passages(Context):
    """The ``k`` best passages for the input; with ``examples`` also that many fixed worked examples."""

    name: ClassVar[str] = "passages"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"rag": {}, "few_shot_rag": {"examples": 4}}
    needs_documents: ClassVar[bool] = True
    controls: ClassVar[tuple[str, ...]] = ("oracle", "random")

    k: int = 3
    mode: str = "hybrid"
    """``dense`` (FAISS), ``lexical`` (BM25), ``hybrid`` (reciprocal rank fusion of both),
    or the controls ``oracle`` and ``random``."""
    chunk_tokens: int = 120
    overlap_tokens: int = 20
    examples: int = 0

    MODES: ClassVar[tuple[str, ...]] = ("dense", "lexical", "hybrid", "oracle", "random")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in self.MODES:
            raise LabError(f"unknown retrieval mode {self.mode!r}; one of {', '.join(self.MODES)}")

    @property
    def asks(self) -> tuple[str, ...]:
        """Reading among passages, or following the examples beside them."""
        return ("reading_5", "format_examples") if self.examples else ("reading_5",)

    @property
    def is_control(self) -> bool:
        """Gold and random passages."""
        return self.mode in self.controls

    @property
    def reads_gold(self) -> bool:
        """Gold passages are those of the item's evidence."""
        return self.mode == "oracle"

    @property
    def depth(self) -> int:
        """``k``"""
        return self.k

    @property
    def uses_pool(self) -> bool:
        """Only where worked examples stand beside the passages."""
        return self.examples > 0

    @property
    def uses_embedder(self) -> bool:
        """Only where search is dense."""
        return self.mode in ("dense", "hybrid")

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """Few passages or more, found by words, by meaning or by both; of a chat model in either layout."""
        if offer.chat and not trained:
            ways = product(((1, "lexical"), (3, "hybrid")), self.in_layouts(offer))
            return tuple(replace(c, k=k, mode=m) for (k, m), c in ways)[:looks]
        if looks < 4:
            ways = [(1, "lexical"), (3, "hybrid")]
        elif self.examples:
            ways = list(product((1, 3), ("lexical", "hybrid")))
        else:
            ways = [(1, "lexical"), (3, "lexical"), (3, "hybrid"), (3, "dense")]
        return tuple(replace(self, k=k, mode=m) for k, m in ways)[:looks]

    def embedded(self, task: Task) -> list[str]:
        """All passages of the documents where search is dense."""
        return [p.text for p in self.passages_of(task)] if self.uses_embedder else []

    def passages_of(self, task: Task) -> list[Passage]:
        """The task's documents in passages."""
        return chunk_documents(task.documents, self.chunk_tokens, self.overlap_tokens)

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """Documents in a script without spaces were cut otherwise before: what was stored of them is not found."""
        parts = super().digest_parts(task, tools) | words_searched(task, self.mode)
        return parts | ({"passages": "by letters"} if task.is_unspaced else {})

    def require(self, task: Task) -> None:
        """Documents are needed, and for oracle passages also known evidence."""
        super().require(task)
        if self.mode == "oracle" and not any(s.evidence for s in task.test):
            raise LabError(f"oracle passages need the field evidence in {task.folder}/test.jsonl, and no row has it")

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Chunk and index the documents."""
        return Retrieved(self, task, tools)


class Retrieved(Fitted):
    """Passages fitted on a task's documents."""

    def __init__(self, context: Passages, task: Task, tools: Tools) -> None:
        super().__init__(context, task)
        self.passages = context.passages_of(task)
        self.pool = spread(list(task.train)) if context.examples else []
        self._found: dict[str, list[Passage]] = {}
        if not context.is_control:
            from lab.context.retrieval.search import Searcher

            self.searcher = Searcher([p.text for p in self.passages], context.mode, tools, task.asks_singles)
            self.index_seconds = self.searcher.index_seconds
        self._by_document: dict[str, list[Passage]] = {}
        for passage in self.passages:
            self._by_document.setdefault(passage.document_id, []).append(passage)

    def prepare(self, samples: list[Sample]) -> None:
        """Search for all of them at once."""
        wanted = [s for s in samples if s.id not in self._found]
        if self.context.mode == "oracle":
            found = [self._oracle(s) for s in wanted]
        elif self.context.mode == "random":
            found = [self._drawn(s) for s in wanted]
        else:
            found = self.search(wanted)
        self._found |= {s.id: passages for s, passages in zip(wanted, found)}

    def search(self, samples: list[Sample]) -> list[list[Passage]]:
        """The passages of each sample's prompt, the best first."""
        hits = self.searcher.search([s.input for s in samples], self.context.k)
        return [[self.passages[i] for i, _ in h] for h in hits]

    def _oracle(self, sample: Sample) -> list[Passage]:
        """Passages of the evidence documents; of a long one those that hold the target, if any do, come first."""
        gold = [p for e in sample.evidence for p in self._by_document.get(e, [])]
        return sorted(gold, key=lambda p: sample.target.lower() not in p.text.lower())[: self.context.k]

    def _drawn(self, sample: Sample) -> list[Passage]:
        count = min(self.context.k, len(self.passages))
        return random.Random(f"passages {sample.id}").sample(self.passages, count)

    @property
    def rows_searched(self) -> list[dict[str, str]]:
        """The passages."""
        return [{"id": p.id, "text": p.text} for p in self.passages]

    def read_from(self, example: Sample) -> tuple[Passage, ...]:
        """Those of the example's own question."""
        self.prepare([example])
        return tuple(self._found[example.id])

    def build(self, sample: Sample) -> Prompt:
        """Passages, and examples where they are asked for."""
        self.prepare([sample])
        # A few spare examples, so that leaving out the item's own group still leaves enough.
        examples = without_group(self.pool[: self.context.examples + 8], sample)[: self.context.examples]
        return self.prompt(sample, examples, self._found[sample.id])
