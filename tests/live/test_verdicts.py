"""A verdict as a notebook shows it: what it costs and forgets stands beside it, texts do nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.decision import Settings, decide
from lab.live.verdicts import standing_table, verdict_box
from tests.test_decision import outcomes, study_of, with_content


def test_cost_and_forgetting_stand_in_the_box():
    """10,000 requests of 0.36 s at a dollar an hour: one dollar."""
    study = study_of({"rag": [outcomes(0.9, 400, 0)], "zero_shot": ["w" * 400]}, {"rag": {"seconds": 0.36}})
    text = verdict_box(decide(study)).text
    assert (
        "It costs 1.00 USD a month at 10,000 requests and 1.00 USD a machine hour.</p>" in text
        and 'class="lab-verdict good"' in text
    )


@pytest.mark.parametrize(
    ("lost", "low", "high", "says"),
    [
        (
            0.31,
            0.2,
            0.42,
            " It forgets 31.0 points of what the base could do (20.0 points to 42.0 points): look at that",
        ),
        (0.01, -0.02, 0.04, " That it forgets anything of what the base could do is not shown (-2.0 points to 4.0"),
        (-0.05, -0.08, -0.01, " It does what the base could do better by 5.0 points."),
        (None, None, None, "a machine hour.</p>"),
    ],
)
def test_forgetting_is_said_as_it_was_measured(lost, low, high, says):
    decision = decide(study_of({"lora": [outcomes(0.9, 400, s) for s in (0, 1, 2)], "zero_shot": ["w" * 400]}))
    arms = [replace(a, forgetting=lost, forgetting_low=low, forgetting_high=high) for a in decision.arms]
    assert says in verdict_box(replace(decision, arms=arms)).text


def test_who_pays_by_the_token_reads_of_no_machine():
    study = study_of({"rag": [outcomes(0.9, 400, 0)], "zero_shot": ["w" * 400]})
    by_token = Settings(hosting="api", usd_per_million_prompt_tokens=2.0)
    assert decide(study, by_token).price.endswith("a month at 10,000 requests and the API's prices.")
    assert decide(study_of({"zero_shot": ["w" * 40], "few_shot": ["w" * 40]})).price == ""


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
