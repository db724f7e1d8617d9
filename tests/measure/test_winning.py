"""Why did it win, by hand: form, chat turns, passages, training."""

from __future__ import annotations

import pytest

from lab.measure.winning import gains, in_words
from lab.study import Cell, Choice, Study, Trial
from tests.test_decision import study_of

ITEMS = 100


def cell(study: Study, method: str, right: int, content: int, *, control: str = "", reads: bool = True) -> Cell:
    """So many right, then malformed ones; the content of the first so many is there."""
    made = Cell(
        method,
        0,
        control=control,
        outcomes="c" * right + "m" * 10 + "w" * (ITEMS - right - 10),
        parts={"content": [float(n < content) for n in range(ITEMS)]},
        needs_documents=reads,
        model="m",
    )
    study.cells.append(made)
    return made


@pytest.fixture
def study() -> Study:
    """Retrieval reads 60 and puts 10 right; training on passages puts 70 right; gold passages would give 5 more."""
    study = study_of({"nobody": ["w" * ITEMS]})
    study.cells.clear()
    cell(study, "zero_shot", 0, 0, reads=False)
    cell(study, "rag", 10, 60)
    cell(study, "rag", 15, 60, control="oracle")
    cell(study, "rag", 0, 0, control="random")
    tuned = cell(study, "rag_lora", 70, 72)
    tuned.adaptation, tuned.adapter = "a", True
    cell(study, "rag_lora", 75, 76, control="oracle").adaptation = "a"
    cell(study, "rag_lora", 2, 2, control="random").adaptation = "a"
    trials = [
        Trial(0, {"context": {"name": "passages"}, "weights": {"name": "frozen"}}, 0.3),
        Trial(1, {"context": {"name": "passages", "layout": "block"}, "weights": {"name": "frozen"}}, 0.1),
        Trial(2, {"context": {"name": "passages", "k": 1}, "weights": {"name": "frozen"}}, 0.35),
    ]
    study.choices = [Choice("k", "rag", None, None, trials, 2)]
    return study


def test_each_gain_is_a_difference_by_hand(study):
    found = {g.label: g for g in gains(study)}
    rag, tuned = found["rag"], found["rag_lora"]
    assert list(found) == ["rag_lora", "rag", "zero_shot"]
    assert (rag.form, rag.unreadable, rag.retrieval, rag.passages) == pytest.approx((0.5, 0.1, 0.05, 0.1))
    assert rag.turns == pytest.approx(0.35 - 0.1) and rag.training is None
    assert (tuned.training, tuned.by_content) == pytest.approx((0.6, 0.12)) and tuned.untrained == "rag"
    assert tuned.training_low < 0.6 < tuned.training_high
    assert (tuned.retrieval, tuned.passages, tuned.turns) == (pytest.approx(0.05), pytest.approx(0.68), None)


def test_it_is_told_in_sentences(study):
    training, knowledge, form = in_words(gains(study), "rag_lora")
    assert training == (
        "Training: rag_lora is right on 60.0 points more than rag, the best arm on the untrained model that reads the "
        "same: 12.0 points by content, 48.0 points by form."
    )
    assert knowledge.startswith("Knowledge: retrieved passages give 68.0 points more than random ones; gold ones would")
    assert form.endswith("constrained decoding could give at most 10.0 points.")
    assert in_words(gains(study), "rag")[-1] == "On validation chat turns gave 25.0 points more than one block."
    assert in_words(gains(study), "nobody at all") == []


def test_content_that_cannot_be_told_from_right_is_not_split(study):
    """A scorer that reads fields finds no content without form: no part of a gain is said to be form."""
    for made in study.cells:
        made.parts = {"content": made.correct}
    tuned = next(g for g in gains(study) if g.label == "rag_lora")
    assert tuned.by_content is None and "by form" not in in_words(gains(study), "rag_lora")[0]


def test_a_baseline_has_nothing_to_gain(study):
    study.cells.append(Cell("linear", 0, control="baseline", outcomes="c" * ITEMS))
    assert "linear" not in {g.label for g in gains(study)}
