"""A verdict as a notebook shows it: what it costs and forgets stands beside it, texts do nothing."""

from __future__ import annotations

from dataclasses import replace

from lab.decision import Settings, decide
from lab.live.verdicts import standing_table, verdict_box
from tests.report.rule import rich_study
from tests.test_decision import outcomes, study_of, with_content


def test_cost_and_forgetting_stand_in_the_box():
    """10,000 requests of 0.36 s at a dollar an hour: one dollar."""
    study = study_of({"rag": [outcomes(0.9, 400, 0)], "zero_shot": ["w" * 400]}, {"rag": {"seconds": 0.36}})
    text = verdict_box(decide(study)).text
    assert "It costs 1.00 USD a month at 10,000 requests." in text and 'class="lab-verdict good"' in text
    forgetful = decide(rich_study(), Settings(margin=0.2))
    arm = next(a for a in forgetful.arms if a.label == forgetful.chosen)
    assert ("and forgets" in verdict_box(forgetful).text) == (arm.forgetting is not None)


def test_content_has_a_column_where_the_form_fails_only():
    arms = {"rag": ["w" * 400], "lora": [outcomes(0.62, 400, s) for s in (1, 2, 3)]}
    apart = with_content(arms, {"rag": 0.3, "lora": 0.62})
    assert "content right" in standing_table(decide(apart)).text
    assert "content right" not in standing_table(decide(study_of(arms))).text


def test_a_label_does_nothing_but_stand_there():
    study = study_of({"rag": [outcomes(0.9, 400, 0)], "zero_shot": ["w" * 400]})
    study.cells = [replace(c, method=f"<img src=x>{c.method}") for c in study.cells]
    decision = decide(study)
    assert "<img" not in verdict_box(decision).text + standing_table(decision).text
