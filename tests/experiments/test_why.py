"""Why fine-tuning is cheap: the ledger by hand, the cut update against its whole, and the flow with few steps."""

from __future__ import annotations

import pytest
import torch

import lab.experiments.why.run
from lab.context.none import NoContext
from lab.experiments.why.ledger import Account, Why, factors, own_case, scaled_account, worth_in_examples
from lab.experiments.why.page import write_why
from lab.flow.bench import Bench
from lab.flow.methods import Candidate
from lab.store import Store
from lab.weights.full import Full
from lab.weights.lora import Lora
from lab.weights.scratch import Scratch
from lab.weights.spectrum import cut_to_rank
from tests.conftest import make_task


def account(name="lora", tokens=1000, seconds=10.0, right=5, size=25, pace=0.0, **more) -> Account:
    return Account(name, tokens, 10, 50, 400, 6e6, 0.0, seconds, "m", size, right, 10, tokens_per_second=pace, **more)


def test_the_factors_multiply_to_the_ratio_of_seconds():
    before = Account("pretraining", 100_000, 200, 1000, 8000, 9e8, 0.0, 7.0, "elsewhere", tokens_per_second=500.0)
    f = factors(Why({}, {}, before), account(pace=250.0))
    # 100,000 tokens at 500 a second are 200 s; 1,000 at 250 are 4 s. 9,000 FLOPs a token against 6,000.
    assert (f.tokens, f.flops_a_token, f.seconds) == (100, 1.5, 50)
    assert f.tokens * f.flops_a_token * f.utilisation == pytest.approx(f.seconds)
    assert f.memory == 20 and f.double_counted == 100 * 20 * 20 * 20
    assert factors(Why({}, {}, before), account(seconds=10.0)).seconds == 20, "not timed: the clock's seconds"


def test_what_a_start_is_worth():
    def found(*scratch):
        return Why(
            {},
            {},
            account("pretraining"),
            trainings=[account("full", right=5, size=25), account("full", right=9, size=100), *scratch],
        )

    assert "takes 100 examples to reach what the pretrained start has with 25" in worth_in_examples(
        found(account("scratch", right=1, size=25), account("scratch", right=6, size=100))
    )
    assert "worth more than 4 times the data" in worth_in_examples(
        found(account("scratch", right=0, size=25), account("scratch", right=4, size=100))
    )
    assert worth_in_examples(Why({}, {}, account("pretraining"))) == "Neither start learned anything at these sizes."


def test_a_cut_update_keeps_its_largest_directions(nano):
    tuned = nano.copy_network()
    down = tuned.model.layers[0].mlp.down_proj
    torch.manual_seed(0)
    wide, narrow = torch.randn(down.weight.shape[0], 2), torch.randn(2, down.weight.shape[1])
    with torch.no_grad():
        down.weight += 0.1 * wide @ narrow
    base = dict(nano.network.named_parameters())
    cut = [cut_to_rank(nano, nano.beside(tuned), rank).network for rank in (2, 1)]
    whole, half = (dict(network.named_parameters()) for network in cut)
    name = "model.layers.0.mlp.down_proj.weight"
    assert torch.allclose(whole[name], down.weight, atol=1e-4), "an update of two directions is whole at rank 2"
    singular = torch.linalg.svdvals(0.1 * wide @ narrow)
    assert torch.linalg.matrix_norm(down.weight - half[name], 2).item() == pytest.approx(
        singular[1].item(), rel=1e-3
    ), "at rank 1 the second direction is what is missing"
    assert all(torch.equal(half[n], base[n]) for n in base if n != name)


def test_a_training_is_scaled_by_arithmetic():
    base = account("lora", tokens=1000, settings={"epochs": 10, "rank": 16}, pace=250.0)
    moved = scaled_account(base, 30, 4)
    assert (moved.tokens, moved.steps, moved.flops, moved.seconds_here) == (3000, 30, 1.8e7, 12.0)
    assert (moved.trained_parameters, moved.optimizer_bytes) == (round(50 / 4), 100)


def test_ones_own_case_by_hand():
    answer = own_case(1, 1, 1000, 500, 2, 1)
    # One million tokens: 6 N D in full, 4 N D + 6 P D with an adapter of N / 100.
    assert (
        answer["by tokens"] == 1e6
        and answer["by gradients"] == pytest.approx(6 / 4.06)
        and answer["times less"] == pytest.approx(1e6 * 6 / 4.06)
    )
    assert answer["full GiB"] == pytest.approx(16e9 / 2**30) and answer["lora GiB"] == pytest.approx(
        (2e9 + 16e7) / 2**30
    )


def test_the_ledger_is_measured_from_end_to_end(nano, tmp_path, monkeypatch):
    """Few steps, few texts; everything else is as in ``lab why``."""
    few = {
        "lora": Lora(learning_rate=1e-3, epochs=1, minimum_steps=3),
        "full": Full(epochs=1, minimum_steps=3),
        "scratch": Scratch(epochs=1, minimum_steps=3),
    }
    monkeypatch.setattr(
        lab.experiments.why.run, "chosen_candidate", lambda bench, name, size, sizes: Candidate(NoContext(), few[name])
    )
    monkeypatch.setattr(lab.experiments.why.run, "PROBE_TEXTS", (60, 30))
    monkeypatch.setattr(lab.experiments.why.run, "PACE_STEPS", 1)
    monkeypatch.setattr(lab.experiments.why.run, "CUTS", (1, 16))
    said = []
    found = lab.experiments.why.run.why(
        Bench(make_task(60, documents=False), nano, Store(tmp_path / "home", committed=None)),
        [20],
        lambda found, words: said.append(words),
    )
    layers = nano.layers
    assert (
        [a.name for a in found.trainings] == ["lora", "full", "scratch"]
        and len(found.frozen) == layers
        and [t["rank"] for t in found.truncated] == [1, 16, None]
    )
    assert len(said) == 3 + 3 + layers, "as many points as lab why forecasts"
    assert all(
        a.tokens_per_second > 0 and a.counted_flops == pytest.approx(a.flops, rel=0.25)
        for a in (*found.trainings, *found.frozen)
    )
    flops = [a.flops for a in found.frozen]
    assert flops == sorted(flops, reverse=True) and found.of("full")[0].flops > flops[0], (
        "each frozen layer saves its backward pass"
    )
    assert {r["layer"] for r in found.layers} == set(range(layers + 1))
    found.command = "lab why t"
    found.save(tmp_path / "out" / "why.json")
    assert Why.load(tmp_path / "out" / "why.json") == found
    assert "tokens a second" in write_why(found, tmp_path / "out").read_text()
