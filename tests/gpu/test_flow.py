"""The same flow on a GPU, where there is one."""

from __future__ import annotations

import copy

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

import lab.weights
from lab.context.base import Tools
from lab.flow.bench import Bench
from lab.flow.decoding import decoding_for
from lab.flow.families import members
from lab.flow.methods import Method
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.models.device import machine
from lab.models.likelihood import Encoded, completion_logits
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.models.placing import devices_of
from lab.schema import Decoding, Prompt
from lab.store import Store
from lab.weights.base import TrainingData
from lab.weights.lora import Lora
from lab.weights.training import Paused, Schedule, encode_pairs, train
from lab.world.probes import probe
from tests.conftest import make_task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
TRAINED = {name: kind for name, kind in members(lab.weights).items() if kind.trains}
ADAPTERS = {name: kind for name, kind in TRAINED.items() if kind.adapter}
PAIRS = tuple((Prompt("Answer.", f"What is number {i}?"), f"it is {i % 7}") for i in range(24))
DATA = TrainingData(PAIRS, PAIRS[:8], rejected=tuple(f"nobody knows {i}" for i in range(24)))


def quiet(done, total, words):
    pass


@pytest.fixture(scope="module")
def on_card() -> LocalModel:
    return load_model("nano", machine("cuda"))


@pytest.fixture(params=["float32", "bfloat16"])
def base(request, tiny) -> LocalModel:
    """The random model of the tests on the card, a network of its own for each test."""
    network = copy.deepcopy(tiny.network).to("cuda", getattr(torch, request.param))
    return LocalModel("tiny", network, tiny.tokenizer, machine("cuda"), f"tiny {request.param}")


def test_the_flow_runs_in_bf16(tmp_path):
    here = machine("cuda")
    assert here.dtype == "bfloat16"
    model = load_model("nano", here, "bfloat16")
    task, store = make_task(120), Store(tmp_path, committed=None)
    methods = ["zero_shot", "few_shot", "few_shot_nearest", "rag", "few_shot_rag", "lora", "rag_lora", "full"]
    bench, plan = Bench(task, model, store, Tools(cache=store.cache)), expand(methods, [4], [60], 1, task)
    # The dearest rate of each and no search: it is the flow that is tried here.
    plan.methods = [Method(m.name, m.candidates[-1:]) for m in plan.methods]
    study = Runner(bench).run(plan)
    assert {c.method for c in study.cells} >= set(methods)
    assert all(len(c.outcomes) == len(task.test) for c in study.cells)
    assert next(c for c in study.cells if c.method == "rag_lora" and c.control == "oracle").accuracy > 0.5


def test_completions_in_float32_are_those_of_the_processor(on_card):
    prompts = [(s.id, p) for name in ("public_facts", "word_operations") for s, p in probe(name, 24).items]
    here, there = (
        on_card.complete(prompts, Decoding(24)),
        load_model("nano", machine("cpu")).complete(prompts, Decoding(24)),
    )
    same = sum(a.text == b.text for a, b in zip(here, there))
    assert same >= 0.95 * len(prompts), f"{same} of {len(prompts)} texts are the same"


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_a_model_spread_over_all_gpus_answers_and_learns(on_card, monkeypatch, tmp_path):
    monkeypatch.setattr("lab.models.placing.SHARE_FOR_WEIGHTS", 0)
    spread = load_model("nano", machine("cuda"))
    assert len(devices_of(spread.network)) == torch.cuda.device_count()
    prompts = [(s.id, p) for s, p in probe("word_operations", 24).items]
    assert [c.text for c in spread.complete(prompts, Decoding(24))] == [
        c.text for c in on_card.complete(prompts, Decoding(24))
    ]
    log = Lora(epochs=1, minimum_steps=12).adapt(spread, DATA, tmp_path, 0, quiet)
    assert log.curve[-1]["loss"] < log.curve[0]["loss"]


def test_a_constraint_and_a_choice(on_card):
    pytest.importorskip("llguidance")
    task = make_task(40, scorer="label")
    asked = [(s.id, Prompt(task.instruction, s.input)) for s in task.test]
    for way in ("constrained", "choose"):
        found = on_card.complete(asked, decoding_for(task, on_card, way))
        assert {c.text for c in found} <= set(task.labels)


@pytest.mark.parametrize("width", [64, 192])
def test_masked_texts_whose_length_cudnn_stumbles_over_are_trained_on(on_card, width):
    """pytorch issue 196678: without care the gradients of such a batch are no numbers."""
    items = [Encoded(list(range(5, 5 + n - 4)), [7, 8, 9, 2]) for n in (width, width // 4, width // 2, width - 3)]
    with Lora().prepared(on_card, 0, None) as network:
        log = train(on_card, network, items * 4, [], Schedule(1e-3, 2, 1, 4), 0, quiet, "lengths")
        assert all(torch.isfinite(p).all() for p in network.parameters() if p.requires_grad)
    assert log.steps == 8


@pytest.mark.parametrize("name", TRAINED)
def test_it_learns_and_comes_back_and_the_base_stays_bit_for_bit(name, base, tmp_path):
    weights = TRAINED[name](learning_rate=TRAINED[name].RATES[-1], epochs=1, minimum_steps=12, batch_size=8)
    before = {n: p.detach().clone() for n, p in base.network.named_parameters()}
    log = weights.adapt(base, DATA, tmp_path, 0, quiet)
    assert log.peak_bytes > 0 and log.curve
    items = encode_pairs(base, PAIRS[:8])
    tuned = completion_logits(weights.apply(base, tmp_path).network, items, 0, "cuda")[0]
    answers = completion_logits(base.network, items, 0, "cuda")[0]
    assert not torch.allclose(tuned, answers, atol=1e-3)
    assert not any(isinstance(m, BaseTunerLayer) for m in base.network.modules())
    assert all(torch.equal(p, before[n]) for n, p in base.network.named_parameters())
    if name in ADAPTERS:
        beside = completion_logits(weights.beside(base, tmp_path).network, items, 0, "cuda")[0]
        assert torch.allclose(beside, tuned, atol=1e-3 if base.precision == "float32" else 0.2)


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_stopped_halfway_goes_on_to_the_same_loss(name, base, tmp_path):
    weights = TRAINED[name](learning_rate=TRAINED[name].RATES[0], epochs=1, minimum_steps=20, batch_size=8)
    whole = weights.adapt(base, DATA, tmp_path / "whole", 0, quiet)
    with pytest.raises(Paused):
        weights.adapt(base, DATA, tmp_path / "halves", 0, quiet, pause_after=4)
    halves = weights.adapt(base, DATA, tmp_path / "halves", 0, quiet)
    assert halves.steps == whole.steps
    assert halves.curve[-1]["loss"] == pytest.approx(whole.curve[-1]["loss"], rel=0.05)
