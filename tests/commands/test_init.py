"""``lab init`` as a newcomer meets it: guesses where nobody is asked, questions on a real terminal, what is next."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.tasks.task import load_task

ROOT = Path(__file__).resolve().parents[2]
TOWNS = ("Bridgend", "Oakley", "Marsham")


def write_rows(path, header=("question", "answer"), count=40):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *([f"Where does person {n} live?", TOWNS[n % 3]] for n in range(count))])


def test_a_file_alone_makes_the_task_that_import_makes(run, tmp_path):
    write_rows(tmp_path / "towns.csv")
    status, out, err = run("init", "towns.csv")
    assert status == 0, err
    assert run("import", "towns.csv", "--out", "other")[0] == 0
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl"):
        assert (tmp_path / "towns" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    task = load_task(tmp_path / "towns")
    assert (task.name, task.scorer, len(task.labelled) + len(task.test)) == ("towns", "label", 40)
    lines = out.splitlines()
    assert lines[lines.index("Next:") + 1] == "  lab decide towns" and "  lab view" in lines
    assert "longest" in out, "lengths are those of the model's tokens"


def test_what_was_chosen_stands_in_the_next_command(run, tmp_path):
    write_rows(tmp_path / "my towns.csv", ("asked", "said"))
    status, _, err = run("init", "my towns.csv")
    assert status == 2 and "name the column with --input; columns are asked, said" in err and err.count("\n") == 1
    chosen = ("--input", "asked", "--target", "said", "--model", "smollm2-135m", "--embedder", "minilm")
    status, out, err = run("init", "my towns.csv", *chosen, "--out", "a b", "--json")
    assert status == 0, err
    made = json.loads(out)
    assert made["next"] == [
        "lab get smollm2-135m minilm",
        "lab decide 'a b' --model smollm2-135m --embedder minilm",
        "lab view",
    ]
    assert (made["written"], made["columns"]["input"], made["columns"]["target"]) == ("a b", "asked", "said")
    assert made["train"] + made["validation"] + made["test"] == 40 and made["documents"] == 0
    status, out, err = run("init", "my towns.csv", *chosen[:4], "--quiet", "--out", "c")
    assert (status, out, err) == (0, "c\n", "")


def test_documents_beside_the_file_are_taken_unless_none_are_wanted(run, tmp_path):
    write_rows(tmp_path / "towns.csv")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Person 1 lives in Oakley.")
    assert run("init", "towns.csv", "--yes")[0] == 0
    assert len(load_task(tmp_path / "towns").documents) == 1
    assert run("init", "towns.csv", "--documents", "none", "--out", "bare")[0] == 0
    assert not load_task(tmp_path / "bare").documents


def test_an_example_is_a_file_like_any_other(run, tmp_path):
    status, out, err = run("init", "--example", "ex", "--json")
    assert status == 0, err
    with open(tmp_path / "ex" / "questions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    made, task = json.loads(out), load_task(tmp_path / "ex" / "questions")
    assert len(rows) == 60 and made["train"] + made["validation"] + made["test"] == 60
    samples = {s.input: s for s in (*task.labelled, *task.test)}
    assert {r["question"]: r["answer"] for r in rows} == {s.input: s.target for s in samples.values()}
    texts = {d.id: d.text for d in task.documents}
    assert all(s.target in texts[s.evidence[0]] for s in samples.values()), "answers stand in their documents"
    assert made["next"][0] == "lab decide ex/questions" and not [f for f in made["findings"] if f["level"] == "error"]
    status, _, err = run("init", "--example", "ex")
    assert status == 2 and "--example ex: exists and is not empty" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "lab init FILE; without one: lab init --example FOLDER"),
        (["--yes"], "lab init FILE"),
        (["nowhere.csv"], "nowhere.csv: no such file"),
        (["t.csv", "--documents", "nowhere"], "--documents nowhere: no such folder"),
        (["t.csv", "--model", "nanoo"], "--model nanoo: no bundled one"),
        (["t.csv", "--embedder", "minilmm"], "--embedder minilmm: no bundled one"),
        (["t.csv", "--out", "full"], "--force to replace it"),
        (["t.csv", "--example", "ex"], "leave out t.csv, or --example"),
        (["--example", "ex", "--model", "nanoo"], "--model nanoo: no bundled one"),
        (["--example", "ex", "--out", "full"], "--force to replace it"),
        (["broken.csv"], "broken.csv, line 2: "),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(run, tmp_path, arguments, says):
    write_rows(tmp_path / "t.csv")
    (tmp_path / "broken.csv").write_text('question,answer\n"open,x\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run("init", *arguments)
    assert status == 2 and says in err and err.startswith("lab: ") and err.count("\n") == 1 and not out
    assert sorted(tmp_path.rglob("*")) == before


def answer(command, folder, answers, seconds=120):
    """What a command says on a real terminal; each answer is typed when its question stands there."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LAB_HOME": str(folder / "home"), "COLUMNS": "200"}
    child = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said, waiting, until = "", list(answers), time.time() + seconds
    seen = 0
    while time.time() < until:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                said += os.read(ours, 65536).decode()
            except OSError:  # the other end is closed
                break
        if waiting and waiting[0][0] in said[seen:]:
            seen = len(said)
            os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    os.close(ours)
    assert not waiting, (waiting, said)
    return child.wait(timeout=30), said


def test_on_a_terminal_it_asks_for_all_that_was_not_said(tmp_path):
    write_rows(tmp_path / "towns.csv", ("question", "place"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Person 1 lives in Oakley.")
    status, said = answer(
        [sys.executable, "-m", "lab", "init"],
        tmp_path,
        [
            ("File with inputs and targets [towns.csv]: ", "nowhere.csv"),
            ("File with inputs and targets [towns.csv]: ", ""),
            ("Column with the input [question]: ", ""),
            ("Column with the target: ", "palce"),
            ("Column with the target: ", "place"),
            ("Folder of the task [towns]: ", "mine"),
            ("[docs]: ", "none"),
            ("[nano]: ", "smollm2-135m"),
        ],
    )
    assert status == 0, said
    assert "no column 'palce'; one of question, place" in said and "nowhere.csv: no such file" in said
    assert "place: Bridgend" in said and "lab decide mine --model smollm2-135m" in said
    task = load_task(tmp_path / "mine")
    assert len(task.labelled) + len(task.test) == 40 and not task.documents


def test_on_a_terminal_yes_asks_nothing(tmp_path):
    write_rows(tmp_path / "towns.csv")
    status, said = answer([sys.executable, "-m", "lab", "init", "towns.csv", "--yes"], tmp_path, [])
    assert status == 0 and "lab decide towns" in said and "]: " not in said
