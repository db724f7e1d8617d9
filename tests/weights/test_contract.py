"""What every weight method promises, checked for each that there is: a new one is tested by being there."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

import lab.weights
from lab.flow.families import member_from, members, settings_of
from lab.flow.methods import CANDIDATES
from lab.measure.flops import Shape
from lab.measure.memory import FOOTPRINTS
from lab.models.likelihood import Encoded, completion_logits
from lab.models.local import LocalModel
from lab.schema import LabError, Prompt
from lab.weights.base import TrainingData
from lab.weights.training import encode_pairs, validate
from tests.pretend import pretend_devices, spread

KINDS = members(lab.weights)
TRAINED = {name: kind for name, kind in KINDS.items() if kind.trains}
ADAPTERS = {name: kind for name, kind in TRAINED.items() if kind.adapter}
PAIRS = tuple((Prompt("Answer.", f"What is number {i}?"), f"it is {i % 7}") for i in range(24))
DATA = TrainingData(PAIRS, PAIRS[:8], rejected=tuple(f"nobody knows {i}" for i in range(24)))


def quick(kind, **more):
    """A method at its dearest rate, with few steps."""
    return kind(learning_rate=kind.RATES[-1], **({"epochs": 1, "minimum_steps": 12, "batch_size": 8} | more))


def quiet(done, total, words):
    pass


def logits(model, network=None):
    """What a model's own network, or another one, says of a text as the lab asks."""
    ids = model.tokenizer("Input: a b c\nOutput:")["input_ids"]
    with torch.inference_mode():
        network = network or model.network
        return completion_logits(network, [Encoded(ids[:1], ids[1:])], 0, network.device)[0].clone()


def state(model):
    return {n: p.detach().clone() for n, p in model.network.named_parameters()}


def require_untouched(model, before):
    """The base's network has its own layers and, bit for bit, its own values."""
    assert not any(isinstance(m, BaseTunerLayer) for m in model.network.modules())
    after = dict(model.network.named_parameters())
    assert after.keys() == before.keys() and all(torch.equal(after[n], v) for n, v in before.items())


@pytest.fixture(params=["float32", "bfloat16", "over two devices"])
def base(request, tiny) -> LocalModel:
    """A model of its own for each test: in both number formats that bases are held in, and spread."""
    network = copy.deepcopy(tiny.network)
    if request.param == "over two devices":
        with pretend_devices():
            yield LocalModel("tiny", spread(network), tiny.tokenizer, tiny.machine, "tiny spread")
    else:
        network = network.to(getattr(torch, request.param))
        yield LocalModel("tiny", network, tiny.tokenizer, tiny.machine, f"tiny {request.param}")


@pytest.mark.parametrize("name", KINDS)
def test_settings_round_trip_and_traits_are_stated(name):
    kind = KINDS[name]
    weights = kind()
    assert settings_of(weights) == {"name": name}
    assert member_from(lab.weights, settings_of(weights)) == weights
    assert kind.footprint in FOOTPRINTS and "" in kind.variants
    assert (
        kind.adapter <= kind.trains
        and (kind.adapter or kind.merges)
        and (not kind.has_rank or weights.at_rank(3).rank == 3)
    )


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_offers_as_many_candidates_as_there_are_looks(name):
    for fixed in TRAINED[name].variants.values():
        for looks in (CANDIDATES, CANDIDATES // 2):
            grid = TRAINED[name](**fixed).grid(looks)
            assert len(set(grid)) == looks
            assert all(getattr(w, k) == v for w in grid for k, v in fixed.items())


@pytest.mark.parametrize("name", TRAINED)
def test_it_learns_and_comes_back_and_the_base_stays_bit_for_bit(name, base, tmp_path):
    weights, before, answers, device = quick(TRAINED[name]), state(base), logits(base), base.network.device
    items = encode_pairs(base, PAIRS[:8])
    with weights.prepared(base, 0, None) as network:
        _, untrained = validate(network, items, 0, device)
    log = weights.adapt(base, DATA, tmp_path, 0, quiet)
    require_untouched(base, before)
    adapted = weights.apply(base, tmp_path)
    tuned = logits(adapted)
    assert not torch.allclose(tuned.float(), answers.float(), atol=1e-3)
    _, nll = validate(adapted.network, items, 0, device)
    assert nll < untrained and nll == pytest.approx(log.validation_nll, rel=5e-2)
    assert torch.equal(logits(base), answers)
    require_untouched(base, before)
    assert torch.equal(logits(weights.apply(base, tmp_path)), tuned)


@pytest.mark.parametrize("name", ADAPTERS)
def test_beside_the_weights_it_says_the_same_and_knows_what_the_base_says(name, base, tmp_path):
    weights, before, device = quick(ADAPTERS[name]), state(base), base.network.device
    weights.adapt(base, DATA, tmp_path, 0, quiet)
    items = encode_pairs(base, PAIRS[:4])
    of_base = completion_logits(base.network, items, 0, device)[0]
    merged = completion_logits(weights.apply(base, tmp_path).network, items, 0, device)[0]
    tolerance = 1e-3 if base.network.dtype == torch.float32 else 0.2
    beside = weights.beside(base, tmp_path)
    assert torch.allclose(completion_logits(beside.network, items, 0, device)[0], merged, atol=tolerance)
    assert torch.equal(beside.base_logits(items), of_base)
    if weights.merges:
        with pytest.raises(RuntimeError, match="merged into the base"):
            weights.apply(base, tmp_path).text_nll(["a text"], against_base=True)
    require_untouched(base, before)


@pytest.mark.parametrize("name", TRAINED)
def test_kept_beside_it_knows_what_the_base_says(name, base, tmp_path):
    """What forgetting compares with: text_nll against the base."""
    weights, before, device = quick(TRAINED[name]), state(base), base.network.device
    weights.adapt(base, DATA, tmp_path, 0, quiet)
    items = encode_pairs(base, PAIRS[:4])
    of_base = completion_logits(base.network, items, 0, device)[0]
    beside = weights.beside(base, tmp_path)
    tuned = completion_logits(beside.network, items, 0, device)[0]
    assert torch.equal(beside.base_logits(items), of_base) and not torch.equal(tuned, of_base)
    assert torch.equal(completion_logits(beside.network, items, 0, device)[0], tuned)
    (nats, tokens, divergence), *_ = beside.text_nll(["it is what it is"], against_base=True)
    assert nats > 0 and tokens > 0 and divergence > 0
    require_untouched(base, before)


@pytest.mark.parametrize("name", [n for n, kind in ADAPTERS.items() if kind.merges and not kind.rounds])
def test_an_untrained_adapter_changes_nothing_at_all(name, base):
    answers = logits(base)
    with ADAPTERS[name]().prepared(base, 0, None) as network, torch.inference_mode():
        network.eval()
        # DoRA divides by the norm that it multiplies with, which rounds in bfloat16.
        tolerance = 1e-5 if base.precision == "float32" else 5e-2
        assert torch.allclose(logits(base, network), answers, atol=tolerance)


@pytest.mark.parametrize("name", ADAPTERS)
def test_it_adds_the_parameters_that_it_says(name, tiny, tmp_path):
    weights = quick(ADAPTERS[name], minimum_steps=1)
    log = weights.adapt(tiny, DATA, tmp_path, 0, quiet)
    assert log.trained_parameters == weights.added_parameters(Shape.of(tiny.config.to_dict()))


@pytest.mark.parametrize("name", TRAINED)
def test_the_spectrum_is_that_of_the_change(name, tiny, tmp_path):
    """Merged minus base, whatever the method: an adapter with magnitudes changes more than its low-rank product."""
    weights = quick(TRAINED[name])
    log = weights.adapt(tiny, DATA, tmp_path, 0, quiet)
    linear = {
        n: m.weight.detach().clone()
        for n, m in tiny.network.named_modules()
        if isinstance(m, torch.nn.Linear) and "lm_head" not in n
    }
    network = weights.apply(tiny, tmp_path).network
    after = dict((network if weights.merges else network.get_base_model()).named_modules())
    changes = {n: after[n].weight.detach() - before for n, before in linear.items()}
    changes = {n: change for n, change in changes.items() if change.any()}
    assert set(log.spectrum) == set(log.energy) == set(changes)
    assert len(changes) == len(linear) or name in ("bitfit", "last_layers", "prompt_tuning", "prefix_tuning")
    if TRAINED[name].rounds:
        return  # What rounding changes is not what training changed.
    for n, change in changes.items():
        assert log.energy[n] == pytest.approx(float(change.square().sum()), rel=1e-3)
        wanted = torch.linalg.svdvals(change)
        kept = log.spectrum[n]
        assert torch.allclose(torch.tensor(kept), wanted[: len(kept)], atol=2e-4, rtol=1e-2)
        assert sum(v * v for v in kept) == pytest.approx(log.energy[n], rel=1e-2)


@pytest.mark.parametrize("name", TRAINED)
def test_same_seed_same_result_other_seed_another(name, tiny, tmp_path):
    weights = quick(TRAINED[name], minimum_steps=4)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        weights.adapt(tiny, DATA, tmp_path / folder, seed, quiet)
    a, b, c = (logits(weights.apply(tiny, tmp_path / n)) for n in "abc")
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_stopped_halfway_goes_on_to_the_same_weights(name, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.weights.training.CHECKPOINT_SECONDS", 0.0)
    weights, before, steps = quick(TRAINED[name], minimum_steps=14), state(tiny), []
    whole = weights.adapt(tiny, DATA, tmp_path / "whole", 0, quiet)

    def stop_at_nine(done, total, words):
        steps.append(done)
        if done == 9 and steps.count(9) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.adapt(tiny, DATA, tmp_path / "stopped", 0, stop_at_nine)
    require_untouched(tiny, before)
    resumed = weights.adapt(tiny, DATA, tmp_path / "stopped", 0, stop_at_nine)
    assert steps == list(range(1, 15))
    assert (resumed.curve, resumed.trained_tokens, resumed.best_step) == (
        whole.curve,
        whole.trained_tokens,
        whole.best_step,
    )
    stopped, unbroken = (logits(weights.apply(tiny, tmp_path / n)) for n in ("stopped", "whole"))
    assert torch.equal(stopped, unbroken)


@pytest.mark.parametrize("name", TRAINED)
def test_it_goes_on_from_a_reading_of_the_documents(name, tiny, tmp_path):
    from lab.schema import Document

    weights = quick(TRAINED[name], study=True, minimum_steps=4)
    stage = replace(weights.stages[0], study_epochs=2)
    assert stage.reads and stage.stages == () and not weights.reads
    documents = tuple(Document(f"d{i}", f"The code of box {i} is {i * 37 % 100}.") for i in range(8))
    stage.adapt(tiny, TrainingData(documents=documents), tmp_path / "read", 0, quiet)
    weights.adapt(tiny, DATA, tmp_path / "on", 0, quiet, tmp_path / "read")
    weights.adapt(tiny, DATA, tmp_path / "fresh", 0, quiet)
    on, fresh = (logits(weights.apply(tiny, tmp_path / n)) for n in ("on", "fresh"))
    assert not torch.allclose(on, fresh, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_a_damaged_result_is_refused_and_the_base_left_alone(name, tiny, tmp_path):
    before = state(tiny)
    with pytest.raises((LabError, ValueError, OSError)):
        TRAINED[name]().apply(tiny, tmp_path / "nothing")
    require_untouched(tiny, before)


def test_what_was_lent_is_gone_once_the_base_is_used(tiny, tmp_path):
    """A merged adapter must not be used after the base was put back, nor the base while it is merged."""
    weights = quick(TRAINED["lora"])
    weights.adapt(tiny, DATA, tmp_path, 0, quiet)
    answers, lent = logits(tiny), weights.apply(tiny, tmp_path)
    assert not lent.gone and not torch.equal(logits(lent), answers)
    assert torch.equal(logits(tiny), answers)
    assert lent.gone
    with pytest.raises(RuntimeError, match="taken off again"):
        logits(lent)
    first = weights.apply(tiny, tmp_path)
    weights.beside(tiny, tmp_path)
    assert first.gone
