"""How often the test items have been looked at: by specs that were completed on them, and by people.

``note_test_look(home, task, "rag against lora")`` writes a person's look down; ``count_test_looks(store, study)``
counts all of them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from lab.store.listing import listed
from lab.tasks.task import Task


def note_test_look(home: Path, task: Task, what: str) -> int:
    """Write down that a person looked at test items; how many such looks there have been."""
    path = home / "looks" / f"{task.digest[:16]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"date": datetime.now(UTC).isoformat(timespec="seconds"), "what": what}) + "\n")
    return len(path.read_text(encoding="utf-8").splitlines())


def count_test_looks(store, study) -> int:
    """How many specs have been completed on exactly these test items, ever, in this store,
    and how often a person looked: each is a look."""
    keys = {c.evaluation for c in study.cells if c.evaluation}
    evaluations = [row for row in listed(store) if row.kind == "evaluation" and row.items]
    wanted = {row.items for row in evaluations if row.key in keys}
    people = store.home / "looks" / f"{study.task['digest'][:16]}.jsonl"
    specs = {row.key for row in evaluations if row.items in wanted}
    return len(specs) + (len(people.read_text(encoding="utf-8").splitlines()) if people.exists() else 0)
