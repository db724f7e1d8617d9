"""Virtual tokens: what peft says of the same files, in batches, in generation, and where the window ends."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel

import lab.weights
from lab.flow.families import members
from lab.models.choosing import likelihoods
from lab.models.generation import generate
from lab.models.likelihood import Encoded, completion_logits, nats_of
from lab.models.virtual import lead_of
from lab.schema import Decoding, LabError, Prompt
from lab.weights.base import TrainingData
from lab.weights.training import encode_pairs

KINDS = {n: kind for n, kind in members(lab.weights).items() if kind.trains and not kind.merges}
PAIRS = tuple((Prompt("Answer.", f"What is number {'one ' * (i % 5)}{i}?"), f"it is {i % 7}") for i in range(24))


@pytest.fixture(params=KINDS)
def tuned(request, nano, tmp_path):
    weights = KINDS[request.param](learning_rate=0.03, epochs=1, minimum_steps=8, batch_size=8, tokens=5)
    weights.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, lambda *told: None)
    return nano, weights.apply(nano, tmp_path), tmp_path


@torch.no_grad()
def of_peft(network, item: Encoded) -> torch.Tensor:
    ids = torch.tensor([item.context + item.target])
    found = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    return found[-len(item.target) - 1 : -1]


def test_peft_reads_the_files_and_says_the_same(tuned):
    base, model, folder = tuned
    theirs, items = PeftModel.from_pretrained(base.copy_network(), str(folder)).eval(), encode_pairs(base, PAIRS[:6])
    with torch.no_grad():
        ours = completion_logits(model.network, items, 0, "cpu")[0]
    for item, row in zip(items, ours):
        wanted = of_peft(theirs, item)
        assert torch.allclose(row[-len(wanted) :], wanted, atol=1e-3)
        with torch.no_grad():
            plain = completion_logits(base.network, [item], 0, "cpu")[0][0]
        assert not torch.allclose(plain, wanted, atol=0.5)


def test_prompts_that_share_beginnings_are_completed_as_one_by_one(tuned):
    base, model, _ = tuned
    prompts = [model.prompt_ids(p) for p, _ in PAIRS[:8]]
    together = generate(model.network, model.tokenizer, prompts, Decoding(10, ""))
    for prompt, got in zip(prompts, together):
        ids = [*lead_of(model.network), *prompt]
        for _ in range(10):
            with torch.no_grad():
                logits = model.network(input_ids=torch.tensor([ids]), position_ids=torch.arange(len(ids))[None]).logits
            ids.append(int(logits[0, -1].argmax()))
            if ids[-1] == model.tokenizer.eos_token_id:
                ids.pop()
                break
        wanted = model.tokenizer.decode(ids[len(prompt) + 5 :], skip_special_tokens=True).strip()
        assert got.text == wanted
    of_base = generate(base.network, base.tokenizer, prompts, Decoding(10, ""))
    assert [g.text for g in together] != [g.text for g in of_base]


def test_candidates_are_as_likely_as_each_by_itself(tuned):
    _, model, _ = tuned
    prompts = [model.prompt_ids(p) for p, _ in PAIRS[:6]]
    candidates = [[model.encode_target(t) for t in ("it is 3", "it is 5", "no")] for _ in prompts]
    for prompt, some, told in zip(prompts, candidates, likelihoods(model.network, prompts, candidates)):
        alone = nats_of(model.network, [Encoded(prompt, c) for c in some], 0, "cpu")
        assert told == pytest.approx([-n for n, _, _ in alone], rel=1e-3)


def test_they_take_their_part_of_the_window(tuned):
    base, model, _ = tuned
    assert lead_of(base.network) == [] and len(lead_of(model.network)) == 5
    assert model.window == base.window - 5
    long = Prompt("", "word " * (base.window - 20))
    assert base.encode(long, 4).error == "" or base.encode(long, 4).tokens
    for before in (0, 5):
        fits = [n for n in range(base.window - 40, base.window) if _fits(base, n, before)]
        assert max(fits) + before <= base.window


def _fits(model, n, before) -> bool:
    try:
        (item,) = encode_pairs(model, ((Prompt("", "a " * n), "b"),), before)
    except LabError:
        return False
    assert len(item.context) + len(item.target) + before <= model.window
    return True


def test_no_tokens_are_refused():
    for kind in KINDS.values():
        with pytest.raises(LabError, match="tokens 0: a whole number from 1"):
            kind(tokens=0)
