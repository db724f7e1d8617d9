"""A training that fails is a result: the rest of the study goes on, and the report says what happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

import lab.weights.trained
from lab.decision import Settings, decide
from lab.flow.methods import Candidate, Method
from lab.flow.race import Race
from lab.measure.arms import arms_at
from lab.report.write import write_report
from lab.schema import TrainingFailed
from tests.conftest import make_task
from tests.flow.test_runner import PLAIN, quick_plan, runner_for

METHODS = ("zero_shot", "rag", "lora")


def endless_rate(plan):
    """The same plan with a LoRA whose every rate makes the loss no number."""
    weights = plan.method("lora").candidates[0].weights
    lost = tuple(Candidate(PLAIN, replace(weights, learning_rate=r, minimum_steps=8)) for r in (1e30, 1e31))
    plan.methods = [Method("lora", lost) if m.name == "lora" else m for m in plan.methods]
    return plan


@pytest.fixture
def fails_in_draw_2(monkeypatch):
    """Trainings of the second draw fail; how often one was begun."""
    real, begun = lab.weights.trained.train, []

    def train(model, network, items, validation, schedule, seed, *rest):
        begun.append(seed)
        if seed == 2:
            raise TrainingFailed("lora rank 2: the loss at step 3 is nan; nothing was kept")
        return real(model, network, items, validation, schedule, seed, *rest)

    monkeypatch.setattr(lab.weights.trained, "train", train)
    return begun


def test_an_arm_without_a_training_that_ends_leaves_the_others_alone(tiny, tmp_path):
    task = make_task(60)
    runner, plan = runner_for(task, tiny, tmp_path), endless_rate(quick_plan(task, methods=METHODS))
    study = runner.run(plan)
    lost = study.cells_of("lora", 20)
    assert len(lost) == 2 and all(c.outcomes == "e" * len(task.test) and c.accuracy == 0 for c in lost)
    assert all(c.failed.startswith("every candidate failed; the first: lora rank 2, rate 1e+30") for c in lost)
    assert {c.method for c in study.cells if not c.failed} >= {"zero_shot", "rag"}
    told = decide(study)
    assert told.chosen != "lora" and told.leader != "lora"
    assert sum("The training of lora r2 with seed" in n and "failed (every candidate" in n for n in told.notes) == 2
    assert not any("No training collapsed" in n or "goes live is" in n for n in told.notes)
    page = write_report(study, Settings(), tmp_path / "report")["html"].read_text()
    assert "every candidate failed" in page


def test_its_candidates_are_tried_once_and_not_for_every_draw(tiny, tmp_path, monkeypatch):
    task, tried = make_task(60), []
    real = lab.weights.trained.train
    monkeypatch.setattr(lab.weights.trained, "train", lambda *all: tried.append(1) or real(*all))
    runner_for(task, tiny, tmp_path).run(endless_rate(quick_plan(task, seeds=3, methods=METHODS)))
    assert len(tried) == 2


def test_a_draw_that_fails_counts_as_wrong_and_costs_nothing(tiny, tmp_path, fails_in_draw_2):
    task = make_task(60)
    study = runner_for(task, tiny, tmp_path).run(quick_plan(task, seeds=3, methods=METHODS))
    cells = study.cells_of("lora", 20)
    assert [bool(c.failed) for c in cells] == [False, True, False]
    arm = next(a for a in arms_at(study) if a.name == "lora")
    assert arm.accuracy == pytest.approx((cells[0].accuracy + cells[2].accuracy) / 3)
    kept = [c.usage["prompt_tokens"] for c in (cells[0], cells[2])]
    assert arm.usage("prompt_tokens") == pytest.approx(sum(kept) / 2) and kept[0] > 0
    assert any("lora r2 with seed 2 failed" in n for n in decide(study).notes)


def test_a_race_goes_on_and_asks_a_failed_draw_no_more(tiny, tmp_path, fails_in_draw_2):
    task = make_task(400)
    runner, plan = runner_for(task, tiny, tmp_path), quick_plan(task, seeds=2, methods=METHODS)
    study = runner.run(plan, course=Race(runner, plan, Settings()).run)
    assert all(len(c.outcomes) == len(study.items) for c in study.cells)
    assert fails_in_draw_2.count(2) <= 1
    gone = study.plan["race"]["dropped"]
    lost = [c for c in study.cells_of("lora", 20) if c.failed]
    assert lost or "lora" in gone
