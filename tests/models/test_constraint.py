"""Constrained decoding with the real library and real tokenizers: what comes out is what the task allows."""

from __future__ import annotations

import json
import re

import pytest

from lab.flow.decoding import decoding_for
from lab.models.constraint import grammar
from lab.schema import Decoding, LabError, Prompt
from lab.tasks.scorers import scorer_for
from tests.conftest import make_task

LABELS = ["card lost", "card arrival", "yes/no", 'a "quoted" one', "Überweisung", "card"]
PROMPTS = [
    (str(n), Prompt("Answer.", text)) for n, text in enumerate(["Where is my card?", "Ja", "7 + 5", "", "a b c"])
]


def allowing(room=40, **what) -> Decoding:
    return Decoding(room, "", json.dumps(what))


@pytest.mark.parametrize("labels", [LABELS, LABELS[:1], ["0"], [f"intent {n}" for n in range(151)]])
def test_every_completion_is_a_label(nano, labels):
    found = nano.complete(PROMPTS, allowing(labels=labels))
    assert all(c.text in labels and c.finished and not c.error for c in found), [c.text for c in found]


def test_what_the_model_would_have_written_is_written_where_it_is_allowed(nano):
    """The constraint takes away; it does not choose: with the free answer among the labels it is the answer."""
    free = nano.complete(PROMPTS, Decoding(8, "\n"))
    for asked, wanted in zip(PROMPTS, free):
        if wanted.finished and wanted.text:
            (found,) = nano.complete([asked], allowing(labels=[wanted.text, "zebra"]))
            assert found.text == wanted.text


def test_rows_of_a_batch_follow_their_own_way(nano):
    together = nano.complete(PROMPTS, allowing(labels=LABELS))
    alone = [nano.complete([p], allowing(labels=LABELS))[0] for p in PROMPTS]
    assert [c.text for c in together] == [c.text for c in alone]


def test_json_meets_its_schema(nano):
    import jsonschema

    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}, "count": {"type": "integer"}, "sure": {"type": "boolean"}},
        "required": ["city", "count", "sure"],
        "additionalProperties": False,
    }
    for c in nano.complete(PROMPTS, allowing(schema=schema, room=120)):
        if c.finished:
            jsonschema.validate(json.loads(c.text), schema)
        else:
            assert c.text.startswith("{"), "a number may go on for ever, and is then cut off and says so"


def test_records_match_their_pattern(nano):
    pattern = r"(?P<code>[A-Z]{2}-\d{3})/(?P<kind>refund|repair) \| (?P<note>[a-z ]{1,12})"
    for c in nano.complete(PROMPTS, allowing(pattern=pattern, room=60)):
        assert c.finished and re.fullmatch(pattern, c.text), c.text


@pytest.mark.parametrize("pattern", ["(?P<a>x", "(?P<a>x)(?=y)"])
def test_what_is_no_grammar_is_told_in_one_line(nano, pattern):
    with pytest.raises(LabError, match="what the task allows is no grammar") as told:
        nano.complete(PROMPTS, allowing(pattern=pattern))
    assert str(told.value)


def test_slashes_of_a_pattern_do_not_end_it():
    assert grammar(json.dumps({"pattern": r"a/b\/c"})) == 'start: " "? ANSWER\nANSWER: /a\\/b\\/c/'


def test_every_kind_of_task_says_what_it_allows(nano):
    label = make_task(scorer="label")
    towns = ["Bridgend", "Marsham", "Oakley", "Tilbury"]
    constrained = decoding_for(label, nano, "constrained")
    assert json.loads(constrained.allowed) == {"labels": towns} and not constrained.choose
    assert decoding_for(label, nano, "choose").choose == "per_character"
    assert decoding_for(label, nano, "choose_whole").choose == "whole"
    free = decoding_for(label, nano)
    assert free.as_json().keys() == {"max_tokens", "stop"}, "what was stored before is found again"
    scorer = scorer_for(label)
    samples = label.test
    for way in ("constrained", "choose", "choose_whole"):
        asked = [(s.id, Prompt("Answer.", s.input)) for s in samples]
        completions = nano.complete(asked, decoding_for(label, nano, way))
        assert {c.text for c in completions} <= set(towns)
        assert all(scorer(s, c).parts["format"] == 1.0 for s, c in zip(samples, completions))


def test_what_a_task_does_not_have_is_told(nano):
    free_text = make_task(40)
    free_text = type(free_text)(**(vars(free_text) | {"scorer": "f1"}))
    with pytest.raises(LabError, match="free text, nothing constrains them"):
        decoding_for(free_text, nano, "constrained")
    with pytest.raises(LabError, match="--decoding greedy: one of free, constrained, choose, choose_whole"):
        decoding_for(free_text, nano, "greedy")
    with pytest.raises(LabError, match="--extract last_line: with --decoding constrained the whole completion"):
        decoding_for(make_task(scorer="label"), nano, "constrained", "last_line")
