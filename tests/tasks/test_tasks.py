"""Loading, scoping, checking and importing tasks; every bad input names its place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.schema import LabError, Sample
from lab.tasks.check import check_task, is_classification, likeness, majority_rate, require_sound
from lab.tasks.importing import choose_columns, guess_scorer, import_task, split_by_group
from lab.tasks.tables import read_table
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_written_and_loaded_are_the_same(tmp_path, toy):
    write_task(toy, tmp_path / "toy")
    again = load_task(tmp_path / "toy")
    assert again.digest == toy.digest
    assert again.train == toy.train and again.documents == toy.documents
    other = replace(toy, train=(replace(toy.train[0], rejected="no"), *toy.train[1:]))
    write_task(other, tmp_path / "other")
    assert load_task(tmp_path / "other").train == other.train
    assert load_task(tmp_path / "other").digest == other.digest != toy.digest


def test_documents_may_be_a_folder(tmp_path):
    write_task(make_task(documents=False), tmp_path / "t")
    write(tmp_path / "t" / "documents" / "sub", "a.md", "# Title\n\nBody.")
    write(tmp_path / "t" / "documents", "b.txt", "Other")
    assert [(d.id, d.title) for d in load_task(tmp_path / "t").documents] == [("b.txt", "Other"), ("sub/a.md", "Title")]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "train.jsonl",
            '{"id": "a", "input": "x", "target": "y"}\n{"id": broken\n',
            "train.jsonl, line 2: broken JSON",
        ),
        ("train.jsonl", "", "train.jsonl: the file has no rows"),
        ("train.jsonl", '{"id": "a", "input": "x"}\n', "line 1: field 'target' is missing"),
        ("train.jsonl", '{"id": "a", "input": " ", "target": "y"}\n', "line 1: empty input"),
        ("train.jsonl", '{"id": "a", "input": "x", "target": "y", "inptu": 1}\n', "unknown field 'inptu'"),
        ("train.jsonl", '{"id": "a", "input": "x", "target": 3}\n', "must be text, not int"),
        (
            "train.jsonl",
            '{"id": "a", "input": "x", "target": "y", "rejected": ["n"]}\n',
            "'rejected' must be text, not list",
        ),
        (
            "train.jsonl",
            '{"id": "a", "input": "x", "target": "y", "rejected": "y "}\n',
            "target and rejected answer are the",
        ),
        ("train.jsonl", "[1]\n", "a JSON object is needed"),
        ("train.jsonl", '{"id": "s39", "input": "x", "target": "y"}\n', "id 's39' already stands in train.jsonl"),
        (
            "train.jsonl",
            '{"id": "a", "input": "x", "target": "y", "evidence": ["nowhere"]}\n',
            "no document has that id",
        ),
        ("task.toml", 'name = "x"', "instruction is missing"),
        ("task.toml", "name = ", "task.toml: "),
    ],
)
def test_bad_rows_name_their_place(tmp_path, toy, file, text, says):
    write_task(toy, tmp_path / "toy")
    write(tmp_path / "toy", file, text)
    with pytest.raises(LabError) as error:
        load_task(tmp_path / "toy")
    assert says in str(error.value) and "\n" not in str(error.value)


def test_wrong_encoding_names_the_line(tmp_path, toy):
    write_task(toy, tmp_path / "toy")
    (tmp_path / "toy" / "train.jsonl").write_bytes(
        b'{"id": "a", "input": "x", "target": "y"}\n{"id": "b", "input": "caf\xe9", "target": "y"}\n'
    )
    with pytest.raises(LabError, match="line 2: not UTF-8"):
        load_task(tmp_path / "toy")


def test_scoped_counts_labels_whole_and_redraws_by_seed():
    task = make_task(200)
    sizes = {}
    for seed in (0, 1):
        scoped = task.scoped(50, seed)
        assert len(scoped.train) + len(scoped.validation) == 50
        assert len(scoped.validation) == 10
        assert not {s.group for s in scoped.train} & {s.group for s in scoped.validation}
        assert scoped.test == task.test
        sizes[seed] = {s.id for s in scoped.train}
    assert sizes[0] != sizes[1]
    assert task.scoped(50, 0) == task.scoped(50, 0)
    with pytest.raises(LabError, match="150 labelled items"):
        task.scoped(1000, 0)


def test_a_planted_leak_is_an_error_with_its_ids(toy):
    leaked = replace(toy, test=(*toy.test, Sample("copy", toy.train[0].input.upper() + "!", "x")))
    found = [f for f in check_task(leaked) if f.level == "error"]
    assert found[0].kind == "leak" and found[0].ids == ("copy",) and "copy = s0" in found[0].text
    with pytest.raises(LabError, match="--allow-leak"):
        require_sound(leaked)
    assert require_sound(leaked, allow_leak=True)
    assert not [f for f in check_task(toy) if f.level == "error"]


def test_a_group_on_both_sides_is_an_error(toy):
    shared = replace(toy, test=(*toy.test, Sample("new", "Something else entirely", "x", group=toy.train[0].group)))
    assert [f.kind for f in check_task(shared) if f.level == "error"] == ["group_leak"]


def test_conflicts_duplicates_and_balance():
    samples = [Sample(f"i{n}", f"text number {n}", "yes" if n % 20 else "no") for n in range(60)]
    samples += [Sample("d1", "the same", "yes"), Sample("d2", "The same.", "no")]
    task = replace(make_task(documents=False, scorer="label"), train=tuple(samples))
    kinds = {f.kind for f in check_task(task)}
    assert {"conflict", "duplicate", "majority", "imbalance"} <= kinds


def test_near_duplicates_are_found():
    text = "please cancel the subscription that I ordered last week for my office"
    task = replace(
        make_task(documents=False),
        train=(Sample("a", text, "x"), Sample("b", "another thing", "y")),
        test=(Sample("t", text + " now", "x"),),
    )
    assert [f.ids for f in check_task(task) if f.kind == "near_duplicate"] == [("t",)]


def test_keys_fold_what_a_person_would_not_see():
    assert likeness("Play  JAZZ, please!") == likeness("play jazz please")
    assert likeness("!!!") != likeness("???")


def test_classification_is_recognised():
    assert is_classification(make_task(scorer="label"))
    assert is_classification(make_task(60))
    assert not is_classification(make_task(8))
    assert majority_rate(
        replace(
            make_task(),
            train=(Sample("a", "x", "u"), Sample("b", "y", "u")),
            validation=(Sample("c", "z", "v"),),
            test=(Sample("t", "q", "u"), Sample("w", "r", "v")),
        )
    ) == ("u", 0.5)


def test_import_csv_splits_by_group(tmp_path):
    rows = ["text,label,who"] + [f'"line {i}, with comma",{"ab"[i % 2]},g{i // 4}' for i in range(80)]
    path = write(tmp_path, "tickets.csv", "\n".join(rows))
    found = import_task(str(path), name="t", group_column="who")
    task, columns = found.task, found.columns
    assert (columns.input, columns.target) == ("text", "label") and task.scorer == "label"
    assert (len(task.train), len(task.validation), len(task.test)) == (48, 12, 20)
    groups = [{s.group for s in task.split(n)} for n in ("train", "validation", "test")]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert import_task(str(path), name="t", group_column="who").task == task


def test_import_parquet_and_jsonl_alike(tmp_path):
    import pandas

    rows = [{"question": f"q{i}", "answer": {"n": i}} for i in range(20)]
    write(tmp_path, "a.jsonl", "\n".join(json.dumps(r) for r in rows))
    pandas.DataFrame([{"question": r["question"], "answer": json.dumps(r["answer"])} for r in rows]).to_parquet(
        tmp_path / "a.parquet"
    )
    first, second = (import_task(str(tmp_path / f"a.{e}"), name="t").task for e in ("jsonl", "parquet"))
    assert first.scorer == second.scorer == "json"
    assert [s.target for s in first.train] == [s.target for s in second.train]


@pytest.mark.parametrize(("text", "says"), [("", "the file is empty"), ("text,label\n", "has no rows")])
def test_empty_files(tmp_path, text, says):
    with pytest.raises(LabError, match=says):
        read_table(str(write(tmp_path, "a.csv", text)))


def test_import_errors_name_columns_and_lines(tmp_path):
    path = write(tmp_path, "a.csv", "id,body,label\n1,x,a\n2,,b\n")
    table = read_table(str(path))
    with pytest.raises(LabError, match="columns are id, body, label"):
        choose_columns(table, input_column="bdy")
    with pytest.raises(LabError, match="--input"):
        choose_columns(table)
    with pytest.raises(LabError, match="line 3: column 'body' is empty"):
        import_task(str(path), name="t", input_column="body")
    twice = write(tmp_path, "b.csv", "id,text,label\n1,x,a\n1,y,b\n")
    with pytest.raises(LabError, match="line 3: id '1' already stands in line 2"):
        import_task(str(twice), name="t", id_column="id")
    with pytest.raises(LabError, match="no such file"):
        read_table(str(tmp_path / "none.csv"))
    latin = tmp_path / "c.csv"
    latin.write_bytes("text,label\nok,a\ncafé,b\n".encode("latin-1"))
    with pytest.raises(LabError, match="line 3: not utf-8"):
        read_table(str(latin), "utf-8")
    found = read_table(str(latin))
    assert found.rows[1].cells["text"] == "café" and found.notes == ["read as latin-1"]


def test_splits_are_never_empty():
    samples = [Sample(str(i), f"t{i}", "x") for i in range(3)]
    assert [len(v) for v in split_by_group(samples).values()] == [1, 1, 1]
    with pytest.raises(LabError, match="at least 3"):
        split_by_group(samples[:2])


def test_scorers_are_guessed():
    assert guess_scorer([Sample("a", "x", '{"a": 1}')]) == "json"
    assert guess_scorer([Sample(str(i), "x", "ab"[i % 2]) for i in range(10)]) == "label"
    assert guess_scorer([Sample(str(i), "x", f"name {i}") for i in range(10)]) == "exact"
    assert guess_scorer([Sample(str(i), "x", f"a long answer of many words {i}") for i in range(10)]) == "f1"


def test_a_part_of_the_test_items_is_fixed_and_nested_and_keeps_groups_whole():
    task = make_task(200)
    assert len(task.test) == 50
    part, smaller = task.with_items(21), task.with_items(8)
    assert (len(part.test), part.test_of, part.digest != task.digest) == (21, 50, True)
    assert part == task.with_items(21) and set(smaller.test) < set(part.test)
    assert [s for s in task.test if s in part.test] == list(part.test), "in their order"
    assert [s.id for s in part.test] != [s.id for s in task.test[:21]]
    groups = [sum(s.group == g for s in part.test) for g in {s.group for s in part.test}]
    assert sorted(groups) == [1, *[2] * 10], "pairs stay whole but for the last one drawn"
    assert task.with_items(50) is task and task.with_items(51) is task
    with pytest.raises(LabError, match="--items -1: at least 1"):
        task.with_items(-1)
