"""What prompts have in common: the tree of their beginnings, so that each beginning is read once.

Questions that found the same passages, or stand behind the same worked examples, begin alike::

    tree([[1, 2, 3, 4], [1, 2, 3, 5], [1, 9]])      # a branch of 3 tokens with rows 0 and 1, and row 2 by itself
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

WORTH = 64
"""Tokens that a beginning must save, over all that share it, to be read apart: below, a pass of its own costs more."""


@dataclass
class Branch:
    """Prompts that share their first ``end`` tokens."""

    end: int
    leaves: list[int] = field(default_factory=list)
    """Places of the prompts that share no more than this."""
    branches: list[Branch] = field(default_factory=list)

    @property
    def rows(self) -> list[int]:
        """Places of all its prompts, those that share more side by side."""
        return [*self.leaves, *(row for branch in self.branches for row in branch.rows)]


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all prompts share, leaving each at least one of its own."""
    first, last = min(prompts), max(prompts)
    limit = min(len(p) for p in prompts) - 1
    count = 0
    while count < limit and first[count] == last[count]:
        count += 1
    return count


def tree(
    prompts: Sequence[Sequence[int]], rows: Sequence[int] | None = None, start: int = 0, worth: int = WORTH
) -> Branch:
    """The tree of the prompts' beginnings; of the given ``rows``, which share their first ``start`` tokens.

    Every prompt keeps at least one token of its own, so that its answer's first token can be asked for.
    """
    ordered = sorted(range(len(prompts)) if rows is None else rows, key=lambda i: (prompts[i], i))
    root = Branch(start)
    _grow(root, prompts, ordered, start, worth)
    return root


def _grow(onto: Branch, prompts: Sequence[Sequence[int]], rows: Sequence[int], depth: int, worth: int) -> None:
    """Put rows that share ``depth`` tokens (of which ``onto`` holds its own) where they belong."""
    for run in _runs(prompts, rows, depth):
        end = common_prefix([prompts[run[0]], prompts[run[-1]]]) if len(run) > 1 else depth
        end = min(end, *(len(prompts[i]) - 1 for i in run))
        if end <= depth:
            onto.leaves += run
        elif (len(run) - 1) * (end - onto.end) >= worth:
            onto.branches.append(branch := Branch(end))
            _grow(branch, prompts, run, end, worth)
        else:
            _grow(onto, prompts, run, end, worth)


def _runs(prompts: Sequence[Sequence[int]], rows: Sequence[int], depth: int) -> Iterator[list[int]]:
    """Ordered rows by the token that follows."""
    for _, run in groupby(rows, key=lambda i: prompts[i][depth]):
        yield list(run)


def in_batch_order(root: Branch, prompts: Sequence[Sequence[int]]) -> list[int]:
    """All rows, the shortest first, but those that share a beginning side by side."""
    groups = [[row] for row in root.leaves] + [branch.rows for branch in root.branches]
    return [row for group in sorted(groups, key=lambda g: max(len(prompts[i]) for i in g)) for row in group]
