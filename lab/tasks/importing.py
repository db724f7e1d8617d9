"""From a user's file to a task folder: ``import_task("tickets.csv", name="tickets", input_column="text")``."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.files import HALF
from lab.schema import LabError, Sample
from lab.tasks.documents import read_document_folder
from lab.tasks.scorers import scorer_for, target_reader
from lab.tasks.shapes import shaped
from lab.tasks.tables import Table, as_text, read_table, refusal
from lab.tasks.task import SPLITS, Task
from lab.tasks.texts import count_words, likeness, normalise

INPUT_NAMES = ("input", "text", "question", "prompt", "query", "message", "sentence", "utterance")
TARGET_NAMES = ("target", "label", "answer", "output", "completion", "response", "intent", "category")
SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
FEWEST_GROUPS = 3
"""Groups that a guessed group column must have: fewer can't be split."""


@dataclass(frozen=True)
class Columns:
    """Which column is what; empty where there is none."""

    input: str
    target: str
    id: str = ""
    group: str = ""
    evidence: str = ""
    accept: str = ""
    rejected: str = ""


@dataclass
class Imported:
    """A task, and what became of the file."""

    task: Task
    columns: Columns
    notes: list[str] = field(default_factory=list)
    """What was recognised, and what is not used."""
    skipped: list[tuple[str, int, str]] = field(default_factory=list)
    """(file, line, why) of rows that were left out as asked."""


def choose_columns(
    table: Table,
    input_column: str = "",
    target_column: str = "",
    id_column: str | None = None,
    group_column: str | None = None,
    evidence_column: str | None = None,
    documents: frozenset[str] = frozenset(),
) -> tuple[Columns, list[str]]:
    """(the columns as given, else guessed by their usual names; why a guess was not taken).

    Of the last three ``None`` lets guess and an empty name says that there is none; a guess is taken only where it
    can serve: ids that all differ, groups enough to split by, evidence that names ``documents``. Raises LabError
    listing the columns there are.
    """
    names, notes = table.columns, []

    def known(given: str, option: str) -> str:
        if given and given not in names:
            raise LabError(f"{table.source}: no column {given!r} for --{option}; columns are {', '.join(names)}")
        return given

    def required(given: str, wanted: tuple[str, ...], option: str) -> str:
        found = known(given, option) or usual(names, wanted)
        if not found:
            raise LabError(f"{table.source}: name the column with --{option}; columns are {', '.join(names)}")
        return found

    def guessed(given: str | None, option: str, why_not: Callable[[list[Any]], str]) -> str:
        if given is not None:
            return known(given, option)
        found = usual(names, (option,))
        if found and (why := why_not([row.cells.get(found) for row in table.rows])):
            notes.append(f"{found} is not taken for --{option}: {why}")
            return ""
        return found

    def no_ids(values: list[Any]) -> str:
        texts = [as_text(v) for v in values]
        return "" if all(texts) and len(set(texts)) == len(texts) else "its values repeat or are empty"

    def no_groups(values: list[Any]) -> str:
        return "" if len({as_text(v) for v in values}) >= FEWEST_GROUPS else f"fewer than {FEWEST_GROUPS} groups"

    def no_evidence(values: list[Any]) -> str:
        return "" if all(set(evidence_of(v)) <= documents for v in values) else "its values name no documents"

    chosen = Columns(
        required(input_column, INPUT_NAMES, "input"),
        required(target_column, TARGET_NAMES, "target"),
        guessed(id_column, "id", no_ids),
        guessed(group_column, "group", no_groups),
        guessed(evidence_column, "evidence", no_evidence),
        usual(names, ("accept",)),
        usual(names, ("rejected",)),
    )
    if chosen.input == chosen.target:
        raise LabError(f"{table.source}: input and target are the same column {chosen.input!r}")
    if unused := [n for n in names if n not in vars(chosen).values()]:
        notes.append(f"not used: {', '.join(unused)}")
    return chosen, notes


def usual(names: list[str], wanted: tuple[str, ...]) -> str:
    """The column that is called as such columns usually are; empty where there is none."""
    return next((n for u in wanted for n in names if n.lower() == u), "")


def evidence_of(value: Any) -> tuple[str, ...]:
    """Ids of documents: a list, or one text with ``|`` between them."""
    if isinstance(value, list):
        return tuple(as_text(v) for v in value)
    text = as_text(value)
    return tuple(part.strip() for part in text.split("|")) if text else ()


def samples_from(
    table: Table, columns: Columns, prefix: str = "item", read: Callable[[str], object] | None = None
) -> list[Sample]:
    """One sample a row; rows that are none (an empty input or target, a target that ``read`` refuses, an id that
    stands twice) join the table's bad ones."""
    samples, seen = [], {}
    for number, row in enumerate(table.rows):
        text, target = (as_text(row.cells.get(c)) for c in (columns.input, columns.target))
        identity = as_text(row.cells.get(columns.id)) if columns.id else f"{prefix}-{number}"
        empty = next((c for v, c in ((text, columns.input), (target, columns.target)) if not v), None)
        if empty is not None:
            table.bad.append((row.line, f"column {empty!r} is empty; fill the row or remove it"))
        elif not identity:
            table.bad.append((row.line, f"column {columns.id!r} is empty, and ids are taken from it"))
        elif identity in seen:
            table.bad.append((row.line, f"id {identity!r} already stands in line {seen[identity]}; ids must differ"))
        elif why := _unread(target, read):
            table.bad.append((row.line, why))
        else:
            seen[identity] = row.line
            group = as_text(row.cells.get(columns.group)) if columns.group else ""
            evidence = evidence_of(row.cells.get(columns.evidence)) if columns.evidence else ()
            accept = evidence_of(row.cells.get(columns.accept)) if columns.accept else ()
            other = as_text(row.cells.get(columns.rejected)) if columns.rejected else ""
            other = "" if other == target else other
            accept = tuple(a for a in accept if a)
            samples.append(Sample(identity, text, target, group, evidence, accept, rejected=other))
    return samples


def _unread(target: str, read: Callable[[str], object] | None) -> str:
    """Why nobody could match a target; empty where the scorer can read it."""
    try:
        if read:
            read(target)
    except (ValueError, RecursionError) as error:
        return f"the target can't be scored: {str(error)[:120]}"
    return ""


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
    """``json`` where every target is a JSON object, ``any`` where further answers are accepted, ``label`` where targets
    recur, else ``exact`` for short and ``f1`` for long ones."""

    def is_object(text: str) -> bool:
        try:
            return isinstance(json.loads(text), dict)
        except (ValueError, RecursionError):
            return False

    if all(s.target.startswith("{") and is_object(s.target) for s in samples):
        return "json"
    if any(s.accept for s in samples):
        return "any"
    distinct = {normalise(s.target) for s in samples}
    if len(distinct) * 4 <= len(samples) and max(map(count_words, distinct)) <= 6:
        return "label"
    return "exact" if sum(count_words(s.target) for s in samples) / len(samples) <= 6 else "f1"


def import_task(
    source: str,
    *,
    name: str,
    instruction: str = "",
    scorer: str = "",
    documents: Path | None = None,
    test_source: str = "",
    validation_source: str = "",
    encoding: str = "",
    separator: str = "",
    decimal: str = "",
    seed: int = 0,
    skip_bad_rows: bool = False,
    **columns: str | None,
) -> Imported:
    """A task from one file (split by group 60/15/25) or from separate train, validation and test files.

    Raises LabError with all rows that can't be read; with ``skip_bad_rows`` they are left out and told.
    """
    if validation_source and not test_source:
        raise LabError(f"--validation {validation_source}: only beside a --test file; one file is split by the lab")
    if HALF.search(instruction):
        raise LabError("--instruction: not text as this terminal's encoding has it")
    settings: dict[str, Any] = {"source": Path(source).name} | ({"decimal": decimal} if decimal else {})
    left_out: list[str] = []
    texts = tuple(read_document_folder(documents, left_out)) if documents else ()
    result = Imported(None, None, [])
    read = target_reader(scorer, settings, source) if scorer else None

    def samples_of(file: str, prefix: str) -> list[Sample]:
        table = shaped(read_table(file, encoding, separator))
        if table.bad and not table.rows and not skip_bad_rows:
            raise refusal(table.bad, file)
        chosen, notes = choose_columns(table, documents=frozenset(d.id for d in texts), **columns)
        samples = samples_from(table, chosen, prefix, read)
        if table.bad and not skip_bad_rows:
            raise refusal(sorted(table.bad), file)
        if not samples:
            raise LabError(f"{file}: no row is left; the first: line {table.bad[0][0]}: {table.bad[0][1]}")
        result.skipped += [(file, line, why) for line, why in sorted(table.bad)]
        result.columns = result.columns or chosen
        result.notes += [n for n in (*table.notes, *notes) if n not in result.notes]
        return samples

    samples = samples_of(source, "train" if test_source else "item")
    if test_source:
        test = samples_of(test_source, "test")
        if validation_source:
            splits = {"train": samples, "validation": samples_of(validation_source, "validation"), "test": test}
        else:
            parts = split_by_group(samples, seed, {"train": 0.8, "validation": 0.2, "test": 0.0})
            splits = {"train": parts["train"] + parts["test"], "validation": parts["validation"], "test": test}
    else:
        splits = split_by_group(samples, seed)
    scorer = scorer or guess_scorer(samples)
    result.notes += left_out
    task = Task(
        name=name,
        instruction=instruction or default_instruction(scorer),
        scorer=scorer,
        documents=texts,
        settings=settings,
        **{k: tuple(v) for k, v in splits.items()},
    )
    if ":" not in scorer:
        scorer_for(task)
    result.task = task
    return result


def default_instruction(scorer: str) -> str:
    """A plain instruction where the user gave none; ``task.toml`` is the place to better it."""
    return {
        "label": "Give the label.",
        "json": "Write the record as JSON.",
        "record": "Write the record.",
        "number": "Answer with a number.",
    }.get(scorer, "Answer the question.")
