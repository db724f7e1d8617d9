"""Scorers against hand-made completions; content and format told apart."""

from __future__ import annotations

import pytest

from lab.schema import Completion, LabError, Sample, Usage
from lab.tasks.scorers import BY_TASK, PLAIN, scorer_for
from tests.conftest import make_task


def score(scorer, target, text, finished=True, error="", accept=(), **settings):
    task = make_task(scorer=scorer, **settings)
    if scorer in ("json", "number", "record"):
        from dataclasses import replace

        only = (Sample("a", "x", target),)
        task = replace(task, train=only, validation=only, test=only)
    return scorer_for(task)(
        Sample("a", "x", target, accept=accept), Completion("a", text, Usage(1, 1), finished, error)
    )


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Oakley", "correct"),
        (" oakley. ", "correct"),
        ("Oakley Town", "wrong"),
        ("", "malformed"),
        ("I'm sorry, I can't", "refused"),
    ],
)
def test_exact(text, outcome):
    assert score("exact", "Oakley", text).outcome == outcome


def test_truncated_and_error_are_their_own_outcomes():
    assert score("exact", "Oakley", "Oakl", finished=False).outcome == "truncated"
    assert score("exact", "Oakley", "Oakley", finished=False).outcome == "correct"
    assert score("exact", "Oakley", "Oakley", error="too long").outcome == "error"


def test_label_outside_the_set_is_malformed():
    assert score("label", "Oakley", "Nowhere").outcome == "malformed"
    assert score("label", "Oakley", "Marsham").outcome == "wrong"


def test_any_and_number_and_f1():
    assert score("any", "NYC", "new york", accept=("New York",)).outcome == "correct"
    assert score("number", "1,200", "about 1200 crowns").outcome == "correct"
    assert score("number", "12", "none").outcome == "malformed"
    f1 = score("f1", "the red old house", "a red house")
    # two of two words given, two of three wanted: 2 * 2 / (2 + 3)
    assert f1.outcome == "wrong" and f1.parts["f1"] == pytest.approx(0.8)
    assert score("f1", "the house", "House!").outcome == "correct"


def test_json_tells_format_from_content():
    target = '{"intent": "Play", "n": 2}'
    right = score("json", target, '{"n": 2, "intent": "Play"}')
    assert (right.outcome, right.parts) == ("correct", {"format": 1.0, "content": 1.0})
    half = score("json", target, '{"intent": "Play", "n": 3}')
    assert (half.outcome, half.parts) == ("wrong", {"format": 1.0, "content": 0.5})
    loose = score("json", target, "intent Play, n 2")
    assert (loose.outcome, loose.parts) == ("malformed", {"format": 0.0, "content": 1.0})
    assert score("json", target, '{"intent": "Play", "n": NaN}').outcome == "malformed"
    assert score("json", target, "[" * 10_000).outcome == "malformed"


def test_record_tells_format_from_content():
    pattern = r"\[(?P<code>[A-Z]\d)\] (?P<item>.+)"
    assert score("record", "[A1] lamp", "[A1] lamp", record=pattern).parts == {"format": 1.0, "content": 1.0}
    wrong = score("record", "[A1] lamp", "[B2] lamp", record=pattern)
    assert (wrong.outcome, wrong.parts) == ("wrong", {"format": 1.0, "content": 0.5})
    bare = score("record", "[A1] lamp", "the lamp, A1", record=pattern)
    assert (bare.outcome, bare.parts) == ("malformed", {"format": 0.0, "content": 1.0})
    with pytest.raises(LabError, match="no regular expression"):
        score("record", "x", "x", record="(")


def test_unknown_scorers_and_code():
    with pytest.raises(LabError, match=f"one of {', '.join([*PLAIN, *BY_TASK])} or module:function"):
        scorer_for(make_task(scorer="exakt"))
    with pytest.raises(LabError, match="--allow-scorer-code"):
        scorer_for(make_task(scorer="os:getcwd"))
    assert scorer_for(make_task(scorer="lab.tasks.scorers:exact"), allow_code=True)
    with pytest.raises(LabError, match="is not json"):
        scorer_for(make_task(scorer="json"))


@pytest.mark.parametrize(
    ("scorer", "target", "text", "content"),
    [
        ("exact", "Saturday", "The Futworth Trust is closed on Saturday, as on Sunday.", 1.0),
        ("exact", "Saturday", "It is closed on saturdays.", 0.0),
        ("exact", "Saturday", "Sunday", 0.0),
        ("exact", "12.5 %", "about 12.5 % of it", 1.0),
        ("exact", "Saturday", "", 0.0),
        ("any", "NYC", "It is New York, I think.", 1.0),
        ("number", "1,200", "of 7 towns 1200 have one", 1.0),
        ("number", "12", "112 or 120", 0.0),
        ("f1", "the red old house", "It was the Red, old house on the hill", 1.0),
        ("f1", "red house", "red is the house", 0.0),
        ("label", "Oakley", "The person lives in Oakley.", 1.0),
        ("label", "Oakley", "Oakley, Marsham or Tilbury", 0.0),
    ],
)
def test_content_is_told_apart_from_form(scorer, target, text, content):
    accept = ("New York",) if scorer == "any" else ()
    found = score(scorer, target, text, accept=accept)
    assert found.parts["content"] == content
    assert found.outcome != "correct", "content without the form is not right"
    assert score(scorer, target, target, accept=accept).parts["content"] == 1.0


def test_a_pattern_that_takes_years_ends_in_one_line(monkeypatch):
    monkeypatch.setattr("lab.tasks.scorers.MATCH_SECONDS", 0.2)
    pattern, target = r"(?P<code>(\w|\w\w|[a-z]+)+)!", "ab!"
    assert score("record", target, "cd!", record=pattern).outcome == "wrong"
    with pytest.raises(LabError, match="the record pattern takes more than 0.2 s on a completion of a; simplify it"):
        score("record", target, "a" * 4000 + "!a", record=pattern)
    with pytest.raises(LabError, match="on the target of a"):
        score("record", "a" * 4000 + "!a", "x", record=pattern)
