"""A user's file as rows, exactly as written: nothing is guessed away, and what can't be read is told with its line.

``read_table("tickets.csv")`` gives a Table: its columns, its rows with the line each begins in, what was recognised
(encoding, separator) as notes, and the lines that are no rows. CSV and TSV, JSONL, JSON arrays, Parquet, each also with
``.gz`` behind, and Hub dataset ids.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from lab.files import HALF, parsed, unrepeated
from lab.schema import LabError, extra, first_line

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
TABLES, LINES = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson")
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SHOWN = 10
"""Bad rows that are shown."""
LOOKED_AT = 200
"""First rows by which a separator is recognised."""


@dataclass(frozen=True)
class Row:
    """One row: the line of the file that it begins in, and its cells as the file has them."""

    line: int
    cells: dict[str, Any]


@dataclass
class Table:
    """What a file holds."""

    source: str
    columns: list[str]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    """(line, what is wrong with it) of what is no row."""


class Written(float):
    """A number of a JSON file that is shown as it was written: ``1.50`` and not ``1.5``."""

    text: str

    def __new__(cls, text: str) -> Written:
        """From its digits."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def as_text(value: Any) -> str:
    """A cell as text: numbers and ``true`` as they are written in JSON, lists and objects as compact JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return value.text
    if isinstance(value, float) and value != value:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)


def read_table(source: str, encoding: str = "", separator: str = "") -> Table:
    """The rows of a file; ``encoding`` and ``separator`` are recognised where they are not given.

    Raises LabError, in one line with file and line, for what is no table at all.
    """
    path = Path(source)
    if not path.exists():
        if source.count("/") <= 1 and not path.suffix:
            return _from_hub(source)
        raise LabError(f"{source}: no such file; lab init --example FOLDER writes one to begin with")
    if path.is_dir():
        raise LabError(f"{source}: a folder; name the file with the rows")
    if not path.is_file():
        raise LabError(f"{source}: neither a file nor a folder")
    kinds = [s.lower() for s in path.suffixes]
    zipped = kinds[-1:] == [".gz"]
    kind = (kinds[:-1] if zipped else kinds)[-1:]
    kind = kind[0] if kind else ""
    try:
        if kind == ".parquet":
            return _parquet(path)
        if kind not in (*TABLES, *LINES, ".json"):
            raise LabError(
                f"{path}: a .csv, .tsv, .jsonl, .json or .parquet file is needed (.gz behind it is fine), not "
                f"{kind or 'a file without ending'}"
            )
        raw = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    except (OSError, EOFError) as error:
        raise LabError(f"{path}: can't be read: {error}") from None
    if not raw.strip():
        raise LabError(f"{path}: the file is empty")
    text, found = decoded(raw, path, encoding)
    notes = [] if found in ("utf-8", "utf-8-sig") else [f"read as {found}"]
    table = _lines(path, text, kind) if kind in (*LINES, ".json") else _separated(path, text, kind, separator)
    table.notes[:0] = notes
    if not table.rows and not table.bad:
        raise LabError(f"{path}: the file has no rows")
    return table


# Text


def decoded(raw: bytes, path: Path, encoding: str = "") -> tuple[str, str]:
    """(text, the encoding it was read by): a byte order mark says it, else it is UTF-8, else one of Windows' letters
    where bytes are used that Latin-1 has no letter for."""
    mark = next((name for start, name in MARKS.items() if raw.startswith(start)), "")
    tried = [mark] if mark else [encoding] if encoding else ["utf-8"]
    try:
        return raw.decode(tried[0]).removeprefix("\ufeff"), tried[0]
    except LookupError:
        raise LabError(f"--encoding {encoding}: no such encoding; try utf-8, cp1252 or latin-1") from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = raw[:start].count(b"\n") + 1
        if mark or encoding:
            raise LabError(f"{path}, line {line}: not {tried[0]} text; name another with --encoding") from None
    if b"\0" in raw[:4096]:
        raise LabError(f"{path}, line {line}: not text; name its encoding, for instance --encoding utf-16-le")
    for name in ("cp1252", "latin-1") if any(0x80 <= b < 0xA0 for b in raw) else ("latin-1",):
        try:
            return raw.decode(name), name
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 has a letter for every byte")


# Separated values


class BrokenRecord(Exception):
    """A record of separated values that can't be read, and the line that it begins in."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line, self.words = line, words


def _separated(path: Path, text: str, kind: str, separator: str) -> Table:
    text, said = _said_separator(text)
    if separator:
        separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
        if len(separator) != 1:
            raise LabError(f"--separator {separator!r}: one character, or tab")
    chosen = separator or said or _likeliest(text, "\t" if kind == ".tsv" else ",")
    notes = [] if chosen == ("\t" if kind == ".tsv" else ",") else [f"separated by {SEPARATORS.get(chosen, chosen)}"]
    quoting = csv.QUOTE_NONE if chosen == "\t" and not _is_quoted(text) else csv.QUOTE_MINIMAL
    cell = rf'{re.escape(chosen)} +"[^"\n]*"(?:{re.escape(chosen)}|\r?$)'
    blanks = quoting != csv.QUOTE_NONE and re.search(cell, text, re.M) is not None
    shift = 1 if said else 0
    table = Table(str(path), [], [], notes)
    width, long = 0, 0
    try:
        for line, cells in _records(text, chosen, quoting, blanks):
            line += shift
            if not table.columns:
                table.columns = _named(cells)
                width = len(cells)
                continue
            if len(cells) > width and not any(c.strip() for c in cells[width:]):
                cells = cells[:width]
            if len(cells) > width:
                hint = f"; put quotes around a cell that holds a {SEPARATORS.get(chosen, 'separator')}"
                table.bad.append((line, f"{len(cells)} cells, and the header has {width}{hint}"))
                continue
            if problem := _unwritable("".join(cells)):
                table.bad.append((line, problem))
                continue
            long += any("\n" in c for c in cells)
            cells += [""] * (width - len(cells))
            table.rows.append(Row(line, dict(zip(table.columns, cells))))
    except BrokenRecord as error:
        raise LabError(
            f"{path}, line {error.line + shift}: {error.words}; a quote that opens a cell must close it, and one "
            "inside it is written twice"
        ) from None
    if long:
        table.notes.append(f"{long} rows hold line breaks inside quotes")
    return table


def _records(text: str, separator: str, quoting: int, blanks: bool) -> Iterator[tuple[int, list[str]]]:
    """(line it begins in, cells) of every record that is not blank."""
    # The module's own limit of a cell is 128 kB, for all readers of the process.
    csv.field_size_limit(2**31 - 1)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, quoting=quoting, skipinitialspace=blanks, strict=True)
    start = 1
    try:
        for cells in reader:
            if any(c.strip() for c in cells):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise BrokenRecord(start, str(error)) from None


def _said_separator(text: str) -> tuple[str, str]:
    """(the text without it, the separator) of a first line such as ``sep=;``, which Excel writes."""
    found = re.match(r"sep=(.)\r?\n", text)
    return (text[found.end() :], found[1]) if found else (text, "")


def _likeliest(text: str, usual: str) -> str:
    """The separator by which most of the first rows have the header's cells; the usual one where it does as well."""

    def fit(separator: str) -> tuple[float, int]:
        try:
            rows = [cells for _, cells in islice(_records(text, separator, csv.QUOTE_MINIMAL, False), LOOKED_AT)]
        except BrokenRecord:
            return (0.0, 0)
        width = len(rows[0]) if rows else 0
        if width < 2:
            return (0.0, 0)
        like = sum(len(r) == width for r in rows) / len(rows)
        return (like, width)

    found = {s: fit(s) for s in SEPARATORS}
    if found[usual][0] == 1.0:
        return usual
    best = max(SEPARATORS, key=lambda s: (found[s][0], s == usual, found[s][1]))
    header = text.split("\n", 1)[0]
    return best if found[best][0] > found[usual][0] and best in header and usual not in header else usual


def _is_quoted(text: str) -> bool:
    """Whether a tab-separated file sets cells in quotes: every cell that begins with one ends with one, in its line."""
    cells = [c for line in text.splitlines() for c in line.split("\t") if c.startswith('"')]
    return bool(cells) and all(len(c) > 1 and c.endswith('"') for c in cells)


def _named(cells: list[str]) -> list[str]:
    """Names of columns; one that stands twice gets a number, one without a name its place."""
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        name = cell.strip().strip('"') or f"column {place}"
        names.append(name if name not in names else f"{name} ({names.count(name) + 1})")
    return names


# JSON


def lines_of(source: str, text: str) -> Table:
    """The rows of JSON lines that are no file."""
    return _lines(Path(source), text, ".jsonl")


def _lines(path: Path, text: str, kind: str) -> Table:
    table, seen = Table(str(path), [], []), {}
    found = _array(path, text) if kind == ".json" and text.lstrip()[:1] == "[" else _objects(text)
    for line, value in found:
        if isinstance(value, LabError):
            table.bad.append((line, str(value)))
        elif not isinstance(value, dict):
            table.bad.append((line, f"a JSON object is needed, not {type(value).__name__}"))
        elif problem := _unwritable(json.dumps(value, ensure_ascii=False, default=str)):
            table.bad.append((line, problem))
        else:
            table.rows.append(Row(line, value))
            seen |= dict.fromkeys(value)
    table.columns = list(seen)
    return table


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _objects(text: str) -> Iterator[tuple[int, Any]]:
    """(line, object or what is wrong) of each line that isn't blank."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, parsed(line, parse_float=Written, parse_constant=_refuse)
        except ValueError as error:
            yield number, LabError(f"broken JSON ({error})")


BETWEEN = re.compile(r"[ \t\r\n]*")


def _array(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """(line it begins in, value) of each value of one JSON array."""
    decoder = json.JSONDecoder(parse_float=Written, parse_constant=_refuse, object_pairs_hook=unrepeated)
    place, line, counted = BETWEEN.match(text).end() + 1, 1, 0
    try:
        while True:
            place = BETWEEN.match(text, place).end()
            line, counted = line + text.count("\n", counted, place), place
            if text.startswith("]", place):
                break
            value, place = decoder.raw_decode(text, place)
            yield line, value
            place = BETWEEN.match(text, place).end()
            if text.startswith(",", place):
                place += 1
            elif not text.startswith("]", place):
                raise ValueError("a comma or the end of the array is missing")
        if rest := text[place + 1 :].strip():
            raise ValueError(f"behind the array stands {rest[:20]!r}")
    except (ValueError, RecursionError) as error:
        line = text.count("\n", 0, getattr(error, "pos", place)) + 1
        raise LabError(f"{path}, line {line}: broken JSON ({first_line(error)})") from None


def _unwritable(text: str) -> str:
    """What keeps a text from being written as UTF-8: half of a surrogate pair."""
    found = HALF.search(text)
    return f"holds half a character (\\u{ord(found[0]):x}); write the whole one" if found else ""


# Parquet and the Hub


def _parquet(path: Path) -> Table:
    import pyarrow.parquet

    try:
        read = pyarrow.parquet.read_table(path)
    except Exception as error:
        raise LabError(f"{path}: can't be read as parquet: {first_line(error)}") from None
    names = [n for n in read.column_names if not re.fullmatch(r"__index_level_\d+__", n)]
    return _from_values(str(path), names, read.select(names).to_pylist())


def _from_values(source: str, names: list[str], values: list[dict[str, Any]]) -> Table:
    """Rows of Python values; their lines are their places, from 1."""
    table = Table(source, names, [])
    for number, value in enumerate(values, 1):
        try:
            table.rows.append(Row(number, {k: _plain(v) for k, v in value.items()}))
        except UnicodeDecodeError:
            table.bad.append((number, "holds bytes that are no UTF-8 text"))
    if not table.rows and not table.bad:
        raise LabError(f"{source}: the file has no rows")
    return table


def _plain(value: Any) -> Any:
    """A value of Parquet as JSONL would give it: bytes are text, dates are ISO, nothing is None."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat() if value == value else None
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return str(value)


def _from_hub(name: str) -> Table:
    with extra("hub", f"{name}: no such file; to load it as a dataset of the Hub"):
        from datasets import load_dataset
    try:
        rows = load_dataset(name, split="train", trust_remote_code=False).to_list()
    except Exception as error:
        raise LabError(f"{name}: no such file, and as a Hub dataset it can't be loaded: {first_line(error)}") from None
    return _from_values(name, list(rows[0]) if rows else [], rows)


def refusal(bad: list[tuple[int, str]], source: str) -> LabError:
    """All bad rows in one error: the first ten, and how many there are."""
    shown = "; ".join(f"line {line}: {words}" for line, words in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    count = f"{len(bad)} bad rows: " if len(bad) > 1 else ""
    way = "; mend them, or leave them out with --skip-bad-rows" if len(bad) > 1 else ""
    return LabError(f"{source}, {count}{shown}{more}{way}")
