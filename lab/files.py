"""Files as every room reads and writes them: whole or not at all, with one line that says what is wrong.

``write_whole(path, text)`` replaces a file in one step; ``load(path, Study.of, "study", "lab decide")`` reads a record;
``digest(value)`` is the SHA-256 that keys and revisions are made of.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lab.schema import LabError, first_line

Record = TypeVar("Record")

CHECKPOINT = "checkpoint"
"""What an unfinished result keeps in this folder survives an interruption and is no part of the result."""
REVISION_BYTES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")
REVISION_TEXTS = ("chat_template.jinja", "modules.json")
REVISION_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")


HALF = re.compile("[\ud800-\udfff]")
ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""Halves of surrogate pairs, as they are and as JSON may write them."""


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(temporary, path)


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """An empty folder to fill; it becomes ``final`` where nothing is raised, else nothing of it stays."""
    making = final.with_name(f"{final.name}.unfinished")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        yield making
        making.rename(final)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_name(text: str) -> str:
    """A name that someone gave as one that can't lead anywhere: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^\w.-]+", "-", text).strip(".-")[:100] or "unnamed"


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """A value as JSON, written whole; compact without ``indent``."""
    separators = (",", ":") if indent is None else None
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=indent, separators=separators) + "\n")


def load(path: Path, build: Callable[[dict[str, Any]], Record], what: str, command: str) -> Record:
    """A record from a JSON file; raises LabError where it is missing or damaged, with the command that makes it."""
    require_file(path)
    try:
        return build(parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise LabError(f"{path}: no such {what}; make one with {command}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise LabError(f"{path}: damaged {what} ({error}); run {command} again") from None


def fitting(value: Any, kind: type[Record]) -> Record:
    """A JSON value as a dataclass, and those within it; raises ValueError, with the place, where a field is missing,
    unknown or of another type than its annotation says."""
    record = msgspec.convert(value, kind)
    if strange := next(_unknown(value, record), ""):
        raise ValueError(f"unknown field {strange!r}")
    return record


def _unknown(value: Any, record: Any) -> Iterator[str]:
    """Names in a JSON value that its dataclasses don't have."""
    if is_dataclass(record):
        yield from set(value) - {f.name for f in fields(record)}
        for name, inside in value.items():
            yield from _unknown(inside, getattr(record, name, None))
    elif isinstance(record, list | tuple):
        for inside, made in zip(value, record):
            yield from _unknown(inside, made)


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file of somebody's holds; raises LabError naming the file for anything else."""
    require_file(path)
    try:
        value = parsed(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LabError(f"{path}: not readable as JSON ({first_line(error)})") from None
    if not isinstance(value, dict):
        raise LabError(f"{path}: a JSON object is needed, not {type(value).__name__}")
    return value


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of its pairs (an ``object_pairs_hook``); raises ValueError for a key that stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice in one object")
    return found


def parsed(text: str, **how: Any) -> Any:
    """A JSON text as a value; raises ValueError with words for what is no JSON, is nested beyond reason, has a key
    twice in one object, or holds half a character."""
    try:
        value = json.loads(text, object_pairs_hook=unrepeated, **how)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if HALF.search(text) or (ESCAPED_HALF.search(text) and HALF.search(json.dumps(value, ensure_ascii=False))):
        raise ValueError("it holds half a character, which can't be written as UTF-8; write the whole one")
    return value


def require_file(path: Path) -> None:
    """Raises LabError for a folder, a pipe or a device in a file's place: reading one may never end."""
    if path.exists() and not path.is_file():
        raise LabError(f"{path}: a file is needed, and this is none")


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) for each line that isn't blank; raises LabError with the line of anything else."""
    require_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise LabError(
            f"{path}, line {line}: not UTF-8 text; save the file as UTF-8 (or give lab import --encoding)"
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = parsed(line)
        except ValueError as error:
            raise LabError(f"{path}, line {number}: broken JSON ({error})") from None
        if not isinstance(row, dict):
            raise LabError(f"{path}, line {number}: a JSON object is needed, not {type(row).__name__}")
        yield number, row


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One object a line, letters as they are."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def tell(text: str) -> None:
    """One line to whoever watches, beside the output: the work goes on."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def folder_revision(folder: Path) -> str:
    """SHA-256 over the weights, config and tokenizer of a model folder (what changes its output)."""
    sha = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in REVISION_BYTES:
            with open(path, "rb") as file:
                sha.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        elif path.name in REVISION_TEXTS:
            sha.update(path.name.encode() + path.read_bytes())
        elif path.name in REVISION_CONFIGS:
            kept = {k: v for k, v in read_object(path).items() if k not in ("transformers_version", "_name_or_path")}
            sha.update(path.name.encode() + json.dumps(kept, sort_keys=True).encode())
    return sha.hexdigest()


def lab_home() -> Path:
    """``LAB_HOME``, else the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("LAB_HOME") or platformdirs.user_cache_dir("decision-lab"))
