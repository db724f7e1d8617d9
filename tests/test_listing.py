"""The list of what is stored says what the records say, however the table beside it fares, and is quick."""

from __future__ import annotations

import json
import time

import pytest

from lab.store import Store
from lab.store.listing import TABLE, listed


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path, committed=None)
    for n in range(3):
        what = {
            "kind": "evaluation",
            "context": {"name": "passages"},
            "weights": {"name": "lora"},
            "items": f"i{n % 2}",
        }
        store.once("evaluation", what | {"n": n}, lambda draft: {"split": "test"}, {})
    return store


def brief(store):
    return [(r.key, r.says, r.items, r.readable) for r in listed(store)]


def test_rows_say_what_the_records_say(store):
    entries = {e.key: e.record for e in store.entries()}
    rows = listed(store)
    assert [r.key for r in rows] == sorted(entries)
    for row in rows:
        record = entries[row.key]
        assert (row.says, row.items) == ("passages lora test", record["what"]["items"])
        assert row.date == record["made"]["date"][:16] and row.seconds == record["made"]["seconds"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no table" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["gone", "something else", "cut", "empty"],
)
def test_a_lost_table_is_made_again_from_the_records(store, spoil):
    wanted = brief(store)
    spoil(store.home / TABLE)
    assert brief(store) == wanted and brief(store) == wanted


def test_a_table_that_is_a_folder_is_done_without(store):
    wanted = brief(store)
    (store.home / TABLE).unlink()
    (store.home / TABLE).mkdir()
    assert brief(store) == wanted


def test_what_changed_since_is_seen(store):
    before = brief(store)
    gone, changed, _ = store.entries()
    for path in gone.folder.iterdir():
        path.unlink()
    gone.folder.rmdir()
    record = changed.folder / "record.json"
    record.write_text("{" + record.read_text())
    store.once("choice", {"kind": "choice", "probe": "copying"}, lambda draft: {}, {})
    after = {r.key: r for r in listed(store)}
    assert gone.key not in after and not after[changed.key].readable and len(after) == len(before)
    assert [r.says for r in after.values() if r.kind == "choice"] == ["copying"]


@pytest.mark.slow
def test_a_hundred_thousand_results_open_within_a_second(tmp_path):
    made = {"date": "2026-11-26T10:00:00", "seconds": 1.5}
    what = {"kind": "evaluation", "context": {"name": "none"}, "items": "i"}
    for n in range(100_000):
        folder = tmp_path / "results" / "evaluation" / f"{n:064x}"
        folder.mkdir(parents=True)
        record = {"key": folder.name, "kind": "evaluation", "what": what, "made": made, "result": {"split": "test"}}
        (folder / "record.json").write_text(json.dumps(record))
    first = listed(Store(tmp_path, committed=None))
    started = time.perf_counter()
    again = listed(Store(tmp_path, committed=None))
    seconds = time.perf_counter() - started
    assert again == first and len(again) == 100_000 and seconds < 2, seconds
