"""The view of doubts against values by hand."""

from __future__ import annotations

from lab.decision import decide
from lab.live.doubts import left_out, race_chart, race_rows, seed_rows
from tests.test_decision import study_of


def test_the_race_as_it_went_and_where_arms_left():
    study = study_of({"rag": ["c" * 10], "lora": ["c" * 8 + "w" * 2] * 2})
    assert race_rows(study) == []
    looks = [
        {"items": 60, "seeds": 1, "arms": {"rag": [0.9, 0.8, 0.95], "lora r16": [0.2, 0.1, 0.4]}, "dropped": ["lora"]},
        {"items": 200, "seeds": 3, "arms": {"rag": [0.91, 0.88, 0.94]}, "dropped": []},
    ]
    study.plan["race"] = {"log": looks, "size": 100, "dropped": {}, "alpha": 0.0}
    rows = race_rows(study)
    assert [(r["look"], r["arm"], r["right"], r["left"]) for r in rows] == [
        ("1: 60 items, 1 draw", "rag", 90.0, ""),
        ("1: 60 items, 1 draw", "lora r16", 20.0, "left here"),
        ("2: 200 items, 3 draws", "rag", 91.0, ""),
    ]
    assert race_chart(rows).to_dict()["layer"]


def test_draws_that_disagree_are_shown():
    """Draw 0 puts lora first, draw 1 few_shot; the mean puts lora first."""
    study = study_of({"lora": ["c" * 10, "c" * 4 + "w" * 6], "few_shot": ["c" * 5 + "w" * 5] * 2, "rag": ["w" * 10]})
    rows = seed_rows(study, None, None, decide(study))
    assert [(r["draw"], r["first"], r["agrees"], r["lora r16"]) for r in rows] == [
        (0, "lora r16", "yes", 100.0),
        (1, "few_shot", "no", 40.0),
    ]


def test_a_slider_says_what_the_race_left_out():
    study = study_of({"rag": ["c" * 10], "lora": ["c" * 8 + "w" * 2]})
    assert left_out(None, ["lora"]) == left_out(study, ["lora"]) == []
    words = "dropped after 60 items and 1 draw: at least 40.0 points behind rag"
    study.plan["race"] = {"log": [], "size": 1600, "dropped": {"lora": {"words": words}}, "alpha": 0.05}
    assert left_out(study, ["lora", "full"]) == [
        f"lora left the race at 1,600 examples ({words}); other sizes and ranks of it were not measured."
    ]
