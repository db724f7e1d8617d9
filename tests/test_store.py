"""The store: nothing half-written counts, damage is seen, two runs never do the same work."""

from __future__ import annotations

import json
import multiprocessing
import os
import time

import pytest

from lab.schema import Completion, LabError, Usage
from lab.store import Store, key_of, read_completions, write_completions

WHAT = {"kind": "evaluation", "n": 1}


def put(store, what=WHAT, result=None):
    with store.producing("evaluation", what) as draft:
        if not draft.done:
            draft.result = result or {"ok": 1}
    return draft.done


def test_keys_are_canonical_and_see_everything():
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert len({key_of(x) for x in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"})}) == 4


def test_completions_come_back_as_they_were(store):
    completions = [
        Completion("a", "Zoë\n", Usage(3, 2, 1, 0.5), False, "", ("p#1", "q#0"), 1, 2),
        Completion("b", "", Usage(0, 0), error="too long"),
    ]
    with store.producing("evaluation", WHAT) as draft:
        write_completions(draft.folder, completions)
    assert read_completions(store.find("evaluation", key_of(WHAT))) == completions


def test_an_error_stores_nothing(store):
    with pytest.raises(RuntimeError), store.producing("evaluation", WHAT) as draft:
        (draft.folder / "half").write_text("x")
        raise RuntimeError("boom")
    assert store.find("evaluation", key_of(WHAT)) is None
    assert not list((store.home / "unfinished").iterdir())
    assert put(store)


def test_a_full_disk_is_one_clear_line(store):
    put(store, {"kind": "evaluation", "n": 0})
    with (
        pytest.raises(LabError, match="No space left on device; what was stored before is intact"),
        store.producing("evaluation", WHAT),
    ):
        raise OSError(28, "No space left on device")
    assert store.find("evaluation", key_of({"kind": "evaluation", "n": 0}))


def test_damage_counts_as_missing_and_is_listed_and_pruned(store):
    entry = put(store)
    (entry.folder / "record.json").write_text("{broken")
    assert store.find("evaluation", entry.key) is None
    assert [e.damaged for e in store.entries()] == [True]
    assert put(store, result={"ok": 2}).record["result"] == {"ok": 2}
    (entry.folder / "record.json").write_text(json.dumps({"key": "other", "result": {}}))
    assert store.prune(damaged=True)[0] == 1 and store.entries() == []


def test_committed_results_are_read_beneath_and_never_removed(tmp_path):
    below = Store(tmp_path / "reports" / "study", committed=None)
    entry = put(below)
    store = Store(tmp_path / "home", committed=tmp_path / "reports")
    assert store.find("evaluation", entry.key).committed
    assert put(store).committed
    store.prune(everything=True)
    assert store.find("evaluation", entry.key)
    assert (
        Store(tmp_path / "home", committed=tmp_path / "reports", committed_kinds=("choice",)).find(
            "evaluation", entry.key
        )
        is None
    )


def _slow_work(home, log):
    store = Store(home, committed=None)
    with store.producing("evaluation", WHAT) as draft:
        if not draft.done:
            time.sleep(0.5)
            with open(log, "a") as file:
                file.write(f"{os.getpid()}\n")
            draft.result = {"ok": 1}


def test_two_processes_do_the_work_once(tmp_path):
    log = tmp_path / "log"
    workers = [
        multiprocessing.get_context("spawn").Process(target=_slow_work, args=(tmp_path / "home", log)) for _ in range(2)
    ]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
    assert len(log.read_text().splitlines()) == 1


def test_an_unwritable_home_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LabError, match="set LAB_HOME"):
        Store(tmp_path / "file" / "home", committed=None)
