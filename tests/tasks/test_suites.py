"""Public suites' own forms become probes; the rows here are invented."""

from __future__ import annotations

import json

import pytest

from lab.schema import LabError
from lab.tasks.suites import import_suite
from lab.world.probes import folder_probe

ROWS = {
    "hellaswag": (
        {
            "ind": 7,
            "ctx": "She opens the door and",
            "endings": ["walks in.", "flies off.", "melts.", "sings backwards."],
            "label": 0,
        },
        "She opens the door and",
        "walks in.",
    ),
    "arc": (
        {
            "id": "Q1",
            "question": {
                "stem": "Which is hot?",
                "choices": [{"text": "ice", "label": "A"}, {"text": "fire", "label": "B"}],
            },
            "answerKey": "B",
        },
        "Which is hot?",
        "fire",
    ),
    "winogrande": (
        {
            "qID": "w1",
            "sentence": "The cup did not fit the box because _ was too large.",
            "option1": "the cup",
            "option2": "the box",
            "answer": "1",
        },
        "The cup did not fit the box because",
        "the cup was too large.",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_becomes_a_choice(name, tmp_path):
    row, asked, right = ROWS[name]
    (tmp_path / "suite.jsonl").write_text(json.dumps(row) + "\n")
    assert import_suite(name, tmp_path / "suite.jsonl", tmp_path / "probe") == 1
    probe = folder_probe(tmp_path / "probe")
    sample, prompt = probe.items[0]
    assert probe.chosen and (prompt.input, sample.target) == (asked, right) and right in sample.choices


def test_flat_arc_and_mmlu(tmp_path):
    (tmp_path / "arc.jsonl").write_text(
        json.dumps(
            {
                "id": "Q",
                "question": "Which is hot?",
                "choices": {"text": ["ice", "fire"], "label": ["1", "2"]},
                "answerKey": "2",
            }
        )
        + "\n"
    )
    import_suite("arc", tmp_path / "arc.jsonl", tmp_path / "a")
    assert folder_probe(tmp_path / "a").items[0][0].target == "fire"
    (tmp_path / "mmlu.csv").write_text('"What is 2 + 2, then?",3,4,5,6,B\n')
    import_suite("mmlu", tmp_path / "mmlu.csv", tmp_path / "m")
    assert (
        folder_probe(tmp_path / "m").items[0][0].choices == ("3", "4", "5", "6")
        and folder_probe(tmp_path / "m").items[0][0].target == "4"
    )


def test_bad_files_are_named_with_their_line(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps(ROWS["arc"][0]) + "\n" + '{"id": "Q2"}\n')
    with pytest.raises(LabError, match="x.jsonl, line 2: not a row of arc"):
        import_suite("arc", tmp_path / "x.jsonl", tmp_path / "p")
    with pytest.raises(LabError, match="one of hellaswag, arc"):
        import_suite("glue", tmp_path / "x.jsonl", tmp_path / "p")
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "task.toml").write_text('instruction = "x"\nscorer = "exact"\n')
    (folder / "test.jsonl").write_text(
        '{"id": "1", "input": "a", "target": "b", "choices": ["b", "c"]}\n{"id": "2", "inp\n'
    )
    with pytest.raises(LabError, match="test.jsonl, line 2: broken JSON"):
        folder_probe(folder)
    (folder / "test.jsonl").write_text('{"id": "1", "input": "a", "target": "b", "choices": ["x", "c"]}\n')
    with pytest.raises(LabError, match="line 1: the target 'b' is not among the choices"):
        folder_probe(folder)
