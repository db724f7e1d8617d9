"""Greedy generation in batches by length, with what all prompts share computed once.

The completions equal those of plain ``generate`` prompt by prompt (tested).
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import torch
from transformers import Cache, DynamicCache

from lab.models.cache import roomy_cache
from lab.schema import Decoding

BATCH_TOKENS = 16_384
"""Prompt and completion tokens of one batch."""
SHARED_FROM = 8
"""Shortest common beginning (tokens) that is worth a cache of its own."""


@dataclass(frozen=True)
class Generated:
    """Tokens of one completion, end token and stop text excluded from ``text``."""

    text: str
    tokens: int
    finished: bool
    cached_tokens: int
    seconds: float


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all prompts share, leaving each at least one of its own."""
    first, last = min(prompts), max(prompts)
    limit = min(len(p) for p in prompts) - 1
    count = 0
    while count < limit and first[count] == last[count]:
        count += 1
    return count


@torch.inference_mode()
def generate(
    network,
    tokenizer,
    prompts: list[list[int]],
    decoding: Decoding,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] = lambda done: None,
    more_ends: Set[int] = frozenset(),
) -> list[Generated]:
    """Completions of tokenised prompts, in their order; ``more_ends`` are further tokens that end one.

    ``batch_tokens`` bounds prompt tokens x prompts of one batch; ``progress`` is told how many more are done.
    """
    if not prompts:
        return []
    network.eval()
    ends = end_tokens(network, tokenizer) | more_ends
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    shared = shared if shared >= SHARED_FROM else 0
    started = time.perf_counter()
    shared_cache = None
    if shared:
        shared_cache = DynamicCache()
        network(
            input_ids=torch.tensor([prompts[0][:shared]], device=network.device),
            use_cache=True,
            **{cache_argument(network): shared_cache},
        )
    shared_seconds = (time.perf_counter() - started) / len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    results: dict[int, Generated] = {}
    while order:
        width = len(prompts[order[-1]]) - shared
        batch = []
        # Longest first, so that memory runs out at once if it does; neighbours in length share a batch.
        while order and (not batch or (len(batch) + 1) * (width + decoding.max_tokens) <= batch_tokens):
            batch.append(order.pop())
        started = time.perf_counter()
        tails = [prompts[i][shared:] for i in batch]
        rows = _generate_batch(network, tokenizer, tails, shared, shared_cache, decoding, ends)
        seconds = (time.perf_counter() - started) / len(batch) + shared_seconds
        for i, (text, tokens, finished) in zip(batch, rows):
            results[i] = Generated(text, tokens, finished, shared, seconds)
        progress(len(batch))
    return [results[i] for i in range(len(prompts))]


def _expand(cache: Cache | None, rows: int, room: int) -> Cache:
    expanded = roomy_cache(room)
    for index, layer in enumerate(cache.layers if cache else ()):
        expanded.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return expanded


def _generate_batch(
    network, tokenizer, tails: list[list[int]], shared: int, shared_cache, decoding: Decoding, ends: Set[int]
) -> list[tuple[str, int, bool]]:
    device, rows = network.device, len(tails)
    width = max(len(t) for t in tails)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    ids = torch.tensor([[pad] * (width - len(t)) + t for t in tails], device=device)
    own = torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in tails], device=device)
    mask = torch.cat([torch.ones(rows, shared, dtype=own.dtype, device=device), own], dim=1)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, shared:]
    cache = _expand(shared_cache, rows, shared + width + decoding.max_tokens)
    alive = list(range(rows))
    produced: list[list[int]] = [[] for _ in range(rows)]
    texts: dict[int, tuple[str, bool]] = {}
    for step in range(decoding.max_tokens):
        # The cache is filled in place.
        output = network(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
            **{cache_argument(network): cache},
        )
        chosen = output.logits[:, -1].argmax(dim=-1)
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
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones(len(alive), 1, dtype=mask.dtype, device=device)], dim=1)
    return [(texts[r][0].strip(), len(produced[r]), texts[r][1]) for r in range(rows)]


def _fill_holes(keep: list[int]) -> list[int]:
    """The places to keep, those of the first rows where they are and the last ones in the holes between."""
    count = len(keep)
    staying, movers = set(k for k in keep if k < count), [k for k in keep if k >= count]
    return [place if place in staying else movers.pop() for place in range(count)]


def cache_argument(network) -> str:
    """What the network calls its key-value cache: ``cache`` since transformers 5.2x, ``past_key_values`` before."""
    forward = getattr(network, "get_base_model", lambda: network)().forward
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


def end_tokens(network, tokenizer) -> set[int]:
    """Ids that end a completion: the tokenizer's and the model's own."""
    configured = getattr(network.generation_config, "eos_token_id", None)
    ends = set(configured) if isinstance(configured, (list, tuple)) else {configured}
    return {e for e in ends | {tokenizer.eos_token_id} if e is not None}
