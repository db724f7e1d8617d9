"""What the store holds, at a glance: a table beside it, so that 100,000 results need not be read one by one.

``listed(store)`` gives a row a result. The table is no source of truth: what changed since is read again from its
record, and where the table is missing or damaged it is made from the records.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from lab.files import tell
from lab.schema import LabError
from lab.store.results import Entry, Place, Store

TABLE = "listing.sqlite"
VERSION = 1
"""Raised when a row's fields change: the table is made anew."""


class Listed(NamedTuple):
    """One result as a list shows it; ``date`` is empty where its record can't be read."""

    kind: str
    key: str
    folder: str
    committed: bool
    stamp: str
    """Of its record when it was read: nanoseconds of its change and bytes."""
    date: str = ""
    seconds: float = 0.0
    says: str = ""
    """What it is of, in a few words."""
    items: str = ""
    """Digest of the items that an evaluation is on."""

    @property
    def readable(self) -> bool:
        """Whether its record could be read; its files are not looked at."""
        return bool(self.date)


COLUMNS = Listed._fields


def listed(store: Store) -> list[Listed]:
    """Every result, own ones first, by kind and key."""
    path = store.home / TABLE
    try:
        return _from_table(path, store)
    except sqlite3.OperationalError:
        # Locked for long, or a disk that is full or read only: everything is read from the records.
        return [_row(place, _stamp(place[2])) for place in store.places()]
    except sqlite3.DatabaseError as error:
        tell(f"{path}: can't be used ({error}); it is made again from the records")
        path.unlink()
        return _from_table(path, store)


def _from_table(path: Path, store: Store) -> list[Listed]:
    with closing(sqlite3.connect(path, timeout=10)) as table:
        if table.execute("pragma user_version").fetchone()[0] != VERSION:
            table.execute("drop table if exists listed")
            table.execute(f"pragma user_version = {VERSION}")
        table.execute(f"create table if not exists listed ({', '.join(COLUMNS)}, primary key (folder))")
        known = {row[2]: row for row in table.execute(f"select {', '.join(COLUMNS)} from listed")}
        rows, fresh = [], []
        for place in store.places():
            stamp = _stamp(place[2])
            row = known.pop(place[2], None)
            if row is None or row[4] != stamp:
                made = _row(place, stamp)
                fresh.append(made)
                rows.append(made)
            else:
                rows.append(Listed._make(row))
        if fresh or known:
            marks = ", ".join("?" * len(COLUMNS))
            table.executemany(f"insert or replace into listed values ({marks})", fresh)
            table.executemany("delete from listed where folder = ?", [(folder,) for folder in known])
            table.commit()
    return rows


def _stamp(folder: str) -> str:
    """Of a result's record; empty where it has none."""
    try:
        told = os.stat(f"{folder}/record.json")
    except OSError:
        return ""
    return f"{told.st_mtime_ns} {told.st_size}"


def _row(place: Place, stamp: str) -> Listed:
    kind, key, folder, committed = place
    try:
        record = Entry(kind, key, Path(folder), committed).record
    except LabError:
        return Listed(*place, stamp)
    made, what = record["made"], record["what"]
    return Listed(
        *place, stamp, made["date"][:16], float(made.get("seconds", 0)), _says(record), str(what.get("items") or "")
    )


def _says(record: dict[str, Any]) -> str:
    what = record["what"]
    parts = (what.get(k) for k in ("context", "weights"))
    words = what.get("probe") or " ".join(str(p.get("name", "")) for p in parts if isinstance(p, dict))
    return f"{words} {record['result'].get('split', '')}".strip() if record["kind"] == "evaluation" else str(words)
