"""``lab predict`` and ``lab export`` as a person meets them: files, pipes, stops, and what is no longer there."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace

import pytest

import lab.commands.using as using
from lab.cli import main
from lab.flow.arm import Ready
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a task, a store and a report of a classification: prompting, and the baselines beside it."""
    folder = tmp_path_factory.mktemp("using")
    task = make_task(60, documents=False)
    write_task(task, folder / "t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(folder / "home"))
        patch.chdir(folder)
        quick = [
            "--methods",
            "zero_shot,few_shot",
            "--sizes",
            "20",
            "--seeds",
            "1",
            "--no-forgetting",
            "--out",
            "report",
        ]
        patch.setattr(sys, "argv", ["lab", "decide", "t", *quick])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    return folder


@pytest.fixture
def lab(made, tmp_path, monkeypatch, capsys):
    """Run ``lab ...`` in a copy of the folder: (exit status, stdout, stderr)."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, typed=""):
        monkeypatch.setattr(sys, "argv", ["lab", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return ended.value.code, out.out, out.err

    return run


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_of_lines_and_a_file_get_the_same_answers(lab, tmp_path):
    inputs = [s.input for s in load_task(tmp_path / "t").test[:4]]
    status, piped, err = lab("predict", "report", "-", "--arm", "few_shot", typed="\n".join(inputs))
    assert status == 0 and "few_shot, draw 1" in err
    found = rows(piped)
    assert [r["input"] for r in found] == inputs and [r["id"] for r in found] == ["1", "2", "3", "4"]
    with open(tmp_path / "new.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "question"], *([f"q{n}", t] for n, t in enumerate(inputs))])
    assert lab("predict", "report", "new.csv", "--arm", "few_shot", "--out", "a.csv")[0] == 0
    written = list(csv.DictReader(open(tmp_path / "a.csv", newline="")))
    assert [r["answer"] for r in written] == [r["answer"] for r in found]
    assert [r["id"] for r in written] == ["q0", "q1", "q2", "q3"]
    objects = "".join(json.dumps({"input": t, "more": 1}) + "\n" for t in inputs)
    assert rows(lab("predict", "report", "-", "--arm", "few_shot", typed=objects)[1]) == found


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_stopped_run_goes_on_and_answers_nothing_twice(lab, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(using, "CHUNK", 2)
    inputs = [s.input for s in load_task(tmp_path / "t").test[:5]] + ['a "quoted", input']
    (tmp_path / "new.jsonl").write_text("".join(json.dumps({"input": t}) + "\n" for t in inputs))
    command = ("predict", "report", "new.jsonl", "--arm", "zero_shot", "--out", f"a{ending}")
    assert lab(*command)[0] == 0
    whole = (tmp_path / f"a{ending}").read_text()
    # A kill in the middle of a row: what was written whole stays, the rest is answered.
    (tmp_path / f"a{ending}").write_text(whole[: whole.index("3", 20) + 1])
    real, asked = Ready.answers, []
    monkeypatch.setattr(Ready, "answers", lambda self, some, *rest: asked.extend(some) or real(self, some, *rest))
    status, _, err = lab(*command)
    assert status == 0 and "are answered already" in err and 0 < len(asked) < len(inputs)
    assert (tmp_path / f"a{ending}").read_text() == whole
    asked.clear()
    assert lab(*command)[0] == 0 and not asked


def test_other_peoples_files_are_left_alone(lab, tmp_path):
    (tmp_path / "new.jsonl").write_text('{"input": "Where?"}\n')
    (tmp_path / "a.jsonl").write_text('{"id": "1", "input": "When?", "answer": "now"}\n')
    (tmp_path / "b.jsonl").write_text('{"name": "x"}\n')
    for name, says in (("a.jsonl", "holds the answer to another input"), ("b.jsonl", "holds no answers")):
        before = (tmp_path / name).read_bytes()
        status, _, err = lab("predict", "report", "new.jsonl", "--out", name)
        assert status == 2 and says in err and err.count("\n") == 1
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        ('{"a": "x", "b": "y"}\n', [], "which column is the input? Say --input with one of a, b"),
        ('{"a": "x"}\n', ["--input", "c"], "no column 'c'; there are a"),
        ('{"input": ""}\n', [], "line 1: input is empty"),
        ('{"id": 1, "input": "x"}\n{"id": 1, "input": "y"}\n', [], "line 2: the id '1' stands twice"),
        ('{"input": "x"}\n{oops\n', [], "line 2: broken JSON"),
        ('{"input": "x"}\n', ["--arm", "lora"], "--arm lora: no arm of this study; one of "),
        ('{"input": "x"}\n', ["--task", "nowhere"], "no such task folder"),
        ('{"input": "x"}\n', ["--model", "nanoo"], "no bundled model"),
        ('{"input": "x"}\n', ["--out", "report"], "--out report: a folder"),
    ],
)
def test_mistakes_are_one_line(lab, tmp_path, content, more, says):
    (tmp_path / "new.jsonl").write_text(content)
    arm = [] if "--arm" in more else ["--arm", "zero_shot"]
    status, _, err = lab("predict", "report", "new.jsonl", *arm, *more)
    assert status == 2 and says in err and err.count("\n") == 1, err


def test_a_changed_task_and_an_undecided_report_are_told(lab, tmp_path):
    (tmp_path / "new.jsonl").write_text('{"input": "Where?"}\n')
    status, _, err = lab("predict", "report", "new.jsonl")
    assert status == 2 and "no arm was taken" in err and "name one with --arm: " in err
    test = tmp_path / "t" / "test.jsonl"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[1:]))
    status, _, err = lab("predict", "report", "new.jsonl", "--arm", "few_shot")
    assert status == 2 and "no longer those of the study" in err


def test_export_writes_a_folder_once(lab, tmp_path):
    assert lab("export", "report", "--out", "winner", "--arm", "few_shot")[0] == 0
    assert {p.name for p in (tmp_path / "winner").iterdir()} == {"README.md", "arm.json", "answer.py"}
    status, _, err = lab("export", "report", "--out", "winner", "--arm", "few_shot")
    assert status == 2 and "is there already" in err


def test_a_baseline_answers_and_has_nothing_to_take_away(lab, tmp_path):
    labels = make_task(80, documents=False)
    towns = ["Oakley", "Tarnwick"]

    def labelled(samples):
        return tuple(replace(s, target=towns[n % 2], input=f"{s.input} {towns[n % 2]}!") for n, s in enumerate(samples))

    task = replace(
        labels,
        scorer="label",
        train=labelled(labels.train),
        validation=labelled(labels.validation),
        test=labelled(labels.test),
    )
    write_task(task, tmp_path / "labels")
    quick = ["--methods", "zero_shot", "--sizes", "40", "--seeds", "1", "--no-forgetting", "--out", "r"]
    assert lab("decide", "labels", *quick)[0] == 0
    (tmp_path / "new.jsonl").write_text('{"input": "Where is Oakley!"}\n{"input": "Where is Tarnwick!"}\n')
    status, out, err = lab("predict", "r", "new.jsonl", "--arm", "linear")
    assert status == 0, err
    assert [r["answer"] for r in rows(out)] == towns
    status, _, err = lab("export", "r", "--out", "x", "--arm", "linear")
    assert status == 2 and "no language model" in err and not (tmp_path / "x").exists()
