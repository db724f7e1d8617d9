"""When texts are the same, by hand and by property: every script, every sign."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.schema import Completion, LabError, Sample, Usage
from lab.tasks.check import check_task, majority_rate
from lab.tasks.importing import split_by_group
from lab.tasks.numbers import number_of, numbers_in
from lab.tasks.scorers import scorer_for
from lab.tasks.texts import holds, likeness, normalise, words
from tests.conftest import make_task


def outcome(scorer, target, text, **more):
    task = make_task(4, scorer=scorer, **more)
    sample = Sample("a", "x", target)
    task = replace(task, train=(sample,), validation=(sample,), test=(sample,))
    return scorer_for(task)(sample, Completion("a", text, Usage(1, 1))).outcome


@pytest.mark.parametrize(
    ("scorer", "target", "text", "right"),
    [
        ("exact", ".", "", False),
        ("exact", '5"', "5'", False),
        ("exact", '"5"', "5", True),
        ("exact", "“Oakley.”", "oakley", True),
        ("exact", "東京", "東京。", True),
        ("exact", "café", unicodedata.normalize("NFD", "Café"), True),
        ("label", ".", "", False),
        ("label", "東京", "東京。", True),
        ("any", "C++", "C", False),
        ("f1", "A", "", False),
        ("f1", "A", "the", False),
        ("f1", "C++", "C", False),
        ("f1", "-5", "5", False),
        ("f1", "−5 degrees", "-5 degrees", True),
        ("f1", "!!!", "", False),
        ("f1", "3.5 km", "35 km", False),
        ("f1", "東京は日本の首都です。", "東京は日本の首都です", True),
        ("f1", "हिन्दी में लिखो", "हिन्दि में लिखो", False),
        ("number", ".5", "0.5", True),
        ("number", ".5", ".5", True),
        ("number", "-5", "-$5", True),
        ("number", "5", "-$5", False),
        ("number", "-5", "$-5.00", True),
        ("number", "-3", "−3", True),
        ("number", "$1,200", "1200 crowns", True),
        ("number", "12 %", "12%", True),
        ("number", "3", "about 3-5", True),
        ("number", "1200", "1,20", False),
        ("number", "2000", "2e3", True),
        ("json", '{"a": true}', '{"a": 1}', False),
        ("json", '{"a": 1}', '{"a": true}', False),
        ("json", '{"a": [false]}', '{"a": [0]}', False),
        ("json", '{"a": 1.0}', '{"a": 1}', True),
        ("json", '{"a": null}', "{}", False),
    ],
)
def test_what_is_right_by_hand(scorer, target, text, right):
    assert (outcome(scorer, target, text) == "correct") is right


def test_a_decimal_comma_is_said_and_not_guessed():
    assert outcome("number", "3,5", "3,50 Meter", decimal=",") == "correct"
    assert outcome("number", "1.200,5", "1200,5", decimal=",") == "correct"
    assert outcome("number", "1200", "1.200", decimal=",") == "correct"
    with pytest.raises(LabError, match="the target of a is not number: '3,5' .*decimal point"):
        outcome("number", "3,5", "3.5")
    with pytest.raises(LabError, match="decimal = ';'; it is '.' or ','"):
        outcome("number", "3", "3", decimal=";")
    assert numbers_in("3,5") == [None], "neither 35 nor 3.5"


@pytest.mark.parametrize("target", ["nan", "inf", "-Infinity", "12 km", "two", "1e999", "", "3 or 4"])
def test_targets_that_no_number_can_match_are_refused(target):
    with pytest.raises(ValueError):
        number_of(target)
    with pytest.raises(LabError, match="is not number"):
        outcome("number", target, "1")


@pytest.mark.parametrize("target", ['{"a": NaN}', '{"a": -Infinity}', "[" * 100_000, "{'a': 1}"])
def test_targets_that_no_json_can_match_are_refused(target):
    with pytest.raises(LabError, match="is not json"):
        outcome("json", target, "{}")


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn")), min_size=1, max_size=30).filter(
    lambda t: t.strip()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_the_target_itself_is_always_right_and_nothing_never(text):
    for scorer in ("exact", "any", "f1", "label"):
        assert outcome(scorer, text, text) == "correct"
        assert outcome(scorer, text, unicodedata.normalize("NFD", text)) == "correct"
        for empty in ("", " ", "\n\t"):
            assert outcome(scorer, text, empty) != "correct"


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**6), 10**6, places=3), st.sampled_from(["{}", "${}", "{} €", "{}%", "about {}."]))
def test_a_number_is_right_however_it_is_set(value, form):
    sign, digits = "-" if value < 0 else "", f"{abs(value):,.3f}"
    assert outcome("number", f"{value:f}", form.format(f"{sign}{digits}")) == "correct"
    assert outcome("number", f"{value:f}", form.format(f"{'−' * bool(sign)}{digits}")) == "correct"
    other = f"{value + 1:f}"
    assert outcome("number", f"{value:f}", other) != "correct" and outcome("number", f"{value:f}", "") != "correct"


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_json_is_right_as_it_is_and_as_other_types_never(value):
    text = json.dumps(value)
    assert outcome("json", text, text) == "correct"
    assert outcome("json", text, "") != "correct"
    assert outcome("json", json.dumps({"a": value}), json.dumps({"a": [value]})) != "correct"


SAME = [
    ("Printer broken", "PRINTER BROKEN!!"),
    ("e-mail me", "e mail me"),
    ("C++?", "c++"),
    ("don't", "Don’t"),
    ("café", unicodedata.normalize("NFD", "café")),
    ("a - b", "a b"),
    ("So... what?", "so what"),
]
APART = [
    ("What is 5 + 5", "What is 5 - 5"),
    ("What is 5 + 5", "What is 5 * 5"),
    ("C", "C++"),
    ("C#", "C"),
    (":)", ":("),
    ("I like it :)", "I like it :("),
    ("हिन्दी", "हिन्दि"),
    ("3.5", "35"),
    ("-5", "5"),
    ("50%", "50"),
    ("x = y", "x y"),
    ("!!!", "???"),
    ("😀", "😢"),
    ("10:30", "1030"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_to_a_person(one, other):
    assert likeness(one) == likeness(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_not_the_same_to_a_person(one, other):
    assert likeness(one) != likeness(other)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_keys_are_stable_and_never_empty(text):
    for key in (likeness, normalise):
        assert key(text) and key(text) == key(unicodedata.normalize("NFD", text)) == key(f"  {text}\n")
    assert normalise(normalise(text)) == normalise(text)
    assert words(text), "whatever stands there is at least one word"


@pytest.mark.parametrize(
    ("text", "target", "there"),
    [
        ("I use C++ daily", "C", False),
        ("I use C daily.", "C", True),
        ("答えは東京です", "東京", True),
        ("서울은 크다", "서울", True),
        ("-5", "5", False),
        ("3.5", "5", False),
        ("It is 5.", "5", True),
        ("It costs $5", "5", True),
        ("", "5", False),
        ("cafe", "café", False),
    ],
)
def test_content_is_whole_words_of_any_script(text, target, there):
    assert holds(text, target) is there


def test_labels_are_counted_as_the_scorer_counts_them():
    """3 yes, 1 Yes. and 4 no: by spelling `no` leads, to the scorer they are even and then one more."""
    targets = ["yes", "yes", "yes", "Yes.", "no", "no", "no", "NO", "YES"]
    samples = tuple(Sample(f"s{n}", f"question {n}", t) for n, t in enumerate(targets))
    task = replace(make_task(4, scorer="label"), train=samples, validation=samples[:1], test=samples)
    assert task.labels == ("no", "yes")
    assert majority_rate(task) == ("yes", 5 / 9)
    assert any(f.text.startswith("2 labels; always answering 'yes'") for f in check_task(task))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "g1", "g2", "g3"])), min_size=12))
def test_import_never_makes_the_leak_that_check_refuses(rows):
    marks = ("", "!", "!!", " ?", "...")
    samples = [
        Sample(f"s{n}", f"Is {text} broken{marks[n % 5]}".upper() if n % 2 else f"is {text} broken", "x", group)
        for n, (text, group) in enumerate(rows)
    ]
    samples += [Sample(f"more{n}", f"another thing {n}", "x") for n in range(3)]
    parts = split_by_group(samples)
    task = replace(make_task(4), **{name: tuple(found) for name, found in parts.items()})
    assert sum(map(len, parts.values())) == len(samples)
    assert not [f for f in check_task(task) if f.level == "error"]
