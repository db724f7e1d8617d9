"""Training against what others got wrong: masks, reloads, B = 0, NaN."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from peft import get_peft_model

from lab.files import CHECKPOINT
from lab.models.likelihood import Encoded, completion_logits
from lab.schema import Document, Example, LabError, Prompt
from lab.weights import qlora, training
from lab.weights.adapter import strip
from lab.weights.base import TrainingData
from lab.weights.full import Full
from lab.weights.lora import Lora
from lab.weights.training import (
    Paused,
    Schedule,
    batches,
    encode_documents,
    encode_pairs,
    out_of_patience,
    train,
    validate,
)

PAIRS = tuple((Prompt("Answer.", f"What is number {i}?"), f"it is {i % 7}") for i in range(24))


def quiet(done, total, words):
    pass


def logits(model, text="Input: a b c\nOutput:"):
    network, ids = model.network, torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        return network(input_ids=ids).logits


def test_the_loss_covers_exactly_the_target_tokens(tiny):
    """Soup trained on zero tokens with a normal-looking loss curve:
    the number of labels must be that of the targets."""
    items = encode_pairs(tiny, PAIRS)
    expected = sum(len(tiny.encode_target(t)) for _, t in PAIRS)
    assert sum(len(e.target) for e in items) == expected
    _, labels = completion_logits(tiny.network, items[:5], 0, "cpu")
    assert int((labels != -100).sum()) == sum(len(e.target) for e in items[:5])
    for row, item in zip(labels, items[:5]):
        assert row[row != -100].tolist() == item.target


def test_kept_logits_equal_those_of_a_plain_forward(tiny):
    items = encode_pairs(tiny, PAIRS)[:3] + encode_pairs(
        tiny, ((Prompt("Answer.", "a much longer question than the others are, to force padding"), "yes"),)
    )
    ours, labels = completion_logits(tiny.network, items, 0, "cpu")
    for row, item in enumerate(items):
        plain = tiny.network(input_ids=torch.tensor([item.context + item.target])).logits[0, len(item.context) - 1 : -1]
        assert torch.allclose(ours[row][labels[row] != -100], plain, atol=1e-4)


def test_validation_accuracy_is_greedy_exact_match(nano):
    from lab.schema import Decoding

    prompts = [Prompt("Repeat the text.", t) for t in ("cat dog", "red lamp", "oak", "Zzyzx quorp", "a b c d e f g")]
    targets = [p.input for p in prompts]
    items = encode_pairs(nano, tuple(zip(prompts, targets)))
    accuracy, nll = validate(nano.network, items, 0, "cpu")
    completions = nano.complete([(str(i), p) for i, p in enumerate(prompts)], Decoding(24, ""))
    assert nll > 0
    greedy = sum(c.text == t and c.finished for c, t in zip(completions, targets)) / len(targets)
    # Pretraining ends answers with a blank line and training targets with the end token, so exact match needs the base
    # to end alike.
    assert accuracy <= greedy + 1e-9


@pytest.mark.parametrize(
    "weights",
    [
        Lora(rank=8, learning_rate=1e-2, epochs=4, minimum_steps=30, batch_size=8),
        Full(learning_rate=1e-3, epochs=4, minimum_steps=30, batch_size=8),
    ],
    ids=["lora", "full"],
)
def test_learns_reloads_and_leaves_the_base_alone(nano, tmp_path, weights):
    before = logits(nano).clone()
    log = weights.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    assert torch.equal(logits(nano), before)
    adapted = weights.apply(nano, tmp_path)
    assert not torch.allclose(logits(adapted), before, atol=1e-3)
    items = encode_pairs(nano, PAIRS[:8])
    accuracy, nll = validate(adapted.network, items, 0, "cpu")
    _, untrained = validate(nano.network, items, 0, "cpu")
    assert nll < 0.5 * untrained
    assert (accuracy, nll) == (pytest.approx(log.validation_accuracy), pytest.approx(log.validation_nll, rel=2e-2))
    assert log.validation_looks == 10 and log.steps == 30 and len(log.curve) == 10


def test_every_field_changes_something(tiny, tmp_path):
    """Options that nothing reads don't exist here."""
    base = Lora(rank=2, learning_rate=5e-3, epochs=1, minimum_steps=12, batch_size=4)
    seen = {}
    for number, change in enumerate(
        ({}, {"rank": 3}, {"learning_rate": 1e-2}, {"epochs": 4}, {"minimum_steps": 18}, {"batch_size": 8})
    ):
        folder = tmp_path / str(number)
        weights = replace(base, **change)
        weights.adapt(tiny, TrainingData(PAIRS, PAIRS[:8]), folder, 0, quiet)
        seen[str(change)] = logits(weights.apply(tiny, folder)).sum().item()
    assert len(set(seen.values())) == len(seen), seen


def test_study_goes_before_the_pairs(nano, tmp_path):
    weights = Lora(rank=4, minimum_steps=30, study=True)
    stage = weights.stage()
    assert stage.reads and stage.stage() is None
    documents = tuple(Document(f"d{i}", f"The code of box {i} is {i * 37 % 100}.") for i in range(8))
    log = replace(stage, study_epochs=20, learning_rate=5e-3).adapt(
        nano, TrainingData(documents=documents), tmp_path / "s", 0, quiet
    )
    assert log.target_tokens == sum(len(e.target) for e in encode_documents(nano, [d.text for d in documents]))
    _, unread = validate(nano.network, encode_documents(nano, [d.text for d in documents]), 0, "cpu")
    assert log.curve[-1]["loss"] < 0.5 * unread
    weights.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path / "p", 0, quiet, tmp_path / "s")
    fresh = Lora(rank=4, minimum_steps=30)
    fresh.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path / "f", 0, quiet)
    assert not torch.allclose(
        logits(weights.apply(nano, tmp_path / "p")), logits(fresh.apply(nano, tmp_path / "f")), atol=1e-3
    )


def test_a_loss_that_is_no_number_ends_with_its_step(tiny, tmp_path):
    with pytest.raises(LabError, match=r"the loss at step \d+ is nan"):
        Full(learning_rate=1e30, minimum_steps=20).adapt(tiny, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    assert not list(tmp_path.glob("*.safetensors"))


def test_nothing_to_train_on_is_refused(tiny):
    with pytest.raises(LabError, match="no target tokens"):
        train(tiny, tiny.network, [Encoded([1, 2], [])], [], Schedule(1e-3, 1, 1), 0, quiet, "x")
    long = ((Prompt("x", "word " * 400), "y"),)
    with pytest.raises(LabError, match="window"):
        encode_pairs(tiny, long)


def test_pairs_are_cut_like_prompts(tiny):
    examples = tuple(Example(str(i), "word " * 20, "y") for i in range(20))
    item = encode_pairs(tiny, ((Prompt("x", "q", examples), "target"),))[0]
    assert len(item.context) + len(item.target) <= tiny.window


def test_batches_hold_every_item_once(tiny):
    import random

    items = [Encoded([1] * (i % 9 + 1), [i]) for i in range(53)]
    drawn = batches(items, 8, random.Random(0))
    assert sorted(e.target[0] for b in drawn for e in b) == list(range(53))
    assert all(len(b) <= 8 for b in drawn)


def test_patience_by_hand():
    curve = [{"step": n, "loss": 1.0, "validation_nll": v} for n, v in enumerate([3.0, 2.0, 2.5, 2.0])]
    assert out_of_patience(curve, 2) and not out_of_patience(curve, 3) and not out_of_patience(curve, 0)
    assert not out_of_patience(curve[:3], 2) and out_of_patience(curve[:3], 1)
    assert not out_of_patience([{"step": 20, "loss": 1.0}] * 9, 1), "what has no look at validation never stops"


def test_training_ends_early_and_says_so_and_keeps_the_best(tiny, tmp_path):
    """A rate at which validation soon gets worse: the run ends three looks after its best, not at its last step."""
    pairs = tuple((Prompt("", f"q{i}"), f"a{i * 7 % 31} b{i}") for i in range(24))
    data = TrainingData(pairs[:8], pairs[16:])
    told = []
    patient = Lora(learning_rate=0.05, epochs=1, minimum_steps=100, batch_size=8, patience=3)
    log = patient.adapt(tiny, data, tmp_path / "a", 0, lambda done, total, what: told.append((done, total)))
    seen = [p["validation_nll"] for p in log.curve]
    assert log.steps < 100 and log.steps == log.curve[-1]["step"] and log.validation_looks == len(seen) < 10
    assert min(seen[-3:]) >= min(seen[:-3]) and told[-1] == (100, 100)
    whole = replace(patient, patience=0).adapt(tiny, data, tmp_path / "b", 0, lambda *a: None)
    assert whole.steps == 100 and whole.validation_looks == 10
    assert [p["validation_nll"] for p in whole.curve][: len(seen)] == seen, "the same training until then"


@pytest.mark.parametrize("change", ["cut", "no json", "another step"])
def test_a_damaged_checkpoint_is_told_and_begun_anew(tiny, tmp_path, capsys, change):
    data, weights = TrainingData(PAIRS, PAIRS[:8]), Lora(rank=2, epochs=1, minimum_steps=20, batch_size=8)
    whole = weights.adapt(tiny, data, tmp_path / "whole", 0, quiet)
    with pytest.raises(Paused):
        weights.adapt(tiny, data, tmp_path / "halves", 0, quiet, pause_after=4)
    folder = tmp_path / "halves" / CHECKPOINT
    if change == "cut":
        (path,) = folder.glob("weights-*.safetensors")
        path.write_bytes(path.read_bytes()[:100])
    else:
        (folder / "progress.json").write_text("{" if change == "no json" else '{"step": 3}')
    again = weights.adapt(tiny, data, tmp_path / "halves", 0, quiet)
    (told,) = capsys.readouterr().err.splitlines()
    assert "can't be gone on from" in told and str(folder) in told
    assert [p["loss"] for p in again.curve] == [p["loss"] for p in whole.curve]


def test_a_checkpoint_that_cannot_be_written_is_told_and_costs_nothing(tiny, tmp_path, capsys, monkeypatch):
    data, weights = TrainingData(PAIRS, PAIRS[:8]), Lora(rank=2, epochs=1, minimum_steps=6, batch_size=8)
    whole = weights.adapt(tiny, data, tmp_path / "whole", 0, quiet)

    def full(*all):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "save_checkpoint", full)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    log = weights.adapt(tiny, data, tmp_path / "other", 0, quiet)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5 and "No space left on device" in told[0] and "a stop would cost this training" in told[0]
    assert log.curve == whole.curve
    with pytest.raises(LabError, match="can't be written"):
        weights.adapt(tiny, data, tmp_path / "third", 0, quiet, pause_after=2)


def test_four_bits_and_rounded_matrices_answer_alike(nano):
    """What a GPU trains on (bitsandbytes' layers, peft's beside them) and what is used: the same function."""
    import copy

    network = copy.deepcopy(nano.network)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    ids = torch.tensor([nano.tokenizer("Input: Where is Oakley?\nOutput:")["input_ids"]])
    with torch.inference_mode():
        whole = network(input_ids=ids).logits
        with qlora.rounded(network):
            wanted = network(input_ids=ids).logits
    with qlora.in_four_bits(network):
        peft = get_peft_model(network, qlora.QLora(rank=2).config())
        kinds = {type(m).__name__ for m in peft.modules()}
        found = peft.train()(input_ids=ids).logits
        found.square().mean().backward()
        trained = [p for p in peft.parameters() if p.requires_grad]
        assert "Linear4bit" in kinds and "Linear4bit" in {type(m).__name__ for m in peft.modules()}
        assert trained and all(p.grad is not None for p in trained)
        strip(network)
    assert torch.allclose(found.detach(), wanted, atol=2e-3)
    assert not torch.allclose(wanted, whole, atol=2e-2), "four bits are not nothing"
    after = dict(network.named_parameters())
    assert after.keys() == before.keys() and all(torch.equal(after[n], v) for n, v in before.items())
    assert not hasattr(network, "is_loaded_in_4bit")
