"""Documents into passages, by tokens, with overlap, on sentence borders.

A token is a word or a punctuation mark, so that passages don't depend on the base model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.schema import Document, LabError, Passage
from lab.tasks.task import document_text

TOKEN = re.compile(r"\w+|[^\w\s]")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(\[])|\n+")


def count(text: str) -> int:
    """Words and punctuation marks of a text."""
    return sum(1 for _ in TOKEN.finditer(text))


def sentences(text: str) -> list[str]:
    """Sentences (and lines, so that headings and list items stand alone), white space folded."""
    return [folded for part in SENTENCE_END.split(text) if part and (folded := " ".join(part.split()))]


def _pieces(sentence: str, limit: int) -> list[str]:
    """A sentence longer than a passage, cut between words."""
    if count(sentence) <= limit:
        return [sentence]
    pieces, current = [], []
    for word in sentence.split():
        if current and count(" ".join([*current, word])) > limit:
            pieces.append(" ".join(current))
            current = []
        current.append(word)
    return [*pieces, " ".join(current)]


def chunk_document(document: Document, chunk_tokens: int, overlap_tokens: int) -> list[Passage]:
    """Passages of at most ``chunk_tokens``; each repeats whole sentences of the one before up to ``overlap_tokens``.

    A single unbroken word longer than a passage stays whole. Raises LabError where the overlap is not below the length.
    """
    if not 0 <= overlap_tokens < chunk_tokens:
        raise LabError(f"overlap_tokens must be below chunk_tokens, but {overlap_tokens} >= {chunk_tokens}")
    parts = [piece for s in sentences(document_text(document)) for piece in _pieces(s, chunk_tokens)]
    lengths = [count(p) for p in parts]
    passages, start = [], 0
    while start < len(parts):
        end, length = start, 0
        while end < len(parts) and (end == start or length + lengths[end] <= chunk_tokens):
            length += lengths[end]
            end += 1
        passages.append(Passage(f"{document.id}#{len(passages)}", document.id, " ".join(parts[start:end])))
        if end == len(parts):
            break
        back, repeated = end, 0
        while back - 1 > start and repeated + lengths[back - 1] <= overlap_tokens:
            back -= 1
            repeated += lengths[back]
        # The repeated sentences must leave room for a new one, or chunking would stand still.
        while back < end and repeated + lengths[end] > chunk_tokens:
            repeated -= lengths[back]
            back += 1
        start = back
    return passages


def chunk_documents(documents: Sequence[Document], chunk_tokens: int, overlap_tokens: int) -> list[Passage]:
    """Passages of all documents, in order."""
    return [p for d in documents for p in chunk_document(d, chunk_tokens, overlap_tokens)]
