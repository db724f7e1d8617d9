"""What people want answered: a file of inputs without targets, and the file that the answers grow in.

``read_inputs("new.csv")`` gives [(id, input), ...]; ``AnswerFile(Path("answers.jsonl"), inputs).left`` are those that a
stopped run has not answered yet.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.files import read_jsonl
from lab.schema import LabError
from lab.tasks.tables import Table, as_text, lines_of, read_table, refusal

FIELDS = ("id", "input", "answer", "problem", "passages")
"""Of an answered row; ``problem`` is empty where the answer is whole."""
Inputs = list[tuple[str, str]]


def read_inputs(source: str, column: str = "") -> Inputs:
    """(id, input) of every row of a table (``-``: of standard input, one JSON object or one plain text a line).

    The input is the ``column``, else the one called ``input``, else the only one; ids are the rows' numbers where there
    is no column ``id``. Raises LabError for rows that can't be read, all at once, and for ids that stand twice.
    """
    table = _standard_input() if source == "-" else read_table(source)
    if table.bad:
        raise refusal(table.bad, source)
    column = _column(table, column)
    found: dict[str, str] = {}
    for number, row in enumerate(table.rows, 1):
        identity = as_text(row.cells.get("id")) or str(number)
        text = as_text(row.cells.get(column))
        if not text:
            raise LabError(f"{source}, line {row.line}: {column} is empty")
        if identity in found:
            raise LabError(f"{source}, line {row.line}: the id {identity!r} stands twice")
        found[identity] = text
    return list(found.items())


def _column(table: Table, wanted: str) -> str:
    others = [c for c in table.columns if c != "id"]
    if wanted and wanted not in table.columns:
        raise LabError(f"{table.source}: no column {wanted!r}; there are {', '.join(table.columns)}")
    if not wanted and "input" not in others and len(others) != 1:
        raise LabError(f"{table.source}: which column is the input? Say --input with one of {', '.join(others)}")
    return wanted or ("input" if "input" in others else others[0])


def _standard_input() -> Table:
    text = sys.stdin.read()
    if text.lstrip()[:1] == "{":
        return lines_of("standard input", text)
    rows = [{"input": line} for line in text.splitlines() if line.strip()]
    if not rows:
        raise LabError("standard input: nothing to answer")
    return lines_of("standard input", "".join(json.dumps(r) + "\n" for r in rows))


class AnswerFile:
    """Answers as they come, in a file (CSV by its ending, else JSONL) that a stopped run goes on with, or on standard
    output.

    Raises LabError where the file holds answers to other inputs: they would be lost, or mixed.
    """

    def __init__(self, path: Path | None, inputs: Inputs) -> None:
        self.path, asked = path, dict(inputs)
        self.is_csv = path is not None and path.suffix.lower() == ".csv"
        known = self._known() if path is not None and path.exists() else []
        for row in known:
            if asked.get(row["id"]) != row["input"]:
                raise LabError(f"--out {path}: holds the answer to another input (id {row['id']!r}); name a new file")
        answered = {row["id"] for row in known}
        self.known, self.left = len(known), [(i, text) for i, text in inputs if i not in answered]

    def _known(self) -> list[dict[str, str]]:
        """Whole rows that are there; a last one that was cut off is taken away."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            content = content[: content.rfind(b"\n") + 1]
            self.path.write_bytes(content)
        if not content:
            return []
        rows = self._rows() if self.is_csv else [row for _, row in read_jsonl(self.path)]
        for row in rows:
            if not {"id", "input", "answer"} <= row.keys():
                raise LabError(f"--out {self.path}: is there and holds no answers; name a new file")
        return [{k: as_text(row[k]) for k in ("id", "input")} for row in rows]

    def _rows(self) -> list[dict[str, Any]]:
        table = read_table(str(self.path), "utf-8", ",")
        if table.bad:
            raise refusal(table.bad, f"--out {self.path}")
        return [row.cells for row in table.rows]

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows (of FIELDS) behind those that are there."""
        text = self._csv(rows) if self.is_csv else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        if self.path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(text)

    def _csv(self, rows: Sequence[dict[str, Any]]) -> str:
        written = io.StringIO()
        writer = csv.DictWriter(written, FIELDS, lineterminator="\n")
        if not self.path.exists() or not self.path.stat().st_size:
            writer.writeheader()
        writer.writerows({k: " ".join(v) if isinstance(v, list) else v for k, v in r.items()} for r in rows)
        return written.getvalue()
