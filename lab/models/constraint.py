"""Constrained decoding: only tokens that what a task allows can go on with, through llguidance.

Of the libraries tried on SmolLM2's tokenizer (49,152 tokens) llguidance needs nothing else installed, reads named
groups in patterns as Python writes them, and takes 0.05 to 0.4 ms a token; xgrammar refuses named groups and brings
Triton, outlines-core takes 0.3 s to compile 151 labels that llguidance compiles in 2 ms.

``Constraint(tokenizer, '{"labels": ["yes", "no"]}', ends, vocabulary).begin(rows)`` follows so many completions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import torch

from lab.schema import LabError, extra, first_line

WRITTEN_AS = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""JSON in one line, as Python writes it: with white space left free a model may fill its room with it."""


class Constraint:
    """What completions may be; raises LabError where it can't be had for a tokenizer or is no grammar."""

    def __init__(self, tokenizer: Any, allowed: str, ends: Set[int], vocabulary: int) -> None:
        with extra("constrained", "constrained decoding"):
            import llguidance
            import llguidance.hf
        try:
            known = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(ends))
        except Exception as error:
            raise LabError(f"constrained decoding: this model's tokenizer can't be used: {first_line(error)}") from None
        self.words = (vocabulary + 31) // 32
        self.first = llguidance.LLMatcher(known, grammar(allowed))
        if self.first.is_error():
            raise LabError(f"constrained decoding: what the task allows is no grammar: {self.first.get_error()}")

    def begin(self, rows: int) -> Followed:
        """Completions that begin now."""
        return Followed([self.first.deep_copy() for _ in range(rows)], self.words)


class Followed:
    """How far each completion of a batch has come in the grammar."""

    def __init__(self, matchers: list[Any], words: int) -> None:
        self.matchers, self.words = matchers, words

    def masked(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The logits (rows, vocabulary) of these completions, minus infinity where a token can't stand."""
        bits = np.zeros((len(rows), self.words), dtype=np.int32)
        for place, row in enumerate(rows):
            line = bits[place]
            self.matchers[row].unsafe_compute_mask_ptr(line.ctypes.data, line.nbytes)
        allowed = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, : logits.shape[1]].astype(bool)
        return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), float("-inf"))

    def ends_with(self, row: int, token: int) -> bool:
        """Take a completion's next token; whether nothing but its end can follow."""
        self.matchers[row].consume_token(token)
        return self.matchers[row].is_stopped()


def grammar(allowed: str) -> str:
    """llguidance's Lark grammar for ``Decoding.allowed``; a space may stand first, as base models write one."""
    asked = json.loads(allowed)
    if "labels" in asked:
        return f'start: " "? ({" | ".join(json.dumps(t, ensure_ascii=False) for t in asked["labels"])})'
    if "schema" in asked:
        schema = asked["schema"] | {"x-guidance": WRITTEN_AS}
        return f'start: " "? answer\nanswer: %json {json.dumps(schema, ensure_ascii=False)}'
    pattern = asked["pattern"].replace("\\/", "/").replace("/", "\\/")
    return f'start: " "? ANSWER\nANSWER: /{pattern}/'
