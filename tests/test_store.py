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


def with_files(store, what=None, weights=b"learned", texts=b"said"):
    """A result with weights and completions of its own; how often they were made."""
    made = []

    def work(draft):
        made.append(1)
        (draft.folder / "adapter.safetensors").write_bytes(weights)
        (draft.folder / "completions.parquet").write_bytes(texts)
        return {"ok": 1}

    return store.once("evaluation", what or WHAT, work, {}), made


@pytest.mark.parametrize("name", ["adapter.safetensors", "completions.parquet"])
@pytest.mark.parametrize("change", ["flipped", "cut", "grown"])
def test_a_file_that_is_not_what_was_written_is_told_and_made_again(store, capsys, name, change):
    entry, _ = with_files(store)
    path, content = entry.folder / name, (entry.folder / name).read_bytes()
    others = {"flipped": bytes([content[0] ^ 1]) + content[1:], "cut": content[:-1], "grown": content + b"x"}
    path.write_bytes(others[change])
    assert [e.damaged for e in store.entries()] == [True]
    again, made = with_files(Store(store.home, committed=None))
    assert made == [1] and path.read_bytes() == content and not again.damaged
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"lab: {path}: damaged, its checksum is another than when it was written; it is made again"
    assert with_files(Store(store.home, committed=None))[1] == []


def test_removed_weights_are_no_damage_and_removed_completions_are(store):
    entry, _ = with_files(store)
    (entry.folder / "adapter.safetensors").unlink()
    assert not entry.damaged
    (entry.folder / "completions.parquet").unlink()
    assert entry.fault.endswith("completions.parquet: missing")
    assert store.prune(damaged=True)[0] == 1 and store.entries() == []


def test_a_committed_result_may_keep_some_of_its_files_and_a_damaged_one_is_made_anew_at_home(tmp_path, capsys):
    below = Store(tmp_path / "reports" / "study", committed=None)
    entry, _ = with_files(below)
    (entry.folder / "adapter.safetensors").unlink()
    home = Store(tmp_path / "home", committed=tmp_path / "reports")
    assert with_files(home)[0].committed
    (entry.folder / "completions.parquet").write_bytes(b"other")
    found, made = with_files(Store(tmp_path / "home", committed=tmp_path / "reports"))
    assert made == [1] and not found.committed and "it is made again" in capsys.readouterr().err
    assert (entry.folder / "completions.parquet").read_bytes() == b"other", "what is committed is left alone"


def test_results_of_before_checksums_are_read_as_they_are(store):
    entry, _ = with_files(store)
    record = json.loads((entry.folder / "record.json").read_text())
    assert record.pop("files").keys() == {"adapter.safetensors", "completions.parquet"}
    (entry.folder / "record.json").write_text(json.dumps(record))
    (entry.folder / "completions.parquet").write_bytes(b"other")
    assert not entry.damaged and with_files(store)[1] == []
