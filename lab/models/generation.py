"""Greedy generation in batches: prompts are read once as far as they are alike, then all rows write together.

The completions equal those of plain ``generate`` prompt by prompt (tested).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

import torch
from transformers import Cache

from lab.models.cache import token_bytes
from lab.models.constraint import Constraint, Followed
from lab.models.prefix import common_prefix, in_batch_order, tree
from lab.models.reading import cache_argument, read, read_beginning
from lab.models.virtual import lead_of
from lab.schema import Decoding

CACHE_BYTES = 2 * 2**30
"""Keys and values of one batch."""
SHARED_FROM = 8
"""Shortest common beginning (tokens) of all prompts that is worth a cache of its own."""


@dataclass(frozen=True)
class Generated:
    """Tokens of one completion, end token and stop text excluded from ``text``."""

    text: str
    tokens: int
    finished: bool
    cached_tokens: int
    """Prompt tokens that all prompts share; what only some share is not counted, another run would not find it."""
    seconds: float


@torch.inference_mode()
def generate(
    network,
    tokenizer,
    prompts: list[list[int]],
    decoding: Decoding,
    cache_bytes: float = CACHE_BYTES,
    progress: Callable[[int], None] = lambda done: None,
    more_ends: Set[int] = frozenset(),
    constraint: Constraint | None = None,
) -> list[Generated]:
    """Completions of tokenised prompts, in their order; ``more_ends`` are further tokens that end one, a
    ``constraint`` says which tokens may stand where.

    ``cache_bytes`` bounds the keys and values of one batch; ``progress`` is told how many more are done.
    """
    if not prompts:
        return []
    network.eval()
    lead = lead_of(network)
    prompts = [[*lead, *p] for p in prompts]
    ends = end_tokens(network, tokenizer) | more_ends
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    shared = shared if shared >= SHARED_FROM else 0
    started = time.perf_counter()
    begun = read_beginning(network, prompts[0][:shared]) if shared else None
    shared_seconds = (time.perf_counter() - started) / len(prompts)
    results: dict[int, Generated] = {}
    for batch in _batches(prompts, shared, decoding.max_tokens, cache_bytes / token_bytes(network)):
        started = time.perf_counter()
        logits, cache = read(network, prompts, batch, decoding.max_tokens, shared, begun)
        followed = constraint.begin(len(batch)) if constraint else None
        rows = _write(network, tokenizer, logits, cache, [len(prompts[i]) for i in batch], decoding, ends, followed)
        seconds = (time.perf_counter() - started) / len(batch) + shared_seconds
        for i, (text, tokens, finished) in zip(batch, rows):
            results[i] = Generated(text, tokens, finished, max(0, shared - len(lead)), seconds)
        progress(len(batch))
    return [results[i] for i in range(len(prompts))]


def _batches(prompts: list[list[int]], shared: int, room: int, most_tokens: float) -> Iterator[list[int]]:
    """Rows that write together: longest first, so that memory runs out at once if it does; neighbours in length, or in
    what they begin with, share a batch."""
    waiting = in_batch_order(tree(prompts, start=shared), prompts)
    while waiting:
        batch, width = [], 0
        while waiting:
            width = max(width, len(prompts[waiting[-1]]) + room)
            if batch and (len(batch) + 1) * width > most_tokens:
                break
            batch.append(waiting.pop())
        yield batch


def _write(
    network,
    tokenizer,
    logits: torch.Tensor,
    cache: Cache,
    lengths: list[int],
    decoding: Decoding,
    ends: Set[int],
    followed: Followed | None,
) -> list[tuple[str, int, bool]]:
    """(text, tokens, finished) of each row, token by token; rows that end leave the batch."""
    device, rows, width = network.device, len(lengths), max(lengths)
    own = torch.tensor([[0] * (width - n) + [1] * n for n in lengths], device=device)
    mask = torch.cat([own, torch.ones(rows, decoding.max_tokens, dtype=own.dtype, device=device)], dim=1)
    positions = torch.tensor(lengths, device=device)[:, None]
    alive = list(range(rows))
    produced: list[list[int]] = [[] for _ in range(rows)]
    texts: dict[int, tuple[str, bool]] = {}
    for step in range(decoding.max_tokens):
        chosen = (followed.masked(logits, alive) if followed else logits).argmax(dim=-1)
        keep = []
        for place, (row, token) in enumerate(zip(alive, chosen.tolist())):
            if token in ends:
                texts[row] = (tokenizer.decode(produced[row], skip_special_tokens=True), True)
                continue
            produced[row].append(token)
            text = tokenizer.decode(produced[row], skip_special_tokens=True)
            # A stop text before the answer has begun is a blank line, not an end.
            if decoding.stop and decoding.stop in text.lstrip():
                texts[row] = (text.lstrip().split(decoding.stop)[0], True)
            elif followed and followed.ends_with(row, token):
                texts[row] = (text, True)
            elif step + 1 == decoding.max_tokens:
                texts[row] = (text, False)
            else:
                keep.append(place)
        if not keep:
            break
        if len(keep) < len(alive):
            index = torch.tensor(_fill_holes(keep), device=device)
            cache.batch_select_indices(index)
            chosen, mask, positions = chosen[index], mask[index], positions[index]
            alive = [alive[k] for k in index.tolist()]
        logits = network(
            input_ids=chosen[:, None],
            attention_mask=mask[:, : width + step + 1],
            position_ids=positions + step,
            use_cache=True,
            logits_to_keep=1,
            **{cache_argument(network): cache},
        ).logits[:, -1]
    return [(texts[r][0].strip(), len(produced[r]), texts[r][1]) for r in range(rows)]


def _fill_holes(keep: list[int]) -> list[int]:
    """The places to keep, those of the first rows where they are and the last ones in the holes between."""
    count = len(keep)
    staying, movers = set(k for k in keep if k < count), [k for k in keep if k >= count]
    return [place if place in staying else movers.pop() for place in range(count)]


def end_tokens(network, tokenizer) -> set[int]:
    """Ids that end a completion: the tokenizer's and the model's own."""
    configured = getattr(network.generation_config, "eos_token_id", None)
    ends = set(configured) if isinstance(configured, (list, tuple)) else {configured}
    return {e for e in ends | {tokenizer.eos_token_id} if e is not None}
