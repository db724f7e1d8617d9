"""Mending by hand: what leaves, why, and that nothing is left to find."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.commands.data import TAKEN_OUT, check
from lab.schema import LabError, Sample
from lab.tasks.check import check_task
from lab.tasks.mending import mended
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task


def task_of(train, validation, test):
    def samples(name, rows):
        return tuple(Sample(f"{name}{n}", text, target, group) for n, (text, target, group) in enumerate(rows))

    return replace(
        make_task(4, scorer="label", documents=False),
        train=samples("t", train),
        validation=samples("v", validation),
        test=samples("x", test),
    )


FAULTY = task_of(
    [("Is it C?", "a", ""), ("is it c", "a", ""), ("leaked!", "b", ""), ("same words", "a", ""), ("grouped", "a", "g")],
    [("Same words.", "b", ""), ("fine", "a", ""), ("LEAKED", "b", ""), ("Is it C++?", "b", "")],
    [("Leaked", "B", ""), ("of the group", "a", "g"), ("new", "a", ""), ("New!", "A.", "")],
)


def test_what_leaves_and_why_by_hand():
    task, gone = mended(FAULTY)
    assert {g.id: g.why.split(":")[0].split(" of")[0] for g in gone} == {
        "t1": "duplicate",
        "t2": "leak",
        "t3": "conflict",
        "t4": "leak",
        "v0": "conflict",
        "v2": "leak",
        "x3": "duplicate",
    }
    assert [s.id for s in (*task.train, *task.validation, *task.test)] == ["t0", "v1", "v3", "x0", "x1", "x2"]
    assert next(g.why for g in gone if g.id == "t4") == "leak: its group g stands in test (x1)"
    assert mended(task) == (task, [])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("yn"), st.sampled_from(["", "g", "h"])), max_size=12)
)
def test_nothing_that_check_refuses_is_left(rows):
    sure = [(f"only here {n}", "y", "") for n in range(3)]
    parts = [rows[n::3] + [sure[n]] for n in range(3)]
    task, gone = mended(task_of(*parts))
    kinds = {f.kind for f in check_task(task)}
    assert not kinds & {"leak", "group_leak", "conflict", "duplicate"}
    kept = len(task.train) + len(task.validation) + len(task.test)
    assert kept + len(gone) == len(rows) + 3 and len({g.id for g in gone}) == len(gone)


def test_the_command_writes_both_and_never_over_something(tmp_path):
    write_task(FAULTY, tmp_path / "faulty")
    check(tmp_path / "faulty", mend=tmp_path / "better")
    assert load_task(tmp_path / "better").test == mended(FAULTY)[0].test
    rows = [json.loads(line) for line in (tmp_path / "better" / TAKEN_OUT).read_text().splitlines()]
    assert len(rows) == 7 and rows[0] == {"split": "train", "id": "t1", "why": "duplicate of t0"}
    with pytest.raises(LabError, match="exists and is not empty"):
        check(tmp_path / "faulty", mend=tmp_path / "better")
    only = task_of([("a", "x", "")], [("b", "x", "")], [("A!", "x", "")])
    with pytest.raises(LabError, match="nothing would be left in train"):
        mended(only)
