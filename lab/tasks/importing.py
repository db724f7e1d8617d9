"""From a user's file to a task folder: ``import_task(Path("tickets.csv"),
input_column="text", target_column="label")``."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pandas

from lab.files import read_jsonl
from lab.schema import LabError, Sample, first_line
from lab.tasks.task import SPLITS, Task, read_document_folder
from lab.tasks.texts import likeness

INPUT_NAMES = ("input", "text", "question", "prompt", "query", "message", "sentence", "utterance")
TARGET_NAMES = ("target", "label", "answer", "output", "completion", "response", "intent", "category")
SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Columns:
    """Which column is what; empty where there is none."""

    input: str
    target: str
    id: str = ""
    group: str = ""
    evidence: str = ""


def read_table(source: str, encoding: str = "utf-8") -> pandas.DataFrame:
    """A CSV, TSV, JSONL or Parquet file, or a Hub dataset id (needs the ``hub`` extra and a network), as a table.

    The column ``__line__`` holds the line of the file a row came from. Raises LabError naming file and line.
    """
    path = Path(source)
    if not path.exists():
        if source.count("/") <= 1 and not path.suffix:
            return _read_hub(source)
        raise LabError(f"{source}: no such file")
    if path.stat().st_size == 0:
        raise LabError(f"{path}: the file is empty")
    suffix = path.suffix.lower()
    try:
        if suffix in (".jsonl", ".ndjson"):
            rows = [row | {"__line__": number} for number, row in read_jsonl(path)]
            table = pandas.DataFrame(rows)
        elif suffix == ".parquet":
            table = pandas.read_parquet(path)
            table["__line__"] = range(1, len(table) + 1)
        elif suffix in (".csv", ".tsv"):
            table = pandas.read_csv(
                path, dtype=str, keep_default_na=False, encoding=encoding, sep="\t" if suffix == ".tsv" else ","
            )
            table["__line__"] = range(2, len(table) + 2)
        else:
            raise LabError(
                f"{path}: a .csv, .tsv, .jsonl or .parquet file is needed, not {suffix or 'a file without ending'}"
            )
    except UnicodeDecodeError:
        line = _first_unreadable_line(path, encoding)
        raise LabError(
            f"{path}, line {line}: not {encoding} text; name its encoding, for instance --encoding latin-1"
        ) from None
    except LookupError:
        raise LabError(f"--encoding {encoding}: no such encoding; try utf-8, latin-1 or cp1252") from None
    except pandas.errors.ParserError as error:
        raise LabError(f"{path}: {str(error).strip()}") from None
    except pandas.errors.EmptyDataError:
        raise LabError(f"{path}: the file is empty") from None
    except (OSError, ValueError) as error:
        raise LabError(f"{path}: can't be read as {suffix}: {error}") from None
    if table.empty:
        raise LabError(f"{path}: the file has no rows")
    return table


def _first_unreadable_line(path: Path, encoding: str) -> int:
    """The reader's own position counts from the start of a block, so the lines are decoded one by one."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            return number
    return 1


def _read_hub(name: str) -> pandas.DataFrame:
    try:
        from datasets import load_dataset
    except ImportError:
        raise LabError(
            f"{name}: no such file; to load it as a Hub dataset install: pip install 'decision-lab[hub]'"
        ) from None
    try:
        table = load_dataset(name, split="train", trust_remote_code=False).to_pandas()
    except Exception as error:
        raise LabError(f"{name}: no such file, and as a Hub dataset it can't be loaded: {first_line(error)}") from None
    table["__line__"] = range(1, len(table) + 1)
    return table


def choose_columns(
    table: pandas.DataFrame,
    source: str,
    input_column: str = "",
    target_column: str = "",
    id_column: str = "",
    group_column: str = "",
    evidence_column: str = "",
) -> Columns:
    """The columns as given, else guessed by their usual names; raises LabError listing the columns there are."""
    names = [c for c in table.columns if c != "__line__"]

    def pick(given: str, usual: tuple[str, ...], option: str) -> str:
        if given and given not in names:
            raise LabError(f"{source}: no column {given!r} for --{option}; columns are {', '.join(names)}")
        found = given or next((n for u in usual for n in names if n.lower() == u), "")
        if not found and option in ("input", "target"):
            raise LabError(f"{source}: name the column with --{option}; columns are {', '.join(names)}")
        return found

    chosen = Columns(
        pick(input_column, INPUT_NAMES, "input"),
        pick(target_column, TARGET_NAMES, "target"),
        pick(id_column, ("id",), "id"),
        pick(group_column, ("group",), "group"),
        pick(evidence_column, ("evidence",), "evidence"),
    )
    if chosen.input == chosen.target:
        raise LabError(f"{source}: input and target are the same column {chosen.input!r}")
    return chosen


def samples_from(table: pandas.DataFrame, columns: Columns, source: str, prefix: str = "item") -> list[Sample]:
    """One sample a row; raises LabError with the line of an empty input or target, or a duplicate id."""
    samples, seen = [], {}
    for number, row in enumerate(table.to_dict("records")):
        where = f"{source}, line {row['__line__']}"
        text, target = _text(row.get(columns.input)), _text(row.get(columns.target))
        for value, column in ((text, columns.input), (target, columns.target)):
            if not value.strip():
                raise LabError(f"{where}: column {column!r} is empty; fill the row or remove it")
        identity = _text(row.get(columns.id)) if columns.id else f"{prefix}-{number}"
        if identity in seen:
            raise LabError(f"{where}: id {identity!r} already stands in line {seen[identity]}; ids must differ")
        seen[identity] = row["__line__"]
        evidence = row.get(columns.evidence) if columns.evidence else None
        ids = (
            tuple(str(e) for e in evidence)
            if isinstance(evidence, (list, tuple))
            else tuple(_text(evidence).split("|"))
            if _text(evidence)
            else ()
        )
        samples.append(Sample(identity, text, target, _text(row.get(columns.group)) if columns.group else "", ids))
    return samples


def _text(value: object) -> str:
    """A cell as text; structured targets become compact JSON."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value).strip()


def split_by_group(samples: list[Sample], seed: int = 0, shares: dict[str, float] = SHARES) -> dict[str, list[Sample]]:
    """Samples by split; what belongs together goes whole to one split, drawn from a fixed seed: items of one group, and
    inputs that are the same to a person, as ``lab check`` sees it."""
    groups = _together(samples)
    if len(groups) < 3:
        raise LabError(f"only {len(groups)} groups of items: at least 3 are needed for train, validation and test")
    order = sorted(groups)
    random.Random(f"split {seed}").shuffle(order)
    result: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for number, group in enumerate(order):
        left = [name for name in SPLITS if not result[name]]
        if left and len(order) - number <= len(left):
            name = left[0]
        else:
            name = max(SPLITS, key=lambda s: shares[s] * len(samples) - len(result[s]))
        result[name] += groups[group]
    return result


def _together(samples: list[Sample]) -> dict[str, list[Sample]]:
    """Items that share a group or an input, through others as well; by the first of their names."""
    first: dict[str, str] = {}

    def found(name: str) -> str:
        while first.setdefault(name, name) != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    keys = [f"\0{likeness(s.input)}" for s in samples]
    for sample, key in zip(samples, keys):
        if sample.group:
            one, other = sorted((found(sample.group), found(key)))
            first[one] = other
    groups: dict[str, list[Sample]] = {}
    for sample, key in zip(samples, keys):
        groups.setdefault(found(key), []).append(sample)
    return groups


def guess_scorer(samples: list[Sample]) -> str:
    """``json`` where every target is a JSON object, ``label`` where targets recur,
    else ``exact`` for short and ``f1`` for long ones."""

    def is_object(text: str) -> bool:
        try:
            return isinstance(json.loads(text), dict)
        except ValueError:
            return False

    if all(s.target.startswith("{") and is_object(s.target) for s in samples):
        return "json"
    distinct = {s.target for s in samples}
    if len(distinct) * 4 <= len(samples) and max(len(t.split()) for t in distinct) <= 6:
        return "label"
    return "exact" if sum(len(s.target.split()) for s in samples) / len(samples) <= 6 else "f1"


def import_task(
    source: str,
    *,
    name: str,
    instruction: str = "",
    scorer: str = "",
    documents: Path | None = None,
    test_source: str = "",
    validation_source: str = "",
    encoding: str = "utf-8",
    seed: int = 0,
    **columns: str,
) -> tuple[Task, Columns]:
    """A task from one file (split by group 60/15/25) or from separate train, validation and test files."""

    def read(file: str, prefix: str) -> tuple[list[Sample], Columns]:
        table = read_table(file, encoding)
        chosen = choose_columns(table, file, **columns)
        return samples_from(table, chosen, file, prefix), chosen

    samples, chosen = read(source, "train" if test_source else "item")
    if test_source:
        test, _ = read(test_source, "test")
        if validation_source:
            validation, _ = read(validation_source, "validation")
            splits = {"train": samples, "validation": validation, "test": test}
        else:
            parts = split_by_group(samples, seed, {"train": 0.8, "validation": 0.2, "test": 0.0})
            splits = {"train": parts["train"] + parts["test"], "validation": parts["validation"], "test": test}
    else:
        splits = split_by_group(samples, seed)
    scorer = scorer or guess_scorer(samples)
    task = Task(
        name=name,
        instruction=instruction or default_instruction(scorer),
        scorer=scorer,
        documents=tuple(read_document_folder(documents)) if documents else (),
        settings={"source": Path(source).name},
        **{k: tuple(v) for k, v in splits.items()},
    )
    return task, chosen


def default_instruction(scorer: str) -> str:
    """A plain instruction where the user gave none; ``task.toml`` is the place to better it."""
    return {
        "label": "Give the label.",
        "json": "Write the record as JSON.",
        "record": "Write the record.",
        "number": "Answer with a number.",
    }.get(scorer, "Answer the question.")
