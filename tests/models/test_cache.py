"""The roomy cache against transformers' own growing one, and against generation without a batch."""

from __future__ import annotations

import random
from types import SimpleNamespace

import torch
from transformers.cache_utils import DynamicLayer

from lab.models import generation
from lab.models.attention import attend_well
from lab.models.cache import RoomyLayer
from lab.models.generation import _fill_holes
from lab.schema import Decoding
from lab.world.probes import probe


def test_holes_are_filled_from_the_end_by_hand():
    assert _fill_holes([0, 1, 2]) == [0, 1, 2]
    assert _fill_holes([1, 3, 4]) == [4, 1, 3]
    assert _fill_holes([5]) == [5]


def test_rows_that_leave_and_tokens_that_come_are_those_of_the_growing_cache():
    for seed in range(40):
        rng, torch_rng = random.Random(seed), torch.Generator().manual_seed(seed)
        rows, room = rng.randint(1, 9), 30
        roomy, growing = RoomyLayer(room), DynamicLayer()
        while rows and room >= 4:
            tokens = rng.randint(1, 4)
            room -= tokens
            new = [torch.randn(rows, 2, tokens, 3, generator=torch_rng) for _ in range(2)]
            for got, wanted in zip(roomy.update(*new), growing.update(*new)):
                assert got.equal(wanted)
            assert roomy.get_seq_length() == growing.get_seq_length()
            keep = sorted(rng.sample(range(rows), rng.randint(0, rows)))
            if not keep:
                break
            index = torch.tensor(_fill_holes(keep))
            assert sorted(index.tolist()) == keep
            roomy.batch_select_indices(index)
            growing.batch_select_indices(index)
            rows = len(keep)


def test_completions_are_those_of_prompts_alone_though_rows_change_places(nano, monkeypatch):
    moves = []
    monkeypatch.setattr(generation, "_fill_holes", lambda keep: moves.append(_fill_holes(keep)) or moves[-1])
    prompts = [(s.id, p) for name in ("public_facts", "word_operations") for s, p in probe(name, 12).items]
    together = nano.complete(prompts, Decoding(24))
    assert any(order != sorted(order) for order in moves), "a row must have moved into a hole"
    assert [c.text for c in together] == [nano.complete([p], Decoding(24))[0].text for p in prompts]
    assert len({c.text for c in together}) > 12


def test_a_network_on_a_gpu_does_not_attend_by_cudnn():
    network = SimpleNamespace(device=torch.device("cuda"), config=SimpleNamespace(_attn_implementation="sdpa"))
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        attend_well(network)
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.mem_efficient_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
