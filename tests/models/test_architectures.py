"""The families that people use, small and random: every one goes through every kind of arm as Llama does."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D

import lab.weights
from lab.flow.families import members
from lab.flow.methods import Candidate, Method
from lab.flow.plan import expand
from lab.models.folders import BUNDLED
from lab.models.generation import generate
from lab.models.likelihood import completion_logits
from lab.models.loading import load_model
from lab.models.prefix import common_prefix
from lab.schema import Decoding, LabError, Prompt
from lab.weights.adapter import adapted_layers
from lab.weights.base import TrainingData
from lab.weights.full import Full
from lab.weights.lora import Lora
from lab.weights.training import encode_pairs
from tests.conftest import make_task
from tests.flow.test_runner import runner_for
from tests.pretend import pretend_devices, spread

WINDOW = 24
"""Tokens that a sliding layer looks back: shorter than the prompts here."""
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}
GROUPED = SMALL | {"num_key_value_heads": 2}
FAMILIES = {
    "Llama": GROUPED | {"tie_word_embeddings": True},
    "Qwen2": GROUPED | {"tie_word_embeddings": True},
    "Qwen3": GROUPED | {"head_dim": 16, "tie_word_embeddings": False},
    "Gemma3Text": GROUPED
    | {
        "head_dim": 16,
        "sliding_window": WINDOW,
        "layer_types": ["sliding_attention", "full_attention"],
        "tie_word_embeddings": True,
    },
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 64, "n_positions": 512},
    "GPTNeoX": SMALL | {"tie_word_embeddings": False},
    "Phi3": GROUPED | {"sliding_window": None, "tie_word_embeddings": False},
    "Mistral": GROUPED | {"sliding_window": WINDOW, "tie_word_embeddings": False},
}
WINDOWED = [name for name, config in FAMILIES.items() if config.get("sliding_window")]
LINEAR = {
    "Llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "GPT2": {"c_attn", "c_proj", "c_fc"},
    "GPTNeoX": {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"},
    "Phi3": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
}
"""Names of the matrices in a block, by the families' own source; the others name theirs as Llama does."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, nano, here, tmp_path_factory):
    """(family, model loaded from a folder as a user's would be)."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    torch.manual_seed(1)
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = getattr(transformers, f"{name}Config")(vocab_size=len(nano.tokenizer), **FAMILIES[name], **ends)
    network = transformers.AutoModelForCausalLM.from_config(config)
    # Weights large enough that what is attended to decides the next token.
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data *= 8
    network.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BUNDLED / "nano" / file, folder)
    return name, load_model(str(folder), here, "float32")


def prompts_of(model, lengths=(40, 9, 33, 60, 61, 17)) -> list[list[int]]:
    """Random prompts longer and shorter than the window: the first ones begin alike, two differ in the last token."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(3, model.config.vocab_size - 1, (100,), generator=generator).tolist()
    prompts = [drawn[:8] + drawn[-n:] for n in lengths]
    prompts[2] = prompts[0][:32] + drawn[:20]
    return [*prompts, [*prompts[3][:-1], 7], [5, 6, 9]]


@torch.inference_mode()
def plainly(network, prompt: list[int], tokens: int, ends: set[int]) -> list[int]:
    """The oracle: the whole text through the network again for every token, no cache, no batch."""
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(network(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        if ids[-1] in ends:
            return ids[len(prompt) : -1]
    return ids[len(prompt) :]


def test_over_two_devices_it_completes_as_on_one(family):
    _, model = family
    prompts = prompts_of(model)
    one = generate(model.network, model.tokenizer, prompts, Decoding(6, ""))
    with pretend_devices():
        two = generate(spread(copy.deepcopy(model.network)), model.tokenizer, prompts, Decoding(6, ""))
    assert [g.text for g in two] == [g.text for g in one]


@pytest.mark.parametrize("cache_bytes", [1, 1e9], ids=["one by one", "together"])
def test_cached_generation_is_plain_generation_token_by_token(family, cache_bytes):
    _, model = family
    oracle = copy.deepcopy(model.network)
    oracle.set_attn_implementation("eager")
    prompts = prompts_of(model)
    found = generate(model.network, model.tokenizer, prompts, Decoding(30, ""), cache_bytes=cache_bytes)
    wanted = [plainly(oracle, p, 30, {2}) for p in prompts]
    decode = model.tokenizer.decode
    assert [g.text for g in found] == [decode(w, skip_special_tokens=True).strip() for w in wanted]
    assert [g.tokens for g in found] == [len(w) for w in wanted]
    assert len({g.text for g in found}) >= 5, "a network that says the same to everything shows nothing"
    shared = prompts[:3]
    assert common_prefix(shared) == 8
    together = generate(model.network, model.tokenizer, shared, Decoding(30, ""), cache_bytes=cache_bytes)
    assert [g.text for g in together] == [g.text for g in found[:3]]


@pytest.mark.parametrize("family", WINDOWED, indirect=True)
def test_windows_are_respected(family):
    """Without them the same weights say something else, so the equality above is one of windows too."""
    _, model = family
    config = copy.deepcopy(model.config)
    config.sliding_window = 4096
    whole = type(model.network)(config).eval()
    whole.load_state_dict(model.network.state_dict())
    prompt = prompts_of(model)[3]
    assert plainly(whole, prompt, 30, {2}) != plainly(model.network, prompt, 30, {2})


@pytest.mark.slow
@pytest.mark.parametrize("method", [n for n, kind in members(lab.weights).items() if kind.trains])
def test_every_method_trains_on_it_and_leaves_it_as_it_was(family, method, tmp_path):
    name, model = family
    before = {n: p.detach().clone() for n, p in model.network.named_parameters()}
    pairs = tuple((Prompt("Answer.", f"What is {i}?"), f"it is {i % 3}") for i in range(8))
    kind = members(lab.weights)[method]
    weights = kind(learning_rate=kind.RATES[-1], epochs=1, minimum_steps=3, batch_size=4)
    data, quiet = TrainingData(pairs, pairs[:4], rejected=("none",) * 8), lambda done, total, words: None
    if name == "GPT2" and kind.rounds:
        with pytest.raises(LabError, match="no linear layers that bitsandbytes holds"):
            weights.adapt(model, data, tmp_path, 0, quiet)
        return
    log = weights.adapt(model, data, tmp_path, 0, quiet)
    items = encode_pairs(model, pairs[:4])
    with torch.no_grad():
        base = completion_logits(model.network, items, 0, "cpu")[0]
        tuned = completion_logits(weights.apply(model, tmp_path).network, items, 0, "cpu")[0]
        again = completion_logits(model.network, items, 0, "cpu")[0]
    assert log.steps == 3 and torch.equal(base, again) and not torch.allclose(tuned, base, atol=1e-5)
    after = dict(model.network.named_parameters())
    assert after.keys() == before.keys() and all(torch.equal(after[n], v) for n, v in before.items())


def test_every_matrix_of_every_block_gets_an_adapter_and_nothing_else(family):
    name, model = family
    with Lora(rank=2).prepared(model, 0, None) as network:
        names = [n for n, _ in adapted_layers(network)]
        trained = {n for n, p in network.named_parameters() if p.requires_grad}
    assert {n.rsplit(".", 1)[-1] for n in names} == LINEAR.get(name, LINEAR["Llama"])
    inside = {n for n, m in model.network.named_modules() if isinstance(m, torch.nn.Linear | Conv1D)}
    head = next(n for n, m in model.network.named_modules() if m is model.network.get_output_embeddings())
    assert set(names) == inside - {head}
    assert trained and all("lora_" in n for n in trained)


def test_tied_embeddings_stay_tied(family, tmp_path):
    from tests.weights.test_contract import DATA, quiet

    name, model = family
    weights = Full(learning_rate=1e-3, epochs=1, minimum_steps=3, batch_size=4)
    tied = bool(model.config.tie_word_embeddings)
    assert tied == FAMILIES[name].get("tie_word_embeddings", True)
    with weights.prepared(model, 0, None) as network:
        alike = network.get_input_embeddings().weight is network.get_output_embeddings().weight
        assert alike == tied
    weights.adapt(model, DATA, tmp_path, 0, quiet)
    head = next(n for n, m in model.network.named_modules() if m is model.network.get_output_embeddings())
    assert (f"{head}.weight" in load_file(tmp_path / "model.safetensors")) == (not tied)
    used = weights.apply(model, tmp_path).network
    assert (used.get_input_embeddings().weight is used.get_output_embeddings().weight) == tied
    before = model.network.get_output_embeddings().weight
    assert not torch.equal(used.get_output_embeddings().weight, before)


def test_layers_can_be_frozen(family, tmp_path):
    _, model = family
    with Full(frozen_layers=1).prepared(model, 0, None) as network:
        free = {n for n, p in network.named_parameters() if p.requires_grad}
    # Everything of the second block, nothing of the first and none of the embeddings.
    assert any(".1." in n for n in free) and not any(".0." in n or "emb" in n or "wte" in n or "wpe" in n for n in free)


def test_it_goes_through_every_kind_of_arm(family, tmp_path):
    name, model = family
    task = make_task(24)
    plan = expand(["zero_shot", "few_shot", "rag", "lora", "full"], [2], [16], 1, task)
    quick = {"epochs": 1, "minimum_steps": 3, "batch_size": 4}
    plan.methods = [
        Method(m.name, tuple(Candidate(c.context, replace(c.weights, **quick)) for c in m.candidates[:2]))
        if m.trains
        else Method(m.name, m.candidates[:2])
        for m in plan.methods
    ]
    study = runner_for(task, model, tmp_path).run(plan)
    measured = {c.method: c for c in study.cells if not c.control}
    assert set(measured) == {"zero_shot", "few_shot", "rag", "lora", "full"}, name
    assert all(len(c.outcomes) == len(task.test) and "e" not in c.outcomes for c in measured.values())
    assert all(measured[m].usage["training_steps"] == 3 for m in ("lora", "full"))
