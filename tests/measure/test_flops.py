"""FLOP formulas against torch's own counter, memory against published figures."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from lab.experiments.why.run import counted_flops
from lab.measure.flops import Shape, forward_flops, training_flops
from lab.measure.memory import cache_bytes, forecast_training, known_shapes
from lab.models.likelihood import Encoded
from lab.models.memory import TensorMemory
from lab.schema import LabError
from lab.weights.full import Full
from lab.weights.lora import Lora

LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "model_type": "llama",
}
LLAMA_13B = {
    "hidden_size": 5120,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "intermediate_size": 13824,
    "vocab_size": 32000,
    "model_type": "llama",
}


def shape_of(nano) -> Shape:
    return Shape.of(nano.network.config.to_dict())


def counted(work) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def test_parameters_are_the_networks_own(nano):
    shape = shape_of(nano)
    assert shape.parameters == sum(p.numel() for p in nano.network.parameters())
    network = get_peft_model(nano.copy_network(), LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert shape.lora_parameters(16) == sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("length", [64, 512])
@pytest.mark.parametrize("rank", [0, 16])
def test_formulas_agree_with_torchs_counter(nano, length, rank):
    """Attention as the network computes it: every position against every other, the causal half masked."""
    network = nano.copy_network()
    network.set_attn_implementation("eager")
    if rank:
        network = get_peft_model(network, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    else:
        network.requires_grad_(True)
    ids = torch.randint(3, 1000, (2, length))
    shape, tokens = shape_of(nano), 2 * length
    if not rank:
        with torch.no_grad():
            assert forward_flops(shape, tokens, length) == pytest.approx(
                counted(lambda: network(input_ids=ids)), rel=0.05
            )
    assert training_flops(shape, tokens, length, adapter_parameters=shape.lora_parameters(rank)) == pytest.approx(
        counted(lambda: network(input_ids=ids).logits.sum().backward()), rel=0.05
    )


@pytest.mark.parametrize("layers", [1, 4, 6])
def test_frozen_layers_save_their_backward_pass(nano, layers):
    ids = torch.randint(3, 1000, (2, 256))
    with Full(frozen_layers=layers).prepared(nano, 0, None) as network:
        network.set_attn_implementation("eager")
        found = counted(lambda: network(input_ids=ids).logits.sum().backward())
    assert training_flops(shape_of(nano), 512, 256, frozen_layers=layers) == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize("weights", [Lora(), Full(), Full(frozen_layers=3)])
def test_a_training_step_is_counted_as_its_method_trains(nano, weights):
    batch = [Encoded([5] * 100, [6] * 100)] * 4
    formula = training_flops(
        shape_of(nano), 800, 200, 4 * 101, weights.added_parameters(shape_of(nano)), weights.frozen_layers
    )
    assert 800 * counted_flops(nano, batch, weights) == pytest.approx(formula, rel=0.05)


@pytest.mark.parametrize("name", known_shapes())
def test_known_models_have_their_published_sizes(name):
    shape, published = known_shapes()[name]
    assert shape.parameters == pytest.approx(published * 1e9, rel=0.01)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_forecast_memory_is_that_of_the_live_tensors(nano, method):
    network = nano.copy_network()
    network = (
        get_peft_model(network, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
        if method == "lora"
        else network.requires_grad_(True)
    )
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad])
    ids = torch.randint(3, 1000, (8, 128))

    def step():
        network(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    with TensorMemory() as memory:
        memory.count(network.parameters()).count(v for s in optimizer.state.values() for v in s.values())
        step()
    assert forecast_training(shape_of(nano), method, batch=8, sequence=128, bytes_each=4).total == pytest.approx(
        memory.peak, rel=0.15
    )


def test_memory_by_the_articles_own_claims():
    full = forecast_training(Shape.of(LLAMA_8B), "full", batch=1, sequence=8, checkpointing=True)
    assert full.weights + full.gradients + full.optimizer == pytest.approx(16 * Shape.of(LLAMA_8B).parameters)
    small = forecast_training(Shape.of(LLAMA_13B), "qlora", batch=1, sequence=1024, checkpointing=True)
    assert small.total < 24 * 2**30, "a 13B in 4 bits fits 24 GiB"
    assert forecast_training(Shape.of(LLAMA_13B), "lora", batch=1, sequence=1024, checkpointing=True).total > 24 * 2**30


def test_the_cache_by_hand():
    assert cache_bytes(Shape.of(LLAMA_8B), 2, 1000) == 2 * 32 * 2 * 1000 * 8 * 128 * 2


def test_a_config_that_lacks_something_is_refused():
    with pytest.raises(LabError, match="num_hidden_layers or n_layer is missing"):
        Shape.of({"hidden_size": 8, "num_attention_heads": 2})
    with pytest.raises(LabError, match="unknown method"):
        forecast_training(Shape.of(LLAMA_8B), "magic", batch=1, sequence=8)
