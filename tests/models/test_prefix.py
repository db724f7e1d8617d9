"""The tree of beginnings against counting by hand, and what it saves."""

from __future__ import annotations

import random

from lab.models import reading
from lab.models.generation import generate
from lab.models.prefix import Branch, common_prefix, in_batch_order, tree
from lab.schema import Decoding


def test_a_tree_by_hand():
    prompts = [[1, 2, 3, 4], [1, 2, 3, 5], [1, 9], [7, 7]]
    assert tree(prompts, worth=2) == Branch(0, [3], [Branch(1, [2], [Branch(3, [0, 1])])])
    # Below what is worth a pass of its own nothing is shared.
    assert tree(prompts, worth=100) == Branch(0, [0, 1, 2, 3])
    # Three rows share one token: worth two; two of them two more: worth two.
    assert tree(prompts, worth=3) == Branch(0, [2, 3], [Branch(3, [0, 1])])


def test_equal_prompts_keep_their_last_token():
    assert tree([[1, 2, 3], [1, 2, 3]], worth=1) == Branch(0, [], [Branch(2, [0, 1])])
    assert tree([[1], [1]], worth=1) == Branch(0, [0, 1])


def test_every_row_is_in_one_place_behind_what_it_shares():
    for seed in range(200):
        rng = random.Random(seed)
        prompts = [[rng.randint(1, 2) for _ in range(rng.randint(1, 9))] for _ in range(rng.randint(1, 12))]
        root = tree(prompts, worth=rng.randint(1, 6))
        assert sorted(root.rows) == list(range(len(prompts)))
        waiting = [root]
        while waiting:
            branch = waiting.pop()
            rows = branch.rows
            assert len({tuple(prompts[i][: branch.end]) for i in rows}) <= 1
            assert all(len(prompts[i]) > branch.end for i in rows)
            assert all(deeper.end > branch.end and len(deeper.rows) > 1 for deeper in branch.branches)
            waiting += branch.branches
        assert sorted(in_batch_order(root, prompts)) == list(range(len(prompts)))


def test_rows_that_begin_alike_stand_side_by_side_and_the_rest_by_length():
    prompts = [[5] * 30, [1] * 20 + [2], [3] * 4, [1] * 20 + [3] * 9, [4] * 25]
    order = in_batch_order(tree(prompts, worth=10), prompts)
    assert order == [2, 4, 1, 3, 0] and common_prefix([prompts[1], prompts[3]]) == 20


def test_a_beginning_is_read_once(nano, monkeypatch):
    read = []
    plain = reading._pass
    monkeypatch.setattr(reading, "_pass", lambda n, tails, *a: read.append(sum(map(len, tails))) or plain(n, tails, *a))
    rng = random.Random(0)
    draw = lambda count: [rng.randint(3, 900) for _ in range(count)]  # noqa: E731
    first, second = draw(80), draw(70)
    prompts = [[*start, *draw(5)] for start in (first, second) for _ in range(3)]
    found = generate(nano.network, nano.tokenizer, prompts, Decoding(4, ""))
    assert sum(read) == 80 + 70 + 6 * 5
    assert [g.cached_tokens for g in found] == [0] * 6, "what only some prompts share is not a provider's cache"
