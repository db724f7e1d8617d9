"""Dense (FAISS), lexical (BM25) and hybrid search over a list of texts.

``Searcher(texts, "hybrid", tools).search(["who leads the bank?"], k=5)`` gives [(index, score), ...] a query, best
first.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np

from lab.context.base import Tools
from lab.schema import LabError
from lab.tasks.texts import UNSPACED


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Imports inside find no such package."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None
    try:
        yield
    finally:
        del sys.modules[package]


# bm25s tries JAX out where it finds it, and JAX then takes three quarters of a GPU's memory for itself (seen on an
# H200: whatever else was to run there ended for want of memory). The lab sorts its scores with NumPy.
with _without("jax"):
    import bm25s

EXACT_BELOW = 50_000
"""Exact search up to this many vectors; then HNSW, and IVF above a million."""
FUSION_CONSTANT = 60
"""k of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""
FUSION_DEPTH = 50
RUN = re.compile(f"{UNSPACED.pattern}+")
"""Letters that are written without spaces between words."""
WORDS = r"(?u)\b\w\w+\b"
"""What bm25s takes for a word: two letters or more."""
WITH_SINGLES = rf"{WORDS}|(?<![\w'’])(?![ai](?![+#]))[^\W_][+#]*(?![\w'’])"
"""Single letters and digits as well, with the signs behind them."""

Hits = list[tuple[int, float]]


def index_kind(count: int) -> str:
    """``exact``, ``hnsw`` or ``ivf`` for this many vectors."""
    return "exact" if count < EXACT_BELOW else "hnsw" if count < 1_000_000 else "ivf"


class DenseIndex:
    """Inner product of unit vectors (cosine) through FAISS."""

    def __init__(self, vectors: np.ndarray, kind: str = "") -> None:
        count, width = vectors.shape
        kind = kind or index_kind(count)
        if kind == "exact":
            self.index = faiss.IndexFlatIP(width)
        elif kind == "hnsw":
            self.index = faiss.IndexHNSWFlat(width, 32, faiss.METRIC_INNER_PRODUCT)
            self.index.hnsw.efConstruction, self.index.hnsw.efSearch = 200, 128
        elif kind == "ivf":
            cells = max(1, int(4 * count**0.5))
            self.index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
            self.index.train(vectors)
            self.index.nprobe = max(8, cells // 10)
        else:
            raise LabError(f"unknown index kind {kind!r}; one of exact, hnsw, ivf")
        self.index.add(vectors)

    def search(self, queries: np.ndarray, k: int) -> list[Hits]:
        """The ``k`` nearest of each query, with cosines."""
        scores, indices = self.index.search(queries, min(k, self.index.ntotal))
        return [[(int(i), float(s)) for i, s in zip(row, values) if i >= 0] for row, values in zip(indices, scores)]


def paired(text: str) -> str:
    """The text with what is written without spaces as overlapping pairs of letters, which stand for words there (the
    usual reading of such scripts for BM25); any other text as it is."""

    def pairs(run: re.Match[str]) -> str:
        letters = run[0] if len(run[0]) > 1 else run[0] * 2
        return f" {' '.join(letters[i : i + 2] for i in range(len(letters) - 1))} "

    return RUN.sub(pairs, text)


class LexicalIndex:
    """BM25 over lower-case words (pairs of letters where a script has no spaces) without English stop words; with
    ``singles`` single letters and digits are words too, but for what an apostrophe leaves and the words a and I."""

    def __init__(self, texts: Sequence[str], singles: bool = False) -> None:
        self.size, self.pattern = len(texts), WITH_SINGLES if singles else WORDS
        self.index = bm25s.BM25()
        self.index.index(self._tokens(texts), show_progress=False)

    def _tokens(self, texts: Sequence[str]):
        # The marker keeps the vocabulary from being empty where every word is a stop word.
        marked = [f"{paired(t)} zzmarker" for t in texts]
        return bm25s.tokenize(marked, stopwords="en", token_pattern=self.pattern, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[Hits]:
        """The ``k`` best of each query, with BM25 scores; texts that share no word with the query are left out."""
        if not queries:
            return []
        asked = [paired(q) for q in queries]
        tokens = bm25s.tokenize(
            asked, stopwords="en", token_pattern=self.pattern, show_progress=False, return_ids=False
        )
        indices, scores = self.index.retrieve(
            tokens, k=min(k, self.size), show_progress=False, backend_selection="numpy"
        )
        return [[(int(i), float(s)) for i, s in zip(row, values) if s > 0] for row, values in zip(indices, scores)]


def fuse(rankings: Sequence[Hits], k: int) -> Hits:
    """Reciprocal rank fusion: each ranking gives 1 / (60 + rank) to what it found;
    ties keep the first ranking's order."""
    totals: dict[int, float] = {}
    for ranking in rankings:
        for rank, (index, _) in enumerate(ranking, 1):
            totals[index] = totals.get(index, 0.0) + 1.0 / (FUSION_CONSTANT + rank)
    return sorted(totals.items(), key=lambda item: -item[1])[:k]


class Searcher:
    """One list of texts, searched in one mode; ``singles`` as for the lexical index."""

    def __init__(self, texts: Sequence[str], mode: str, tools: Tools, singles: bool = False) -> None:
        if mode not in ("dense", "lexical", "hybrid"):
            raise LabError(f"unknown retrieval mode {mode!r}; one of dense, lexical, hybrid")
        self.texts, self.mode, self.tools = list(texts), mode, tools
        self.dense = self.lexical = None
        self.index_seconds = 0.0
        """What both indexes took to make; of cached vectors what embedding took when it was done."""
        if mode != "lexical":
            vectors, embedding_seconds = tools.embedder.timed(self.texts, tools.cache)
            started = time.perf_counter()
            self.dense = DenseIndex(vectors)
            self.index_seconds += embedding_seconds + time.perf_counter() - started
        if mode != "dense":
            started = time.perf_counter()
            self.lexical = LexicalIndex(self.texts, singles)
            self.index_seconds += time.perf_counter() - started

    def save(self, folder: Path) -> None:
        """Write the indexes as their libraries read them: ``index.faiss`` and the folder ``bm25``."""
        if self.dense:
            faiss.write_index(self.dense.index, str(folder / "index.faiss"))
        if self.lexical:
            self.lexical.index.save(str(folder / "bm25"))

    def search(self, queries: Sequence[str], k: int) -> list[Hits]:
        """(index, score) of the ``k`` best texts for each query; fewer only where lexical search finds fewer."""
        if not queries:
            return []
        if self.mode == "lexical":
            return self.lexical.search(queries, k)
        vectors = self.tools.embedder.embed(list(queries), self.tools.cache)
        if self.mode == "dense":
            return self.dense.search(vectors, k)
        depth = max(k, FUSION_DEPTH)
        return [fuse(pair, k) for pair in zip(self.lexical.search(queries, depth), self.dense.search(vectors, depth))]


def recall_at(found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], k: int) -> float:
    """Share of queries with a gold document among their first ``k``; queries without gold don't count.

    NaN where none has any.
    """
    pairs = [(set(f[:k]), set(g)) for f, g in zip(found, gold) if g]
    return sum(bool(f & g) for f, g in pairs) / len(pairs) if pairs else float("nan")
