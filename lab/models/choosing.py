"""How likely each of given candidates is as an answer: the prompt is read once, and all candidates in one pass behind.

Candidates that begin alike share their tokens (a trie, laid out in a row); a mask lets each token see the prompt and
its own beginning. ``likelihoods(network, prompts, candidates)`` gives nats, as scoring each candidate by itself does
(tested against that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from lab.models.cache import token_bytes
from lab.models.generation import CACHE_BYTES, SHARED_FROM
from lab.models.prefix import common_prefix
from lab.models.reading import cache_argument, read, read_beginning
from lab.models.virtual import lead_of

LOGIT_BYTES = 2**28
"""Logits of one pass, in float32."""


@dataclass
class Trie:
    """Tokens of candidates: each stands once behind what it follows."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """Place of the token before it; -1 behind the prompt."""
    depths: list[int] = field(default_factory=list)
    paths: list[list[tuple[int, int]]] = field(default_factory=list)
    """Of each candidate (place of the token before, token): what its likelihood is the product of."""

    @classmethod
    def of(cls, candidates: Sequence[Sequence[int]]) -> Trie:
        """The candidates' trie; a last token is only asked for, never read."""
        trie, places = cls(), {}
        for candidate in candidates:
            parent, path = -1, []
            for depth, token in enumerate(candidate):
                path.append((parent, token))
                if depth + 1 == len(candidate):
                    break
                if (parent, token) not in places:
                    places[parent, token] = len(trie.tokens)
                    trie.tokens.append(token)
                    trie.parents.append(parent)
                    trie.depths.append(depth)
                parent = places[parent, token]
            trie.paths.append(path)
        return trie

    def sees(self) -> torch.Tensor:
        """(tokens, tokens) of bool: itself and what it follows."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for place, parent in enumerate(self.parents):
            if parent >= 0:
                seen[place] |= seen[parent]
        return seen


@torch.inference_mode()
def likelihoods(
    network,
    prompts: Sequence[Sequence[int]],
    candidates: Sequence[Sequence[Sequence[int]]],
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[float]]:
    """Log likelihood in nats of each candidate's tokens behind its prompt."""
    network.eval()
    prompts = [[*lead_of(network), *p] for p in prompts]
    tries = [Trie.of(c) for c in candidates]
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    begun = read_beginning(network, prompts[0][:shared]) if shared >= SHARED_FROM else None
    shared = shared if begun else 0
    found: dict[int, list[float]] = {}
    vocabulary = network.get_output_embeddings().weight.shape[0]
    sizes = [len(t.tokens) for t in tries]
    limits = (LOGIT_BYTES / (4 * vocabulary), CACHE_BYTES / token_bytes(network))
    for batch in _batches([len(p) for p in prompts], sizes, *limits):
        room, lengths = max(sizes[i] for i in batch), [len(prompts[i]) for i in batch]
        first, cache = read(network, prompts, batch, room, shared, begun)
        behind = _behind(network, [tries[i] for i in batch], lengths, cache) if room else [None] * len(batch)
        for i, start, later in zip(batch, first, behind):
            told = [start.float().log_softmax(-1), *(later.float().log_softmax(-1) if room else ())]
            # Place -1, behind the prompt, stands first.
            found[i] = [sum(told[place + 1][token].item() for place, token in path) for path in tries[i].paths]
        progress(len(batch))
    return [found[i] for i in range(len(prompts))]


def _batches(
    lengths: Sequence[int], sizes: Sequence[int], most_logits: float, most_tokens: float
) -> Iterator[list[int]]:
    """Prompts that are scored together, the longest first: what they say, and their keys and values, must fit."""
    waiting = sorted(range(len(lengths)), key=lambda i: lengths[i])
    while waiting:
        batch, room, width = [], 0, 0
        while waiting:
            room, width = max(room, sizes[waiting[-1]]), max(width, lengths[waiting[-1]])
            rows = len(batch) + 1
            if batch and (rows * room > most_logits or rows * (width + room) > most_tokens):
                break
            batch.append(waiting.pop())
        yield batch


def _behind(network, tries: Sequence[Trie], lengths: Sequence[int], cache) -> torch.Tensor:
    """Logits (rows, tokens, vocabulary) behind each token of the tries, all of them in one pass."""
    device, width, most = network.device, max(lengths), max(len(t.tokens) for t in tries)
    ids = torch.zeros(len(tries), most, dtype=torch.long)
    positions = torch.zeros(len(tries), most, dtype=torch.long)
    mask = torch.zeros(len(tries), 1, most, width + most, dtype=torch.bool)
    for row, (trie, length) in enumerate(zip(tries, lengths)):
        count = len(trie.tokens)
        ids[row, :count] = torch.tensor(trie.tokens, dtype=torch.long)
        positions[row, :count] = length + torch.tensor(trie.depths, dtype=torch.long)
        mask[row, 0, :count, width - length : width] = True
        mask[row, 0, :count, width : width + count] = trie.sees()
        # Filling sees itself: a row that sees nothing is no number.
        mask[row, 0, range(count, most), range(width + count, width + most)] = True
    lowest = torch.finfo(network.dtype).min
    return network(
        input_ids=ids.to(device),
        attention_mask=torch.where(mask, 0.0, lowest).to(network.dtype).to(device),
        position_ids=positions.to(device),
        use_cache=True,
        **{cache_argument(network): cache},
    ).logits
