"""A network spread over devices says what it says on one; which networks are spread, and where their parts lie."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from lab.models import placing
from lab.models.device import Machine
from lab.models.folders import BUNDLED
from lab.models.inside import hidden_states
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.schema import Decoding, Prompt
from lab.weights.scratch import Scratch
from tests.pretend import DEVICES, pretend_devices, spread

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
PROMPTS = [(f"p{i}", Prompt("Answer.", f"What is number {i % 5}{'?' * (i + 1)}")) for i in range(7)]
GPUS = Machine("cuda", "bfloat16", 2, "A card")


def network_of(layers: int, **more) -> LlamaForCausalLM:
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=layers, **{"vocab_size": 4096} | SIZES | more)).eval()


@pytest.fixture(scope="module")
def whole(nano) -> LocalModel:
    return LocalModel("three", network_of(3), nano.tokenizer, nano.machine, "three-revision")


@pytest.fixture
def two(whole):
    """The same network over two devices, while the test runs."""
    with pretend_devices():
        network = spread(copy.deepcopy(whole.network))
        yield LocalModel("three", network, whole.tokenizer, whole.machine, "three-revision")


def test_an_operation_on_two_devices_is_refused_here_as_on_gpus():
    with pretend_devices():
        one, other = (torch.ones(2, device=d) for d in DEVICES)
        with pytest.raises(RuntimeError, match="aten.add.Tensor: tensors on"):
            one + other
        assert (one + other.to(DEVICES[0])).tolist() == [2, 2] and one.to(DEVICES[1]).device == other.device


def test_it_completes_chooses_and_scores_the_same(whole, two):
    assert placing.devices_of(two.network) == list(DEVICES)
    greedy = Decoding(max_tokens=12)
    assert [c.text for c in two.complete(PROMPTS, greedy)] == [c.text for c in whole.complete(PROMPTS, greedy)]
    offered = [(name, prompt, ["north", "northern star", "south"]) for name, prompt in PROMPTS]
    assert [c.text for c in two.choose(offered)] == [c.text for c in whole.choose(offered)]
    texts = ["the pair of pliers", "a"]
    assert two.text_nll(texts) == [pytest.approx(row) for row in whole.text_nll(texts)]
    assert hidden_states(two, texts) == pytest.approx(hidden_states(whole, texts), abs=1e-6)


def test_a_copy_and_a_fresh_network_lie_as_the_base_does(two):
    scratch = Scratch()
    for network in (two.copy_network(), scratch.fresh(two, 0)):
        there = {name: str(p.device) for name, p in network.named_parameters()}
        assert there == {name: str(p.device) for name, p in two.network.named_parameters()}
    assert not torch.equal(scratch.fresh(two, 1).lm_head.weight, scratch.fresh(two, 0).lm_head.weight)


def test_what_is_saved_is_the_network(whole, two, tmp_path):
    two.save(tmp_path)
    saved, own = load_file(tmp_path / "model.safetensors"), whole.network.state_dict()
    assert saved.keys() == own.keys() and all(torch.equal(saved[n], own[n]) for n in own)


@pytest.mark.parametrize(
    ("words", "lie"),
    [
        # Numbers in a block: 4 matrices of attention (32 x 32 twice, 32 x 16 twice), 3 of 32 x 64, 2 norms: 9,280.
        # Beside the blocks 2 x 32 for each word, and a norm: here 6,432 of 80,672, a third of which is 26,891.
        (100, "aabbbccc"),
        # 262,176 of 336,416: more than a third, so the first one holds no block.
        (4096, "bbbbcccc"),
    ],
)
def test_blocks_are_spread_by_bytes_and_all_else_is_on_the_first(words, lie):
    network = network_of(8, tie_word_embeddings=False, vocab_size=words)
    assert placing.bytes_of(network) == 4 * (8 * 9280 + 64 * words + 32)
    found = placing.even_spread(network, ["a", "b", "c"])
    assert "".join(found[f"model.layers.{n}"] for n in range(8)) == lie
    assert {n: d for n, d in found.items() if "layers" not in n} == dict.fromkeys(
        ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"), "a"
    )


@pytest.mark.parametrize(
    ("device", "count", "free", "is_spread"),
    [("cuda", 2, 1.5, True), ("cuda", 2, 2.0, False), ("cuda", 1, 0.1, False), ("cpu", 2, 0.1, False)],
)
def test_only_what_one_gpu_has_no_room_for_is_spread(monkeypatch, device, count, free, is_spread):
    network = network_of(4)
    size = placing.bytes_of(network) / 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda n: (free * size if n else 9 * size, 9 * size))
    found = placing.placement(network.config, torch.bfloat16, replace(GPUS, device=device))
    assert (found is not None) == is_spread
    if is_spread:
        assert set(found.values()) == {"cuda:0", "cuda:1"}


def test_a_model_that_is_loaded_over_devices_says_so_in_its_machine(monkeypatch, here):
    config = json.loads((BUNDLED / "nano" / "config.json").read_text())
    asked = []

    def placement(given, dtype, machine):
        asked.append((given.num_hidden_layers, dtype))

    monkeypatch.setattr("lab.models.loading.placement", placement)
    model = load_model("nano", here)
    assert asked == [(config["num_hidden_layers"], torch.float32)]
    assert model.machine == here
    with pretend_devices():
        _, machine = placing.put(spread(network_of(2)), here)
    assert machine == replace(here, name=f"{here.name} x2")
