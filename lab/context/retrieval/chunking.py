"""Documents into passages, by tokens, with overlap, on sentence borders.

A token is a word or a punctuation mark, so that passages don't depend on the base model; a letter of a script without
spaces is one too, and a long word (a key, an encoded file) one for every four letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.schema import Document, LabError, Passage
from lab.tasks.documents import document_text
from lab.tasks.texts import UNSPACED

TOKEN = re.compile(r"\w+|[^\w\s]")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(\[])|\n+|(?<=[。！？।])\s*(?=[^\s」』）])")
LONG, LETTERS = 32, 4
"""Letters of a word from which it counts for several tokens, and letters a token then."""


def count(text: str) -> int:
    """Words and punctuation marks of a text."""
    if len(text) < LONG and not UNSPACED.search(text):
        return sum(1 for _ in TOKEN.finditer(text))
    return sum(_weight(m[0]) for m in TOKEN.finditer(text))


def _weight(word: str) -> int:
    letters = len(UNSPACED.findall(word))
    others = len(word) - letters
    return letters + (-(-others // LETTERS) if others >= LONG else min(1, others))


def sentences(text: str) -> list[str]:
    """Sentences (and lines, so that headings and list items stand alone), white space folded."""
    return [folded for part in SENTENCE_END.split(text) if part and (folded := " ".join(part.split()))]


def joined(parts: Sequence[str]) -> str:
    """Sentences behind each other, with a space where their script has one."""
    text = ""
    for part in parts:
        close = text and (UNSPACED.match(text[-1]) or text[-1] in "。！？") and UNSPACED.match(part)
        text += part if close or not text else f" {part}"
    return text


def _pieces(sentence: str, limit: int) -> list[str]:
    """A sentence longer than a passage, cut between words, and a word that is longer itself within it."""
    if count(sentence) <= limit:
        return [sentence]
    pieces, current = [], []
    for word in (part for whole in sentence.split() for part in _parts(whole, limit)):
        if current and count(" ".join([*current, word])) > limit:
            pieces.append(" ".join(current))
            current = []
        current.append(word)
    return [*pieces, " ".join(current)]


def _parts(word: str, limit: int) -> list[str]:
    """A word in pieces that fit a passage."""
    if count(word) <= limit:
        return [word]
    size = max(1, limit if UNSPACED.search(word) else limit * LETTERS)
    return [word[start : start + size] for start in range(0, len(word), size)]


def chunk_document(document: Document, chunk_tokens: int, overlap_tokens: int) -> list[Passage]:
    """Passages of at most ``chunk_tokens``; each repeats whole sentences of the one before up to ``overlap_tokens``.

    Raises LabError where the overlap is not below the length.
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
        passages.append(Passage(f"{document.id}#{len(passages)}", document.id, joined(parts[start:end])))
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
