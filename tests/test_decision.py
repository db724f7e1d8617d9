"""Decisions on studies whose truth is made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.decision import Settings, decide
from lab.schema import LabError
from lab.study import Cell, Choice, Study, Trial


def study_of(
    arms: dict[str, list[str]], usage: dict[str, dict] | None = None, probes: dict | None = None, size: int | None = 100
) -> Study:
    """A study from outcome strings: one string a seed; one string alone is an arm without labels."""
    items = len(next(iter(arms.values()))[0])
    cells = []
    for name, rows in arms.items():
        labelled = len(rows) > 1
        for seed, outcomes in enumerate(rows):
            cells.append(
                Cell(
                    name,
                    seed,
                    size if labelled else None,
                    16 if "lora" in name else None,
                    outcomes=outcomes,
                    validation=0.5,
                    machine="m",
                    usage={"seconds": 0.01, "prompt_tokens": 100, "completion_tokens": 5} | (usage or {}).get(name, {}),
                )
            )
    return Study(
        {"name": "t"},
        {"name": "m"},
        {},
        [f"i{i}" for i in range(items)],
        [f"i{i}" for i in range(items)],
        cells,
        probes=probes or {},
        made={"finished": "now"},
    )


def outcomes(rate: float, items: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    return "".join("c" if r < rate else "w" for r in rng.random(items))


def test_a_clear_winner_is_taken():
    d = decide(study_of({"rag": [outcomes(0.3, 400, 0)], "lora": [outcomes(0.9, 400, s) for s in (1, 2, 3)]}))
    assert d.chosen == "lora r16" and not d.provisional
    assert d.tone == "good" and [s.why for s in d.standings] == ["taken", "cheaper, clearly worse"]
    assert d.pairs[0].p_holm < 0.001


def test_the_cheaper_of_equals_is_taken():
    same = outcomes(0.8, 800, 0)
    d = decide(study_of({"dear": [same], "cheap": [same]}, {"dear": {"seconds": 1.0}, "cheap": {"seconds": 0.1}}))
    assert d.chosen == "cheap"
    turned = decide(study_of({"dear": [same], "cheap": [same]}, {"dear": {"seconds": 0.1}, "cheap": {"seconds": 1.0}}))
    assert turned.chosen == "dear"


def test_too_few_items_stay_undecided_and_say_how_many_would_do():
    """Two prompts on 60 items: only items can help; a half width shrinks with the root of their number."""
    d = decide(study_of({"a": [outcomes(0.62, 60, 0)], "b": [outcomes(0.6, 60, 1)]}))
    assert d.chosen == "" and d.items_needed in (120, 180, 300, 600)
    assert f"{d.items_needed:,} test items instead of 60 would settle it with a chance of about" in d.sentence
    assert d.pairs[0].foreseen[-1][0] == pytest.approx(d.pairs[0].half_widths[0] * 0.1**0.5, rel=0.03)


def test_where_seeds_are_missing_seeds_are_advised():
    """Trainings that differ by 20 points from draw to draw: ten times the items would not help."""
    rows = {n: [outcomes(r, 2000, 10 * k + s) for s, r in enumerate((0.5, 0.7, 0.6))] for k, n in enumerate("ab")}
    d = decide(study_of(rows))
    assert d.chosen == "" and d.items_needed is None
    assert "draws of the training sample instead of 3" in d.sentence


def test_one_seed_names_the_leader_and_takes_nothing():
    assert decide(study_of({"rag": [outcomes(0.3, 100, 0)], "x": [outcomes(0.9, 100, 1)]})).chosen == "x"
    s = study_of({"rag": [outcomes(0.3, 100, 0)], "lora": [outcomes(0.9, 100, 1), outcomes(0.9, 100, 2)]})
    s.cells = [c for c in s.cells if c.seed == 0]
    d = decide(s)
    assert (d.chosen, d.leader, d.provisional) == ("", "lora r16", True)
    assert d.sentence.startswith("lora r16 leads, with one seed, which is no verdict")
    assert d.pairs[0].words == "lora r16 leads rag, with one seed" and d.pairs[0].p_holm == 1.0
    assert "--seeds 3" in d.would_change[0]
    rag = outcomes(0.5, 40, 0)
    close = study_of({"rag": [rag], "lora": [rag[::-1], rag]})
    close.cells = [c for c in close.cells if c.seed == 0]
    assert "is not shown" in decide(close).sentence and decide(close).leader


def test_an_arm_beyond_the_limits_does_not_hide_that_the_others_are_useless():
    """Before: "Take zero_shot: right on 1.3 %", because an arm over the latency limit was right on 92 %."""
    arms = {"zero_shot": [outcomes(0.013, 400, 0)], "lora": [outcomes(0.92, 400, s) for s in (1, 2, 3)]}
    study = study_of(arms, {"lora": {"latency_seconds": 3.0}})
    d = decide(study, Settings(latency_limit_seconds=1.0))
    assert d.chosen == "" and d.sentence.startswith("None of the arms within the limits does this task")
    assert any("the limit is 1 s" in r for r in d.reasons)
    poor = study_of(arms | {"zero_shot": [outcomes(0.3, 400, 0)]}, {"lora": {"latency_seconds": 3.0}})
    assert "none does the task well" in decide(poor, Settings(latency_limit_seconds=1.0)).sentence


def test_costs_within_their_error_are_equal_and_then_accuracy_decides():
    """4 % apart in seconds that differ by 10 % from seed to seed: the more accurate is taken."""
    rows = {"few_shot": [outcomes(0.80, 2000, 7)] * 3, "few_shot_rag": [outcomes(0.83, 2000, 7)] * 3}
    study = study_of(rows)
    for cell in study.cells:
        cell.usage["seconds"] = {"few_shot": 0.100, "few_shot_rag": 0.104}[cell.method] * (1 + 0.1 * cell.seed)
    d = decide(study, Settings(monthly_requests=10_000))
    assert d.chosen == "few_shot_rag" and "few_shot costs the same within the error" in d.sentence
    for cell in study.cells:
        cell.usage["seconds"] = {"few_shot": 0.1, "few_shot_rag": 0.2}[cell.method] * (1 + 0.1 * cell.seed)
    d = decide(study, Settings(monthly_requests=10_000))
    assert d.chosen == "few_shot"
    lost = round(10_000 * (d.arms[0].accuracy - d.arms[1].accuracy))
    assert f"few_shot_rag would answer {lost:,} more of 10,000 requests a month right" in d.sentence


def test_where_no_arm_does_the_task_none_is_taken():
    d = decide(study_of({"zero_shot": ["w" * 400], "lora": [outcomes(0.02, 400, s) for s in (1, 2, 3)]}))
    assert d.chosen == "" and d.sentence.startswith("None of the arms does this task: the best, lora r16, is right on")


def test_an_arm_that_is_never_right_is_not_taken_however_wide_the_margin():
    """With 20 items nothing right still reaches up to 16 %, and a margin of 30 points accepts it: it is of no use."""
    never, seldom = ["w" * 20], ["c" * 3 + "w" * 17]
    wide = Settings(margin=0.3)
    cheap = {"zero_shot": {"seconds": 0.001}}
    both = decide(study_of({"zero_shot": never, "rag": seldom}, cheap), wide)
    assert both.chosen == "rag", both.sentence
    alike = decide(study_of({"zero_shot": never, "rag": never}, cheap), wide)
    assert not alike.chosen and alike.sentence.startswith("None of the arms does this task")


def test_an_unfinished_run_gives_no_verdict():
    s = study_of({"rag": [outcomes(0.3, 400, 0)], "lora": [outcomes(0.9, 400, s) for s in (1, 2)]})
    s.made, s.plan = {}, {"methods": ["rag", "lora", "few_shot"], "cells": 7}
    d = decide(s)
    assert (
        d.chosen == "" and d.provisional and "7 cells were planned, 3 are measured; few_shot not at all" in d.sentence
    )


def test_arms_without_a_common_seed_are_not_paired():
    s = study_of({"lora": [outcomes(0.9, 400, s) for s in (1, 2)], "rag_lora": [outcomes(0.9, 400, s) for s in (1, 2)]})
    s.cells = [c for c in s.cells if (c.method, c.seed) in (("lora", 0), ("rag_lora", 1))]
    with pytest.raises(LabError, match="no seed in common"):
        decide(s)


def test_a_rank_with_fewer_seeds_is_not_preferred():
    from lab.measure.arms import best_rank

    s = study_of({"lora": [outcomes(0.5, 100, s) for s in (1, 2, 3)]})
    s.cells.append(Cell("lora", 1, 100, 4, outcomes=outcomes(0.9, 100, 9), validation=0.99))
    assert best_rank(s, "lora", 100) == 16


def test_seconds_of_two_machines_are_never_added():
    s = study_of(
        {"rag": [outcomes(0.3, 400, 0)], "lora": [outcomes(0.9, 400, k) for k in (1, 2, 3)]},
        {"lora": {"training_seconds": 40.0, "stage_seconds": 6.0}},
    )
    for cell in s.cells:
        cell.adaptation, cell.stage = ("own", "stage") if cell.method == "lora" else ("", "")

    def trial(number, machine, adaptation, stage="stage"):
        return Trial(
            number, {}, 0.5, adaptation=adaptation, seconds=50.0, stage=stage, stage_seconds=6.0, machine=machine
        )

    trials = [trial(0, "m", "own"), trial(1, "m", "x"), trial(2, "m", "y", "stage2")]
    s.choices = [Choice("k", "lora", 100, 16, trials, 0)]
    here = next(a for a in decide(s).arms if a.name == "lora")
    # Three trials and two study stages of 6 seconds; the tested training was one of the trials.
    assert here.fixed_seconds == 150 + 12 and here.elsewhere_seconds == 0
    s.choices = [Choice("k", "lora", 100, 16, [trial(0, "other", "o"), trial(1, "other", "x")], 0)]
    d = decide(s)
    there = next(a for a in d.arms if a.name == "lora")
    assert there.fixed_seconds == 40 + 6 and there.elsewhere_seconds == 112
    assert any("Searched on another machine" in r and "lora r16 112 s" in r for r in d.reasons)


def test_limits_exclude():
    s = study_of({"slow": [outcomes(0.9, 300, 0)], "fast": [outcomes(0.5, 300, 1)]}, {"slow": {"seconds": 3.0}})
    d = decide(s, Settings(latency_limit_seconds=1.0))
    assert d.chosen == "fast" and "the limit is 1 s" in next(a.excluded for a in d.arms if a.name == "slow")
    assert decide(s, Settings(latency_limit_seconds=0.001)).sentence == "No arm lies within the limits."


def test_an_arm_that_the_base_cannot_serve_is_not_called_lost():
    probes = {"reading_5": {"accuracy": 0.02, "low": 0.0, "high": 0.05, "items": 200}}
    arms = {"rag": [outcomes(0.1, 300, 0)], "lora": [outcomes(0.8, 300, s) for s in (1, 2)]}
    asked = study_of(arms, probes=probes)
    asked.cells[0].asks = ["reading_5"]
    excluded = {a.name: a.excluded for a in decide(asked).arms}
    assert "not evaluable on this base" in excluded["rag"] and excluded["lora"] == ""
    good = {"reading_5": {"accuracy": 0.9, "low": 0.85, "high": 0.95, "items": 200}}
    assert all(not a.excluded for a in decide(replace(asked, probes=good)).arms)
    # What the arm is called is nothing to it: what it asks stands in its cell.
    for cell in asked.cells:
        cell.method = "passages+frozen" if cell.method == "rag" else cell.method
    renamed = {a.name: a.excluded for a in decide(asked).arms}
    assert renamed["passages+frozen"] == excluded["rag"]


def test_a_linear_baseline_that_is_as_good_is_preferred():
    rows = [outcomes(0.8, 500, s) for s in (0, 1, 2)]
    s = study_of({"lora": rows, "linear": rows}, {"linear": {"seconds": 1e-5}})
    for c in s.cells:
        if c.method == "linear":
            c.control = "baseline"
    assert decide(s).chosen == "linear"


def test_volume_turns_the_decision():
    rows = [outcomes(0.8, 800, 0)] * 3
    s = study_of(
        {"lora": rows, "few_shot": rows},
        {"lora": {"seconds": 0.01, "training_seconds": 3600.0}, "few_shot": {"seconds": 0.1}},
    )
    assert decide(s, Settings(monthly_requests=100, months=1)).chosen == "few_shot"
    assert decide(s, Settings(monthly_requests=1_000_000, months=1)).chosen == "lora r16"
    change = decide(s, Settings(monthly_requests=100, months=1)).would_change[0]
    assert change == "Above 40,000 requests a month lora r16 becomes the cheaper one."


def test_bad_settings_are_refused():
    with pytest.raises(LabError, match="margin"):
        Settings(margin=-0.1)
    with pytest.raises(LabError, match="monthly-requests"):
        Settings(monthly_requests=-1)


@pytest.mark.slow
def test_the_same_arm_twice_seldom_wins():
    """A/A: two arms of the same truth; the pair is called different in at most 5 % of repeats (plus noise)."""
    rng = np.random.default_rng(3)
    different = 0
    for _ in range(600):
        rows = {n: ["".join("c" if r < 0.6 else "w" for r in rng.random(200)) for _ in range(3)] for n in ("a", "b")}
        different += decide(study_of(rows)).pairs[0].p_holm < 0.05
    assert different / 600 <= 0.05 + 2 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.slow
def test_a_worse_arm_is_seldom_chosen():
    """Three cheap arms worse by exactly the margin against one good one:
    choosing any of them happens in at most 5 %."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(400):
        arms = {
            n: ["".join("c" if r < rate else "w" for r in rng.random(400))]
            for n, rate in (("a", 0.65), ("b", 0.65), ("c", 0.65), ("good", 0.70))
        }
        d = decide(study_of(arms, {"good": {"seconds": 1.0}}))
        wrong += d.chosen not in ("", "good")
    assert wrong / 400 <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5


def with_content(arms, content):
    """A study whose completions hold the right content on so many items, whatever is counted as right."""
    study = study_of(arms)
    for cell in study.cells:
        count = len(cell.outcomes)
        cell.parts = {"content": [float(n < count * content[cell.method]) for n in range(count)]}
    return study


def test_content_without_form_is_never_called_of_no_use():
    """As measured: RAG's sentences hold the answer in 61 % of cases and equal it in none."""
    arms = {"zero_shot": ["w" * 400], "rag": ["w" * 400]}
    d = decide(with_content(arms, {"zero_shot": 0.0, "rag": 0.61}))
    assert d.chosen == "" and "the content is there: rag is right on 0.0 % of the test items, and 61.0 %" in d.sentence
    assert "constrain decoding" in d.would_change[0] and "None of the arms" not in d.sentence
    assert decide(with_content(arms, {"zero_shot": 0.0, "rag": 0.05})).sentence.startswith("None of the arms does")


def test_too_few_items_to_decide_do_not_hide_that_the_content_is_there():
    """A few items rule no arm out; that the answer stands in the sentences of one is said all the same."""
    arms = {"zero_shot": ["w" * 20], "rag": ["w" * 20]}
    d = decide(with_content(arms, {"zero_shot": 0.05, "rag": 0.7}))
    (said,) = [r for r in d.reasons if "right content" in r]
    assert d.sentence.startswith("Undecided") and "constrain decoding" in said
    assert said.startswith("70.0 % of the completions of rag hold the right content, and 0.0 % are counted as right")
    assert not any("right content" in r for r in decide(with_content(arms, dict.fromkeys(arms, 0.05))).reasons)


def test_a_verdict_that_rests_on_form_alone_says_so():
    arms = {"rag": ["w" * 400], "lora": [outcomes(0.62, 400, s) for s in (1, 2, 3)]}
    d = decide(with_content(arms, {"rag": 0.61, "lora": 0.62}))
    assert d.chosen == "lora r16" and any(r.startswith("It wins by form, not by knowledge: 61.0 %") for r in d.reasons)
    knows = decide(with_content(arms, {"rag": 0.2, "lora": 0.62}))
    assert knows.chosen == "lora r16" and not any("by form" in r for r in knows.reasons)


def test_what_an_arm_knows_and_does_not_put_right_stands_in_its_row():
    """Content 20 and 58 %: neither comes near the winner's, both are told; that of an arm without it is not."""
    arms = {
        "rag": ["w" * 400],
        "rag_lora": [outcomes(0.75, 400, s) for s in (1, 2, 3)],
        "few_shot_rag": [outcomes(0.12, 400, s) for s in (1, 2, 3)],
        "few_shot": ["w" * 400],
    }
    d = decide(with_content(arms, {"rag": 0.58, "rag_lora": 0.76, "few_shot_rag": 0.56, "few_shot": 0.01}))
    content = {s.label: s.content for s in d.standings}
    assert content == {"rag": 0.58, "few_shot_rag": 0.5625, "few_shot": None, "rag_lora r16": None}
    assert not any("by form" in r for r in d.reasons)


def test_a_base_that_reads_and_answers_in_sentences_is_evaluable():
    """Exactly right on none, the content there in 65 %: the arm lost by form, and may be called so."""
    sentences = {"accuracy": 0.0, "low": 0.0, "high": 0.06, "items": 60, "content": 0.65, "content_high": 0.76}
    arms = {"rag": ["w" * 300], "lora": [outcomes(0.8, 300, s) for s in (1, 2)]}
    study = study_of(arms, probes={"reading_5": sentences})
    study.cells[0].asks = ["reading_5"]
    assert all(not a.excluded for a in decide(study).arms)
    unable = study_of(arms, probes={"reading_5": sentences | {"content": 0.02, "content_high": 0.09}})
    unable.cells[0].asks = ["reading_5"]
    (said,) = [a.excluded for a in decide(unable).arms if a.excluded]
    assert said.endswith("(reading_5 2.0 %)")
    # Whatever a probe says, answers in the right form were asked for and given.
    unable.cells[0].parts = {"format": [float(n < 290) for n in range(300)]}
    assert not any(a.excluded for a in decide(unable).arms)


def test_a_third_of_a_record_is_not_the_content():
    study = study_of({"zero_shot": ["w" * 300], "few_shot": ["w" * 300]})
    for cell in study.cells:
        cell.parts = {"content": [1 / 3] * 300}
    assert decide(study).sentence.startswith("None of the arms does this task")
