"""Passages of the documents in the prompt: retrieved ones (RAG), the gold ones (oracle) or random ones (control)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from lab.context.base import Context, Fitted, Tools
from lab.context.examples import as_example, spread, without_group
from lab.context.retrieval.chunking import chunk_documents
from lab.schema import LabError, Passage, Prompt, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class Passages(Context):
    """The ``k`` best passages for the input; with ``examples`` also that many fixed worked examples."""

    name: ClassVar[str] = "passages"
    needs_documents: ClassVar[bool] = True

    k: int = 3
    mode: str = "hybrid"
    """``dense`` (FAISS), ``lexical`` (BM25), ``hybrid`` (reciprocal rank fusion of both), or the controls ``oracle`` and ``random``."""
    chunk_tokens: int = 120
    overlap_tokens: int = 20
    examples: int = 0

    MODES: ClassVar[tuple[str, ...]] = ("dense", "lexical", "hybrid", "oracle", "random")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in self.MODES:
            raise LabError(f"unknown retrieval mode {self.mode!r}; one of {', '.join(self.MODES)}")

    @property
    def is_control(self) -> bool:
        """Gold and random passages."""
        return self.mode in ("oracle", "random")

    @property
    def uses_pool(self) -> bool:
        """Only where worked examples stand beside the passages."""
        return self.examples > 0

    @property
    def uses_embedder(self) -> bool:
        """Only where search is dense."""
        return self.mode in ("dense", "hybrid")

    def require(self, task: Task) -> None:
        """Documents are needed, and for oracle passages also known evidence."""
        super().require(task)
        if self.mode == "oracle" and not any(s.evidence for s in task.test):
            raise LabError(f"oracle passages need the field evidence in {task.folder}/test.jsonl, and no row has it")

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Chunk and index the documents."""
        passages = chunk_documents(task.documents, self.chunk_tokens, self.overlap_tokens)
        pool = spread(list(task.train)) if self.examples else []
        return _Retrieved(self, task, passages, pool, tools)


class _Retrieved(Fitted):
    def __init__(self, context: Passages, task: Task, passages: list[Passage], pool: list[Sample], tools: Tools) -> None:
        self.context, self.task, self.passages, self.pool = context, task, passages, pool
        self.instruction = context.instruction_of(task)
        self._found: dict[str, list[Passage]] = {}
        self._searcher = None
        if context.mode not in ("oracle", "random"):
            from lab.context.retrieval.search import Searcher

            self._searcher = Searcher([p.text for p in passages], context.mode, tools)
            self.index_seconds = self._searcher.index_seconds
        self._by_document: dict[str, list[Passage]] = {}
        for passage in passages:
            self._by_document.setdefault(passage.document_id, []).append(passage)

    def prepare(self, samples: list[Sample]) -> None:
        wanted = [s for s in samples if s.id not in self._found]
        if self.context.mode == "oracle":
            found = [self._oracle(s) for s in wanted]
        elif self.context.mode == "random":
            found = [random.Random(f"passages {s.id}").sample(self.passages, min(self.context.k, len(self.passages))) for s in wanted]
        else:
            found = [[self.passages[i] for i, _ in hits] for hits in self._searcher.search([s.input for s in wanted], self.context.k)]
        self._found |= {s.id: passages for s, passages in zip(wanted, found)}

    def _oracle(self, sample: Sample) -> list[Passage]:
        """Passages of the evidence documents; of a long one those that hold the target, if any do, come first."""
        gold = [p for e in sample.evidence for p in self._by_document.get(e, [])]
        return sorted(gold, key=lambda p: sample.target.lower() not in p.text.lower())[:self.context.k]

    def build(self, sample: Sample) -> Prompt:
        self.prepare([sample])
        examples = without_group(self.pool[:self.context.examples + 8], sample)[:self.context.examples]
        return Prompt(self.instruction, sample.input, tuple(as_example(s) for s in examples), tuple(self._found[sample.id]), self.context.words)
