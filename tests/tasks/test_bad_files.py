"""Task folders that someone else wrote: whatever is wrong with a file is one line that names it, and nothing hangs."""

from __future__ import annotations

import os

import pytest

from lab.schema import LabError
from lab.tasks.check import check_task
from lab.tasks.scorers import scorer_for
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task

ROW = '{"id": "a", "input": "x", "target": "y"}'


@pytest.fixture
def folder(tmp_path):
    write_task(make_task(40), tmp_path / "t")
    return tmp_path / "t"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "a", "input": "x", "target": "\\ud83d"}', "line 1: broken JSON .it holds half a character"),
        ('{"id": "\\udc00", "input": "x", "target": "y"}', "line 1: broken JSON .it holds half a character"),
        ('{"id": "a", "input": ' + "[" * 100_000, "line 1: broken JSON .nested too deeply"),
        ('{"id": "a", "input": "x", "input": "z", "target": "y"}', "line 1: broken JSON .the key 'input' stands twice"),
        (ROW + "\n" + '{"id": "b", "input": NULL}', "line 2: broken JSON"),
        ('{"id": " ", "input": "x", "target": "y"}', "line 1: the id is empty"),
        ('{"id": "a", "input": 5, "target": "y"}', "line 1: field 'input' must be text, not int"),
        (
            '{"id": "a", "input": "x", "target": "y", "evidence": [1]}',
            "line 1: field 'evidence' must be a list of texts",
        ),
        ("5", "line 1: a JSON object is needed, not int"),
    ],
)
def test_rows(folder, line, says):
    (folder / "train.jsonl").write_text(line + "\n")
    with pytest.raises(LabError, match=says) as error:
        load_task(folder)
    assert str(folder / "train.jsonl") in str(error.value) and "\n" not in str(error.value)


def test_a_whole_character_written_as_a_pair_is_one(folder):
    row = '{"id": "a", "input": "\\ud83d\\ude00", "target": "y"}'
    (folder / "train.jsonl").write_text(row + "\n")
    assert load_task(folder).train[0].input == "😀"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("name = 5", "name must be text"),
        ('name = ["a"]', "name must be text"),
        ("licence = 2024-01-01", "licence must be text, in quotes"),
        ("source = 12:30:00", "source must be text, in quotes"),
        (f"n = {'9' * 5000}", "Exceeds the limit"),
        ("x = " + "[" * 50_000, "task.toml: "),
        ("x = \x00", "task.toml: "),
    ],
)
def test_settings(folder, toml, says):
    (folder / "task.toml").write_text(f'instruction = "i"\nscorer = "exact"\n{toml}\n')
    with pytest.raises(LabError, match=says) as error:
        load_task(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("record", ["5", '"(?P<a>x"', '"no group"', '["x"]'])
def test_patterns(folder, record):
    (folder / "task.toml").write_text(f'name = "n"\ninstruction = "i"\nscorer = "record"\nrecord = {record}\n')
    with pytest.raises(LabError):
        scorer_for(load_task(folder))


@pytest.mark.parametrize("name", ["train.jsonl", "task.toml", "documents.jsonl"])
def test_pipes_and_folders_in_a_files_place_are_told_and_never_waited_for(folder, name):
    for make in (os.mkfifo, os.mkdir):
        (folder / name).unlink() if (folder / name).is_file() or (folder / name).is_fifo() else None
        make(folder / name)
        with pytest.raises(LabError, match="a file is needed, and this is none"):
            check_task(load_task(folder))


def test_an_instruction_with_control_characters_comes_back(tmp_path):
    from dataclasses import replace

    told = 'quotes " and \\ and \n lines, \t tabs, \x7f and \x1b'
    write_task(replace(make_task(40), instruction=told), tmp_path / "t")
    assert load_task(tmp_path / "t").instruction == told
