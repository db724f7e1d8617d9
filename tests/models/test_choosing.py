"""Likelihoods of candidates in one pass against scoring each by itself."""

from __future__ import annotations

import random

import pytest
import torch

from lab.models.choosing import Trie, likelihoods
from lab.models.likelihood import Encoded, nats_of
from lab.schema import Prompt
from tests.models.test_architectures import WINDOW, family  # noqa: F401 (a fixture)

CANDIDATES = [[5, 6, 7], [5, 6, 8, 9], [5], [4, 4], [5, 6]]


def test_a_trie_by_hand():
    trie = Trie.of(CANDIDATES)
    # 5 and 5 6 stand once; last tokens (7, 9, 5, 4, 6) are asked for only, and 8 is followed by 9.
    assert trie.tokens == [5, 6, 8, 4] and trie.parents == [-1, 0, 1, -1] and trie.depths == [0, 1, 2, 0]
    assert trie.paths[1] == [(-1, 5), (0, 6), (1, 8), (2, 9)] and trie.paths[2] == [(-1, 5)]
    assert trie.sees().int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]


def test_every_architecture_says_what_one_by_one_says(family):  # noqa: F811
    name, model = family
    rng = random.Random(0)
    # Short enough for the windows: beyond them the model goes one by one.
    prompts = [[rng.randint(3, 400) for _ in range(n)] for n in (3, 11, 12, 4, 11)]
    prompts = [[9] * 8 + p for p in prompts]
    candidates = [CANDIDATES, CANDIDATES[:2], [[7]], CANDIDATES[::-1], [[3, 4, 5], [3, 4, 6]]]
    assert max(len(p) for p in prompts) + 4 <= WINDOW
    found = likelihoods(model.network, prompts, candidates)
    for prompt, each, told in zip(prompts, candidates, found):
        wanted = nats_of(model.network, [Encoded(prompt, c) for c in each], 0, "cpu")
        assert told == pytest.approx([-n for n, _, _ in wanted], abs=2e-3), name


def test_a_choice_is_the_likeliest_by_character_or_by_the_whole(nano):
    prompt, labels = Prompt("Answer.", "The capital of France?"), ["Paris", "a town by the sea far away", "no"]
    ids = nano.prompt_ids(prompt)
    nats = [n for n, _, _ in nats_of(nano.network, [Encoded(ids, nano.encode_target(x)) for x in labels], 0, "cpu")]
    by_character = min(range(3), key=lambda i: nats[i] / len(labels[i]))
    whole = min(range(3), key=lambda i: nats[i])
    assert nano.choose([("x", prompt, labels)])[0].text == labels[by_character]
    assert nano.choose([("x", prompt, labels)], by="whole")[0].text == labels[whole]
    assert by_character != whole, "else nothing is told apart"


def test_windows_that_texts_outgrow_are_scored_one_by_one(family, monkeypatch):  # noqa: F811
    _, model = family
    asked = []
    monkeypatch.setattr("lab.models.local.likelihoods", lambda *a: asked.append(1) or [[0.0, 1.0]])
    prompt = list(range(5, 5 + 2 * WINDOW))
    model._likelihoods([prompt], [[[3, 4], [5]]], lambda done: None)
    assert bool(asked) == (not getattr(model.config, "sliding_window", None))
    with torch.inference_mode():
        assert torch.isfinite(torch.tensor(model._likelihoods([prompt[:10]], [[[3, 4], [5]]], lambda done: None))).all()
