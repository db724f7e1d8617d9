"""A task is a folder: ``task.toml``, three JSONL splits and, where there is knowledge, documents.

``load_task("datasets/triage")`` reads and checks every row; a bad row raises with file and line, none is skipped.
"""

from __future__ import annotations

import json
import random
import shlex
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.files import digest, read_jsonl, require_file, write_jsonl
from lab.schema import Document, LabError, Sample, first_line
from lab.tasks.documents import read_documents
from lab.tasks.texts import SINGLE_NAME, UNSPACED, normalise

SPLITS = ("train", "validation", "test")
BUNDLED = Path("datasets")
"""Where a checkout, and ``lab generate``, have the bundled tasks."""
SAMPLE_FIELDS = {"id", "input", "target", "group", "evidence", "accept", "rejected", "choices"}


@dataclass(frozen=True)
class Task:
    """A loaded task."""

    name: str
    instruction: str
    scorer: str
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    documents: tuple[Document, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """Further keys of task.toml, such as ``record`` (the pattern of the record scorer) or ``licence``."""
    folder: str = ""
    closed_set: tuple[str, ...] = ()
    """Of a scoped task: the whole task's distinct targets."""
    test_of: int = 0
    """Where ``test`` is a part of the test items: how many there are."""

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split; raises LabError for an unknown name."""
        if name not in SPLITS:
            raise LabError(f"split {name!r}: one of {', '.join(SPLITS)}")
        return getattr(self, name)

    @property
    def labelled(self) -> tuple[Sample, ...]:
        """Train and validation together: what a data size counts."""
        return self.train + self.validation

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The distinct targets, sorted; of a scoped task the whole task's: known like the instruction. Spellings that
        are one to the label scorer are one label, in the most frequent spelling."""
        if self.closed_set:
            return self.closed_set
        counts = Counter(s.target for s in self.labelled)
        if self.scorer not in ("label", "exact", "any"):
            return tuple(sorted(counts))
        spelled: dict[str, str] = {}
        for target in sorted(counts, key=lambda t: (-counts[t], t)):
            spelled.setdefault(normalise(target), target)
        return tuple(sorted(spelled.values()))

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether a document is in a script without spaces."""
        return any(UNSPACED.search(d.text) for d in self.documents)

    @cached_property
    def asks_singles(self) -> bool:
        """Whether a question holds a single letter or digit that names something: ``C``, ``C++``, plan ``B``, step
        ``5``; the words A and I are none."""
        return any(SINGLE_NAME.search(s.input) for s in (*self.labelled, *self.test))

    @cached_property
    def documents_digest(self) -> str:
        """SHA-256 over the documents' ids, titles and texts."""
        return digest([asdict(d) for d in self.documents])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that the task says."""
        parts = {s: samples_digest(self.split(s)) for s in SPLITS}
        return digest(
            parts
            | {
                "instruction": self.instruction,
                "scorer": self.scorer,
                "documents": self.documents_digest,
                "record": self.settings.get("record", ""),
            }
            | ({k: self.settings.get(k, "") for k in ("judge", "criterion")} if self.scorer == "judge" else {})
        )

    def with_items(self, count: int) -> Task:
        """The task with ``count`` of its test items, always the same random ones, in their order; all where it has no
        more. A smaller part lies within a larger one, and groups stay whole but for the last one drawn."""
        if count < 1:
            raise LabError(f"--items {count}: at least 1")
        if count >= len(self.test):
            return self
        kept = set(self.test_as_drawn()[:count])
        return replace(self, test=tuple(s for s in self.test if s in kept), test_of=self.test_of or len(self.test))

    def test_as_drawn(self) -> list[Sample]:
        """The test items in the order in which ``with_items`` draws them, groups in one piece."""

        def drawn(sample: Sample) -> tuple[str, str]:
            return digest(["test items", sample.group or sample.id]), digest(sample.id)

        return sorted(self.test, key=drawn)

    def scoped(self, size: int | None, seed: int) -> Task:
        """The task as an arm with ``size`` labels sees it: train and validation redrawn for this seed, test untouched.

        A size counts train and validation together; a fifth of it (8 to 100 items) is validation. Groups stay whole
        where the size allows it: they are drawn in random order until the size is reached.
        """
        labelled = list(self.labelled)
        if size is not None and size > len(labelled):
            raise LabError(f"--sizes {size}: {self.name} has {len(labelled)} labelled items (train + validation)")
        size = size or len(labelled)
        validation_size = max(min(8, size // 2), min(100, size // 5))
        by_group: dict[str, list[Sample]] = {}
        for sample in labelled:
            by_group.setdefault(sample.group or sample.id, []).append(sample)
        groups = list(by_group.values())
        random.Random(f"labels {seed}").shuffle(groups)
        drawn = [s for group in groups for s in group][:size]
        boundary = drawn[validation_size].group or drawn[validation_size].id if size > validation_size else ""
        train = [s for s in drawn[validation_size:]]
        validation = [s for s in drawn[:validation_size] if (s.group or s.id) != boundary] or drawn[:validation_size]
        moved = [s for s in drawn[:validation_size] if s not in validation]
        return replace(self, train=tuple(train + moved), validation=tuple(validation), closed_set=self.labels)


def samples_digest(samples: tuple[Sample, ...] | list[Sample]) -> str:
    """SHA-256 over what the samples say, in their order."""
    return digest(
        [
            [
                s.id,
                s.input,
                s.target,
                s.group,
                list(s.evidence),
                list(s.accept),
                *([list(s.choices)] if s.choices else []),
                *([{"rejected": s.rejected}] if s.rejected else []),
            ]
            for s in samples
        ]
    )


def load_task(folder: str | Path) -> Task:
    """Read a task folder; raises LabError naming file and line for anything that can't be read."""
    folder = Path(folder)
    settings = _read_settings(folder)
    splits = {name: read_samples(folder / f"{name}.jsonl") for name in SPLITS}
    _refuse_duplicate_ids(folder, splits)
    known = {"name", "instruction", "scorer"}
    task = Task(
        name=settings.get("name", folder.name),
        instruction=settings["instruction"],
        scorer=settings["scorer"],
        documents=tuple(read_documents(folder)),
        settings={k: v for k, v in settings.items() if k not in known},
        folder=str(folder),
        **{k: tuple(v) for k, v in splits.items()},
    )
    document_ids = {d.id for d in task.documents}
    for name in SPLITS:
        for sample in task.split(name):
            missing = [e for e in sample.evidence if e not in document_ids]
            if missing:
                raise LabError(
                    f"{folder / name}.jsonl: {sample.id} names evidence {missing[0]!r}, but no document has that id"
                )
    return task


def load_probe_folder(folder: Path) -> Task:
    """A folder with task.toml and test.jsonl alone, as probes have it; raises LabError like ``load_task``."""
    settings = _read_settings(folder)
    samples = tuple(read_samples(folder / "test.jsonl"))
    _refuse_duplicate_ids(folder, {"test": list(samples)})
    known = {"name", "instruction", "scorer"}
    return Task(
        settings.get("name", folder.name),
        settings["instruction"],
        settings["scorer"],
        (),
        (),
        samples,
        (),
        {k: v for k, v in settings.items() if k not in known},
        str(folder),
    )


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "task.toml"
    if not folder.is_dir():
        raise LabError(_no_folder(folder))
    if not path.exists():
        raise LabError(
            f"{path}: missing; a task folder needs it with name, instruction and scorer: lab init FILE writes one"
        )
    require_file(path)
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise LabError(f"{path}: {first_line(error) or 'nested too deeply'}") from None
    if not isinstance(settings.get("name", ""), str):
        raise LabError(f"{path}: name must be text, in quotes")
    if beyond := next((name for name, value in settings.items() if not _is_plain(value)), None):
        raise LabError(f"{path}: {beyond} must be text, in quotes (a date is none)")
    for key in ("instruction", "scorer"):
        if not isinstance(settings.get(key), str):
            raise LabError(f"{path}: {key} is missing or no text")
    return settings


def _no_folder(folder: Path) -> str:
    """What to do where somebody names a task that is not there: a bundled one lies elsewhere, a file is made one."""
    bundled = BUNDLED / folder.name
    if folder.name == str(folder) and (bundled / "task.toml").is_file():
        return f"{folder}: no such task folder; the bundled task is {bundled}"
    if folder.is_file():
        return f"{folder}: a file and no task folder; make one of it with: lab init {shlex.quote(str(folder))}"
    return (
        f"{folder}: no such task folder; make one of a file with: lab init FILE --out {shlex.quote(str(folder))} "
        "(lab import does the same and asks nothing)"
    )


def _is_plain(value: Any) -> bool:
    """Whether JSON can hold a value of a TOML file; dates and times it can't."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def read_samples(path: Path) -> list[Sample]:
    """The samples of one JSONL file."""
    if not path.exists():
        raise LabError(
            f"{path}: missing; a task needs train.jsonl, validation.jsonl and test.jsonl: lab init FILE makes them"
        )
    samples = []
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        unknown = set(row) - SAMPLE_FIELDS
        if unknown:
            raise LabError(
                f"{where}: unknown field {sorted(unknown)[0]!r}; fields are {', '.join(sorted(SAMPLE_FIELDS))}"
            )
        for key in ("id", "input", "target"):
            if key not in row:
                raise LabError(f"{where}: field {key!r} is missing")
            if not isinstance(row[key], str):
                raise LabError(f"{where}: field {key!r} must be text, not {type(row[key]).__name__}")
        if not row["id"].strip():
            raise LabError(f"{where}: the id is empty")
        if not row["input"].strip() or not row["target"].strip():
            raise LabError(
                f"{where}: empty {'input' if not row['input'].strip() else 'target'}; remove the row or fill it"
            )
        if not isinstance(row.get("rejected") or "", str):
            raise LabError(f"{where}: field 'rejected' must be text, not {type(row['rejected']).__name__}")
        if (row.get("rejected") or "").strip() == row["target"].strip():
            raise LabError(f"{where}: target and rejected answer are the same")
        for key in ("evidence", "accept", "choices"):
            if not (isinstance(row.get(key) or [], list) and all(isinstance(e, str) for e in row.get(key) or [])):
                raise LabError(f"{where}: field {key!r} must be a list of texts")
        if row.get("choices") and row["target"] not in row["choices"]:
            raise LabError(f"{where}: the target {row['target'][:40]!r} is not among the choices")
        samples.append(
            Sample(
                row["id"],
                row["input"],
                row["target"],
                str(row.get("group") or ""),
                tuple(row.get("evidence") or ()),
                tuple(row.get("accept") or ()),
                tuple(row.get("choices") or ()),
                row.get("rejected") or "",
            )
        )
    if not samples:
        raise LabError(f"{path}: the file has no rows")
    return samples


def _refuse_duplicate_ids(folder: Path, splits: dict[str, list[Sample]]) -> None:
    seen: dict[str, str] = {}
    for name, samples in splits.items():
        for line, sample in enumerate(samples, 1):
            if sample.id in seen:
                raise LabError(
                    f"{folder / name}.jsonl, row {line}: id {sample.id!r} already stands in {seen[sample.id]}; ids "
                    "must differ"
                )
            seen[sample.id] = f"{name}.jsonl"


def _toml(value: Any) -> str:
    """A JSON value as TOML writes it: the one control character that JSON leaves bare is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_task(task: Task, folder: Path) -> None:
    """Write a task folder; the splits first, ``task.toml`` last, so that a half-written folder is no task."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        rows = []
        for s in task.split(name):
            row = {
                "id": s.id,
                "input": s.input,
                "target": s.target,
                "group": s.group,
                "evidence": list(s.evidence),
                "accept": list(s.accept),
                "rejected": s.rejected,
                "choices": list(s.choices),
            }
            rows.append({k: v for k, v in row.items() if v not in ("", [])})
        write_jsonl(folder / f"{name}.jsonl", rows)
    if task.documents:
        rows = ({k: v for k, v in asdict(d).items() if v} for d in task.documents)
        write_jsonl(folder / "documents.jsonl", rows)
    settings = {"name": task.name, "instruction": task.instruction, "scorer": task.scorer} | task.settings
    # A JSON string is a TOML basic string, and JSON numbers and booleans are TOML's.
    lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
    (folder / "task.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
