"""The pretraining corpus as token shards: which documents, in what mix, packed whole into sequences.

A shard is a pure function of (recipe, tokenizer, English text, shard number), so that a stopped run goes on
with the same data: ``build_shard(recipe, tokenizer, english, 7)``.
"""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lab.files import require_file
from lab.schema import LabError, first_line
from lab.world import documents as build
from lab.world.documents import ENGLISH, Piece
from lab.world.names import NameMaker
from lab.world.public import public_world

MIX: dict[str, float] = {
    "english": 0.20,
    "biography": 0.06,
    "public_questions": 0.06,
    "reading": 0.30,
    "format": 0.09,
    "routing": 0.06,
    "label": 0.09,
    "categories": 0.02,
    "operations": 0.04,
    "arithmetic": 0.01,
    "reading_in_format": 0.04,
    "english_copying": 0.02,
    "everyday": 0.01,
}
"""Share of tokens for each kind of document."""

CORPUS_VERSION = 2
"""Raised when the documents change; a pretraining record names the version of each of its stretches.

1: fixed labels only, passages of mixed kinds. 2: random codes as labels too, passages that tell the same of several
entities, more reading and labels, less English.
"""

HELD_OUT_ENGLISH = 50
"""Every 50th English document stays out of the corpus: the likelihood probe."""


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made from."""

    seed: int = 1
    sequence: int = 1024
    sequences_per_shard: int = 2048
    mix: dict[str, float] = field(default_factory=lambda: dict(MIX))


def read_english(path: Path | None) -> tuple[list[str], list[str]]:
    """Documents of a text file (plain or .gz, form feeds between documents): (for the corpus, held out)."""
    if path is None:
        return [], []
    if not path.exists():
        raise LabError(
            f"{path}: no such text file; name one with --text, or --text none to pretrain on the generated world alone"
        )
    require_file(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            raw = file.read().decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise LabError(f"{path}: not readable as UTF-8 text ({first_line(error)})") from None
    texts = [t.strip() for t in raw.split("\f") if t.strip()]
    if len(texts) < 2:
        raise LabError(f"{path}: {len(texts)} documents; at least 2 are needed, with form feeds between them")
    return [t for i, t in enumerate(texts) if i % HELD_OUT_ENGLISH], texts[::HELD_OUT_ENGLISH]


def english_paragraphs(texts: list[str]) -> list[str]:
    """Paragraphs of at least 20 words, white space folded."""
    paragraphs = (" ".join(p.split()) for t in texts for p in t.split("\n\n"))
    return [p for p in paragraphs if len(p.split()) >= 20]


class DocumentSource:
    """Draws documents of every kind from one random source."""

    def __init__(self, rng: random.Random, english: list[str], paragraphs: list[str]) -> None:
        self.rng, self.english, self.paragraphs = rng, english, paragraphs
        self.names, self.world = NameMaker(rng, "corpus"), public_world()

    def draw(self, kind: str) -> list[Piece]:
        """One document of this kind as weighted pieces."""
        rng, names = self.rng, self.names
        if kind == "english":
            return self._english()
        if kind == "biography":
            return build.biography(rng, self.world)
        if kind == "public_questions":
            return build.public_questions(rng, self.world)
        if kind == "reading":
            return build.reading(rng, names, self.paragraphs)
        if kind == "english_copying":
            return build.english_copying(rng, self.paragraphs) if self.paragraphs else build.everyday(rng)
        by_names = {
            "format": build.format_following,
            "routing": build.routing,
            "label": build.label_following,
            "categories": build.categories_stated,
            "reading_in_format": build.reading_in_format,
        }
        if kind in by_names:
            return by_names[kind](rng, names)
        return {"operations": build.operations, "arithmetic": build.arithmetic, "everyday": build.everyday}[kind](rng)

    def _english(self) -> list[Piece]:
        if not self.english:
            return build.everyday(self.rng)
        text = self.rng.choices(self.english, weights=self._english_weights)[0]
        start = self.rng.randint(0, max(0, len(text) - 3000))
        return [(text[start : start + 3000], ENGLISH)]

    @property
    def _english_weights(self) -> list[int]:
        if not hasattr(self, "_weights"):
            self._weights = [len(t) for t in self.english]
        return self._weights


def build_shard(recipe: Recipe, tokenizer, english: list[str], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Shard ``number``: (tokens uint16, weights uint8 in tenths), each (sequences, sequence + 1).

    Documents are packed whole: the next of the waiting ones that fits is taken, and padding (weight 0) fills what is
    left; only a document longer than a sequence is cut.
    """
    rng = random.Random(f"corpus {recipe.seed} shard {number}")
    source = DocumentSource(rng, english, english_paragraphs(english))
    kinds = list(recipe.mix)
    width = recipe.sequence + 1
    tokens = np.full((recipe.sequences_per_shard, width), tokenizer.pad_token_id, dtype=np.uint16)
    weights = np.zeros((recipe.sequences_per_shard, width), dtype=np.uint8)
    drawn = dict.fromkeys(kinds, 1)
    row, column, waiting = 0, 0, []
    while row < recipe.sequences_per_shard:
        if not waiting:
            chosen = []
            for _ in range(256):
                kind = min(kinds, key=lambda k: drawn[k] / recipe.mix[k] if recipe.mix[k] else float("inf"))
                chosen.append((kind, source.draw(kind)))
                drawn[kind] += sum(len(text) for text, _ in chosen[-1][1]) // 4
            rng.shuffle(chosen)
            waiting = encode_pieces(tokenizer, [pieces for _, pieces in chosen])
        fitting = next((i for i, (ids, _) in enumerate(waiting) if column + len(ids) <= width), None)
        if column and fitting is None:
            row, column = row + 1, 0
            if row == recipe.sequences_per_shard:
                break
        ids, document_weights = waiting.pop(0 if fitting is None else fitting)
        ids, document_weights = ids[:width], document_weights[:width]
        tokens[row, column : column + len(ids)] = ids
        weights[row, column : column + len(ids)] = document_weights
        column += len(ids)
    return tokens, weights


def encode_pieces(tokenizer, batch: list[list[Piece]]) -> list[tuple[list[int], list[int]]]:
    """Token ids and weights of each document, begin and end tokens included."""
    pieces = [piece for document in batch for piece in document]
    encoded = tokenizer([text for text, _ in pieces], add_special_tokens=False)["input_ids"]
    result, position = [], 0
    for document in batch:
        ids, weights = [tokenizer.bos_token_id], [0]
        for _, weight in document:
            ids += encoded[position]
            weights += [weight] * len(encoded[position])
            position += 1
        ids.append(tokenizer.eos_token_id)
        weights.append(weights[-1])
        result.append((ids, weights))
    return result
