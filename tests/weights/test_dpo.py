"""DPO: TRL's loss on the same batch, what a preference is, and what training on them does."""

from __future__ import annotations

import math

import pytest
import torch

from lab.models.likelihood import Encoded, nats_of, sums_of
from lab.schema import LabError, Prompt, TrainingFailed
from lab.weights.base import TrainingData
from lab.weights.dpo import Dpo, Preference, preference_loss
from lab.weights.lora import Lora

PAIRS = tuple((Prompt("Answer.", f"What is number {'one ' * (i % 3)}{i}?"), f"it is {i % 7}") for i in range(16))
REJECTED = tuple(f"nobody knows number {i}" for i in range(16))
DATA = TrainingData(PAIRS, PAIRS[:8], rejected=REJECTED)


def quiet(done, total, words):
    pass


def preferences(model) -> list[Preference]:
    return list(Dpo().items(model, model.network, DATA, 0))


def loss_of(beta, network, batch) -> float:
    with torch.no_grad():
        return preference_loss(beta, network, None, batch, [], None, 0, "cpu").item()


def test_before_training_the_loss_is_log_2_whatever_beta_is(tiny):
    for beta in (0.1, 3.0):
        assert loss_of(beta, tiny.network, preferences(tiny)) == pytest.approx(math.log(2), abs=1e-5)


def test_sums_are_those_of_each_text_by_itself(tiny):
    rows = [Encoded(p.context, t) for p in preferences(tiny)[:5] for t in (p.target, p.rejected)]
    with torch.no_grad():
        together = sums_of(tiny.network, rows, 0, "cpu").tolist()
    alone = [-nats_of(tiny.network, [row], 0, "cpu")[0][0] for row in rows]
    assert together == pytest.approx(alone, rel=1e-4)


def test_the_loss_is_trls_on_the_same_batch(tiny, tmp_path):
    pytest.importorskip("trl")
    from transformers import LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer

    from datasets import Dataset

    batch = preferences(tiny)[:6]
    torch.manual_seed(1)
    moved = tiny.copy_network()
    with torch.no_grad():
        for p in moved.parameters():
            p += 0.02 * torch.randn_like(p)
    reference = LlamaForCausalLM(tiny.config)
    reference.load_state_dict(tiny.network.state_dict())
    settings = {"output_dir": str(tmp_path), "beta": 0.7, "use_cpu": True, "report_to": [], "bf16": False}
    rows = Dataset.from_list([{"prompt": "a", "chosen": " b", "rejected": " c"}])
    trainer = DPOTrainer(
        model=moved,
        ref_model=reference,
        args=DPOConfig(**settings),
        train_dataset=rows,
        processing_class=tiny.tokenizer,
    )
    asked = [{"prompt_ids": p.context, "chosen_ids": p.target, "rejected_ids": p.rejected} for p in batch]
    moved.eval()
    with torch.no_grad():
        theirs = trainer.compute_loss(moved, trainer.data_collator(asked)).item()
    ours = loss_of(0.7, moved, batch)
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert abs(ours - math.log(2)) > 0.01


def test_rejected_answers_become_less_likely_beside_preferred_ones(tiny, tmp_path):
    before = preferences(tiny)
    weights = Dpo(learning_rate=3e-3, epochs=1, minimum_steps=20, batch_size=8)
    log = weights.adapt(tiny, DATA, tmp_path, 0, quiet)
    tuned = weights.apply(tiny, tmp_path)
    rows = [Encoded(p.context, t) for p in before for t in (p.target, p.rejected)]
    told = [-n for n, _, _ in nats_of(tuned.network, rows, 0, "cpu")]
    gained = [(told[2 * n] - p.before[0]) - (told[2 * n + 1] - p.before[1]) for n, p in enumerate(before)]
    assert all(g > 0 for g in gained)
    assert log.curve[-1]["loss"] < math.log(2)
    # Both texts of every preference went through: 20 steps of 8 in turn over 16.
    assert log.trained_tokens == pytest.approx(10 * sum(p.size for p in before), rel=0.2)
    assert sum(p.size for p in before) == sum(len(r.context) + len(r.target) for r in rows)


def test_items_without_a_rejected_answer_are_left_out_and_told(tiny, tmp_path):
    some = TrainingData(PAIRS, PAIRS[:8], rejected=("", PAIRS[1][1], *REJECTED[2:]))
    log = Dpo(epochs=1, minimum_steps=2).adapt(tiny, some, tmp_path, 0, quiet)
    assert (log.unrejected, log.left_out) == (2, 0)
    with pytest.raises(TrainingFailed, match="dpo: no rejected answers to learn from"):
        Dpo().adapt(tiny, TrainingData(PAIRS, PAIRS[:8]), tmp_path / "none", 0, quiet)


def test_it_goes_on_from_lora_by_the_same_recipe_and_from_a_reading_before_it():
    lora = Dpo(rank=4, tuned_rate=2e-3, epochs=3).stage()
    assert lora == Lora(rank=4, learning_rate=2e-3, epochs=3) and lora.stage() is None
    reading, tuned = Dpo(study=True).stages
    assert reading.reads and isinstance(tuned, Lora) and tuned.study and not tuned.reads


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"beta": 0}, {"replay": 0.1}, {"kl": 1.0}, {"distinct": 3}):
        with pytest.raises(LabError, match=next(iter(wrong))):
            Dpo(**wrong)
