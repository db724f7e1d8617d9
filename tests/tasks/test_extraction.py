"""Extraction by hand-written completions, and that it holds in the flow."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from lab.schema import Completion, LabError, Sample, Usage
from lab.tasks.allowed import allowed_answers, schema_of
from lab.tasks.extraction import extract, extracting, require_extraction
from lab.tasks.scorers import exact
from tests.conftest import make_task


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("last_line", "Let me see.\n\nIt is Oslo.\n \n", "It is Oslo."),
        ("last_line", "Oslo", "Oslo"),
        ("last_line", "", ""),
        ("after_answer", "First.\nAnswer: Rome\nNo.\nANSWER : Oslo \nbye", "Oslo"),
        ("after_answer", "Oslo", "Oslo"),
        ("after_answer", "Answer:\nOslo", ""),
        ("first_json", 'Sure: {"a": {"b": "}"}} and {"c": 1}', '{"a": {"b": "}"}}'),
        ("first_json", 'A set {1, 2}, then {"a": 1}', '{"a": 1}'),
        ("first_json", "{broken", "{broken"),
        ("", "as it is\nwritten", "as it is\nwritten"),
    ],
)
def test_what_is_extracted(name, text, wanted):
    assert extract(name, text) == wanted


def test_scores_are_of_what_is_extracted_and_content_of_all_of_it():
    sample = Sample("s", "q", "Oslo")
    said = Completion("s", "Oslo it may be.\nAnswer: Rome", Usage(1, 9))
    found = extracting("after_answer", exact)(sample, said)
    assert (found.outcome, found.answer, found.parts["content"]) == ("wrong", "Rome", 1.0)
    right = extracting("after_answer", exact)(sample, replace(said, text="Not Rome.\nAnswer: Oslo"))
    assert (right.outcome, right.answer) == ("correct", "Oslo")
    assert extracting("", exact) is exact


def test_an_unknown_extraction_is_told():
    with pytest.raises(LabError, match="--extract second_line: one of last_line, after_answer, first_json"):
        require_extraction("second_line")


def test_a_schema_that_all_targets_meet_and_others_do_not():
    targets = [{"intent": "a", "n": 1}, {"intent": "b", "n": 2.5, "tags": ["x"]}, {"intent": "c", "n": 3, "tags": []}]
    schema = schema_of(targets)
    assert schema == {
        "type": "object",
        "properties": {
            "intent": {"type": "string"},
            "n": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["intent", "n"],
        "additionalProperties": False,
    }
    for target in targets:
        jsonschema.validate(target, schema)
    for other in ({"intent": "a"}, {"intent": 1, "n": 1}, {"intent": "a", "n": 1, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(other, schema)
    assert schema_of([1, "a", None]) == {"type": ["integer", "null", "string"]}


def test_a_tasks_own_schema_comes_first():
    task = make_task(scorer="json")
    samples = tuple(replace(s, target=json.dumps({"town": s.target})) for s in task.train)
    task = replace(task, train=samples, validation=samples[:4], test=samples[4:8])
    assert allowed_answers(task)["schema"]["required"] == ["town"]
    own = replace(task, settings={"schema": '{"type": "object"}'})
    assert allowed_answers(own) == {"schema": {"type": "object"}}
    with pytest.raises(LabError, match="task.toml: schema is no JSON"):
        allowed_answers(replace(task, settings={"schema": "{type"}))
