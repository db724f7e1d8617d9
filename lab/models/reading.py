"""Reading prompts: what they begin with alike goes through the network once, the rest in small even pieces.

``read(network, prompts, rows, cache)`` gives the logits behind each prompt's last token and the cache to write on from.
Rows are filled up on the right while they are read, where the causal order alone keeps the filling out of sight; no
mask has to be built, and the fused kernels take their short way. Small pieces stay in the processor's caches.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import torch
from transformers import Cache

from lab.models.cache import Gathered, expanded
from lab.models.prefix import Branch, tree

PIECE_TOKENS = {"cpu": 2_048, "cuda": 65_536}
"""Tokens of one pass on a device: what its caches like, what its memory holds; elsewhere as many as there are."""


def read(
    network,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    room: int,
    start: int = 0,
    begun: Cache | None = None,
) -> tuple[torch.Tensor, Cache]:
    """(logits behind the last token of each of these ``rows``, in order; their cache with ``room`` tokens more).

    ``begun`` holds the first ``start`` tokens, which all rows share, in one row.
    """
    width = max(len(prompts[i]) for i in rows)
    gathered = Gathered(len(rows), width, width + room)
    logits: dict[int, torch.Tensor] = {}
    place = {row: n for n, row in enumerate(rows)}
    for leaves, depth, cache in _beginnings(network, prompts, tree(prompts, rows, start), begun):
        for piece in _pieces(prompts, leaves, depth, PIECE_TOKENS.get(network.device.type)):
            tails = [prompts[i][depth:] for i in piece]
            behind, filled = _pass(network, tails, depth, cache)
            for n, row in enumerate(piece):
                gathered.take_in(place[row], filled, n, len(prompts[row]))
                logits[row] = behind[n]
    return torch.stack([logits[row] for row in rows]), gathered.cache()


def read_beginning(network, tokens: Sequence[int], depth: int = 0, cache: Cache | None = None) -> Cache:
    """The cache of one row behind these tokens, which stand behind the ``depth`` tokens of ``cache``."""
    return _pass(network, [tokens], depth, cache)[1]


def _beginnings(
    network, prompts: Sequence[Sequence[int]], branch: Branch, cache: Cache | None
) -> Iterator[tuple[list[int], int, Cache | None]]:
    """Of every branch: the rows that share no more, how much they share, and the cache that holds it."""
    if branch.leaves:
        yield branch.leaves, branch.end, cache
    for deeper in branch.branches:
        beginning = prompts[deeper.rows[0]][branch.end : deeper.end]
        yield from _beginnings(network, prompts, deeper, read_beginning(network, beginning, branch.end, cache))


def _pieces(
    prompts: Sequence[Sequence[int]], rows: Sequence[int], depth: int, tokens: int | None
) -> Iterator[list[int]]:
    """Rows of like length together, at most so many tokens at once (what they share counts, it is held for each)."""
    piece: list[int] = []
    for row in sorted(rows, key=lambda i: len(prompts[i])):
        if piece and tokens and (len(piece) + 1) * (len(prompts[row]) - depth) > tokens:
            yield piece
            piece = []
        piece.append(row)
    yield piece


def _pass(network, tails: Sequence[Sequence[int]], depth: int, cache: Cache | None) -> tuple[list[torch.Tensor], Cache]:
    """One forward pass of rows that share the first ``depth`` tokens: (logits behind each, the cache of all)."""
    device, width = network.device, max(map(len, tails))
    filled = expanded(cache, len(tails), depth + width)
    ids = torch.tensor([[*t, *[0] * (width - len(t))] for t in tails], device=device)
    ends = sorted({len(t) - 1 for t in tails})
    output = network(
        input_ids=ids,
        position_ids=torch.arange(depth, depth + width, device=device).expand(len(tails), -1),
        use_cache=True,
        logits_to_keep=torch.tensor(ends, device=device),
        **{cache_argument(network): filled},
    )
    return [output.logits[n, ends.index(len(t) - 1)] for n, t in enumerate(tails)], filled


def cache_argument(network) -> str:
    """What the network calls its key-value cache: ``cache`` since transformers 5.2x, ``past_key_values`` before."""
    forward = getattr(network, "get_base_model", lambda: network)().forward
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"
