"""Rows of the arms beside the one that is taken: numbers by hand, and words for every case."""

from __future__ import annotations

import pytest

from lab.decision import Settings, decide
from lab.measure.standing import WHY
from tests.report.rule import rare_studies
from tests.test_decision import outcomes, study_of, with_content


def why(study, settings: Settings | None = None) -> dict[str, str]:
    return {s.label: s.why for s in decide(study, settings or Settings()).standings}


@pytest.mark.parametrize("code", WHY)
def test_why_takes_at_most_six_words(code):
    for cheaper, dearer in (("cheaper", "dearer"), ("fewer tokens", "more tokens")):
        assert 1 <= len(WHY[code].format(cheaper=cheaper, dearer=dearer).split()) <= 6


def test_differences_and_dollars_are_those_of_the_pair():
    """60 and 48 of 80 items right, on the same ones: 15 points; 10,000 requests of 0.1 and 0.4 s at 3.60 USD an hour:
    one and four dollars."""
    study = study_of(
        {"dear": ["c" * 60 + "w" * 20], "cheap": ["c" * 48 + "w" * 32]},
        {"dear": {"seconds": 0.4}, "cheap": {"seconds": 0.1}},
    )
    dear, cheap = decide(study, Settings(price_per_hour_usd=3.6)).standings
    assert (dear.label, dear.difference, dear.usd, dear.why) == ("dear", None, None, "taken")
    assert cheap.difference == pytest.approx(-0.15) and cheap.usd == pytest.approx(1 - 4)
    pair = decide(study).pairs[0]
    assert (cheap.low, cheap.high) == (-pair.high, -pair.low) and cheap.why == "cheaper, clearly worse"


def test_an_arm_that_is_far_behind_is_never_said_to_be_perhaps_a_little_worse():
    """The sentence it was: "may be more than 5.0 points worse", of an arm 99 points behind."""
    near = "w" * 8 + "c" * 352 + "c" * 3 + "w" * 37
    arms = {"best": ["c" * 360 + "w" * 40], "near": [near], "far": ["w" * 396 + "c" * 4]}
    study = study_of(arms, {"best": {"seconds": 1.0}, "near": {"seconds": 0.5}, "far": {"seconds": 0.1}})
    said = why(study, Settings(margin=0.02))
    assert said == {"best": "taken", "near": "cheaper, may be worse", "far": "cheaper, clearly worse"}


def test_dearer_arms():
    same = outcomes(0.8, 800, 0)
    arms = {"cheap": [same], "same": [same], "better": ["c" * 8 + same[8:]], "worse": ["w" * 200 + same[200:]]}
    seconds = {name: {"seconds": 0.1 if name == "cheap" else 1.0} for name in arms}
    said = why(study_of(arms, seconds))
    assert said["same"] == "dearer, not shown better" and said["better"] == "dearer, better within the margin"
    assert said["worse"] == "dearer, clearly worse" and said["cheap"] == "taken"


def test_limits_are_named():
    arms = {"rag": [outcomes(0.6, 300, 0)], "lora": [outcomes(0.9, 300, s) for s in (1, 2)]}
    study = study_of(arms, {"lora": {"latency_seconds": 3.0}})
    assert why(study, Settings(latency_limit_seconds=1.0))["lora r16"] == "slower than the limit"
    for cell in study.cells:
        cell.adaptation = "a" if cell.method == "lora" else ""
    limited = why(study, Settings(forgetting_limit=0.05))
    assert limited["lora r16"] == "what it forgets isn't measured" and limited["rag"] == "taken"


@pytest.mark.parametrize(
    ("name", "label", "said"),
    [
        ("unfit", "zero_shot", "base model can't do it"),
        ("raced", "zero_shot", "left the race, clearly worse"),
        ("one seed", "lora r16", "behind, with one seed"),
        ("alike", "rag", "costs the same, right less often"),
        ("formless", "rag", "content right, form wrong"),
        ("form", "rag", "content right, form wrong"),
        ("useless", "rag", "right most often, too seldom"),
        ("useless", "lora r16", "right too seldom to be used"),
    ],
)
def test_rare_cases_are_named(name, label, said):
    assert why(rare_studies()[name][0], Settings(margin=0.123, monthly_requests=12345))[label] == said


def test_undecided_names_the_open_ones():
    arms = {"a": [outcomes(0.62, 60, 0)], "b": [outcomes(0.6, 60, 1)], "c": ["w" * 57 + "c" * 3]}
    d = decide(study_of(arms))
    assert not d.chosen and [s.why for s in d.standings] == [
        "ahead, but not by enough",
        "not told apart from the best",
        "clearly worse than the best",
    ]


def test_the_tone_is_good_only_where_the_task_is_done():
    assert decide(study_of({"a": [outcomes(0.2, 400, 0)], "b": ["w" * 400]})).tone == "weak"
    assert decide(study_of({"a": [outcomes(0.9, 400, 0)], "b": ["w" * 400]})).tone == "good"
    assert decide(study_of({"a": [outcomes(0.62, 60, 0)], "b": [outcomes(0.6, 60, 1)]})).tone == "open"


def test_the_margin_that_would_change_it_changes_it():
    """The sentence names a margin: a little above it the named arm is taken, a little below it is not."""
    arms = {"dear": [outcomes(0.8, 400, 7)], "cheap": [outcomes(0.7, 400, 7)]}
    study = study_of(arms, {"dear": {"seconds": 1.0}, "cheap": {"seconds": 0.1}})
    (said,) = decide(study).would_change
    assert said.startswith("A margin above ") and said.endswith(" would take cheap.")
    margin = float(said.split()[3]) / 100
    assert decide(study, Settings(margin=margin + 0.001)).chosen == "cheap"
    assert decide(study, Settings(margin=margin - 0.001)).chosen == "dear"
    narrow = decide(study, Settings(margin=margin + 0.001)).would_change[-1]
    assert narrow == f"A margin below {100 * margin:.1f} points would no longer take it."


def test_content_stands_in_the_row_where_the_form_fails():
    arms = {"rag": ["w" * 400], "lora": [outcomes(0.62, 400, s) for s in (1, 2, 3)]}
    rows = {s.label: s for s in decide(with_content(arms, {"rag": 0.3, "lora": 0.62})).standings}
    assert rows["rag"].content == 0.3 and rows["rag"].why == "cheaper, clearly worse"
    assert rows["lora r16"].content is None
