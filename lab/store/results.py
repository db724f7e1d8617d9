"""Every result on disk, keyed by what produced it.

``LAB_HOME/results/<kind>/<key>/record.json`` is written last: a folder without it is no result. Committed studies
(``reports/*/results``) are read beneath. Errors are never stored; a lock per key keeps two runs from doing the same
work.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas
from filelock import FileLock

from lab.files import CHECKPOINT, digest, lab_home, parsed, sha256_of, tell, write_whole
from lab.schema import Completion, LabError, Usage, first_line

KINDS = ("adaptation", "evaluation", "choice")
COMMITTED = Path(__file__).resolve().parents[2] / "reports"


def key_of(what: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of everything that can change the output."""
    return digest(what)


Place = tuple[str, str, str, bool]
"""(kind, key, folder, whether it is committed) of a result."""


@dataclass(frozen=True)
class Entry:
    """One folder of the store."""

    kind: str
    key: str
    folder: Path
    committed: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """What produced the result, what it is, and where and when it was made; raises LabError where it is damaged."""
        try:
            record = parsed((self.folder / "record.json").read_text(encoding="utf-8"))
            if record["key"] != self.key or not isinstance(record["result"], dict):
                raise ValueError("the record belongs to another key")
            made = record["made"]
            if not (isinstance(record["what"], dict) and isinstance(made["date"], str)):
                raise ValueError("what it is of, or when it was made, is missing")
            if not isinstance(made.get("seconds", 0), int | float):
                raise ValueError("its seconds are no number")
            return record
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabError(f"{self.folder}: damaged result ({error}); remove it with: lab prune --damaged") from None

    @property
    def readable(self) -> bool:
        """Whether there is a record that can be read; its files are not looked at."""
        try:
            return (self.folder / "record.json").exists() and bool(self.record)
        except LabError:
            return False

    @property
    def fault(self) -> str:
        """What is wrong with it, every file held against its checksum; empty where nothing is.

        Weights may have been removed (``lab prune --weights``), and a committed result keeps some of its files only.
        """
        try:
            files = self.record.get("files", {})
        except LabError as error:
            return str(error)
        for name, wanted in files.items():
            path = self.folder / name
            if path.exists():
                if not path.is_file() or sha256_of(path) != wanted:
                    return f"{path}: damaged, its checksum is another than when it was written"
            elif not (self.committed or path.suffix == ".safetensors"):
                return f"{path}: missing"
        return ""

    @property
    def damaged(self) -> bool:
        """Whether anything is wrong with it."""
        return bool(self.fault)


class Store:
    """Results of one LAB_HOME, with committed ones beneath."""

    def __init__(
        self, home: Path | None = None, committed: Path | None = COMMITTED, committed_kinds: tuple[str, ...] = KINDS
    ) -> None:
        self.home, self.committed, self.committed_kinds = home or lab_home(), committed, committed_kinds
        self._told: set[str] = set()
        self._checked: set[Path] = set()
        """Results whose files were held against their checksums."""
        try:
            (self.home / "locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(
                f"LAB_HOME {self.home}: can't be written to ({error.strerror}); set LAB_HOME to a folder of yours"
            ) from None

    @property
    def cache(self) -> Path:
        """Embeddings: may be removed at any time."""
        return self.home / "cache"

    def find(self, kind: str, key: str) -> Entry | None:
        """The result with this key, own before committed; one whose record can't be read counts as missing."""
        return next((entry for entry in self._candidates(kind, key) if entry.readable), None)

    def whole(self, kind: str, key: str) -> Entry | None:
        """The same with all its files as they were written, looked at once; a damaged one is told and passed over."""
        for entry in self._candidates(kind, key):
            if not entry.readable:
                continue
            if entry.folder not in self._checked:
                if fault := entry.fault:
                    if fault not in self._told:
                        self._told.add(fault)
                        tell(f"{fault}; it is made again")
                    continue
                self._checked.add(entry.folder)
            return entry
        return None

    def _candidates(self, kind: str, key: str) -> Iterator[Entry]:
        yield Entry(kind, key, self.home / "results" / kind / key)
        if self.committed and self.committed.is_dir() and kind in self.committed_kinds:
            for study in sorted(p for p in self.committed.iterdir() if (p / "results").is_dir()):
                yield Entry(kind, key, study / "results" / kind / key, True)

    def once(
        self,
        kind: str,
        what: dict[str, Any],
        work: Callable[[Draft], dict[str, Any]],
        machine: dict[str, Any],
        accept: Callable[[Entry], bool] = lambda entry: True,
    ) -> Entry:
        """The stored result of ``what``, made by ``work`` where there is none that ``accept`` agrees to.

        ``work`` fills the draft's folder and returns the result; its seconds and ``machine`` are written beside it.
        """
        found = self.whole(kind, key_of(what))
        if found is not None and accept(found):
            return found
        with self.producing(kind, what, accept) as draft:
            if not draft.done:
                started = time.perf_counter()
                draft.result = work(draft)
                draft.made = {"machine": machine, "seconds": time.perf_counter() - started} | draft.made
        return draft.done

    def discard(self, key: str) -> None:
        """Remove what an interrupted work has left of a result."""
        with FileLock(self.home / "locks" / f"{key}.lock"):
            shutil.rmtree(self.home / "unfinished" / key, ignore_errors=True)

    @contextmanager
    def producing(
        self, kind: str, what: dict[str, Any], accept: Callable[[Entry], bool] = lambda entry: True
    ) -> Iterator[Draft]:
        """A draft to fill under the key's lock; stored when the block ends well.

        What an interrupted block left in the draft's checkpoint folder is there again the next time; an error that
        the work itself raises (LabError) removes it. ``draft.done`` is set where it is stored already (another process
        may have done it meanwhile) and ``accept`` agrees. Raises LabError on a full disk.
        """
        key = key_of(what)
        with FileLock(self.home / "locks" / f"{key}.lock"):
            draft = Draft(kind, key, what, self.home / "unfinished" / key)
            found = self.whole(kind, key)
            draft.done = found if found is not None and accept(found) else None
            if draft.done:
                yield draft
                return
            try:
                draft.folder.mkdir(parents=True, exist_ok=True)
                yield draft
                self._finish(draft)
            except LabError:
                shutil.rmtree(draft.folder, ignore_errors=True)
                raise
            except OSError as error:
                raise LabError(
                    f"{self.home}: {error.strerror or error}; what was stored before is intact, the same command goes "
                    "on"
                ) from error
            finally:
                if not (draft.folder / CHECKPOINT).exists():
                    shutil.rmtree(draft.folder, ignore_errors=True)

    def _finish(self, draft: Draft) -> None:
        record = {
            "key": draft.key,
            "kind": draft.kind,
            "what": draft.what,
            "made": provenance() | draft.made,
            "result": draft.result,
        }
        shutil.rmtree(draft.folder / CHECKPOINT, ignore_errors=True)
        files = sorted(p for p in draft.folder.rglob("*") if p.is_file())
        record["files"] = {p.relative_to(draft.folder).as_posix(): sha256_of(p) for p in files}
        write_whole(draft.folder / "record.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        final = self.home / "results" / draft.kind / draft.key
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            shutil.rmtree(final)
        os.replace(draft.folder, final)
        draft.done = Entry(draft.kind, draft.key, final)

    def entries(self) -> list[Entry]:
        """All results, own ones first."""
        return [Entry(kind, key, Path(folder), committed) for kind, key, folder, committed in self.places()]

    def places(self) -> list[Place]:
        """The same as (kind, key, folder, committed), for those who look at many."""
        roots = [(self.home / "results", False)]
        if self.committed and self.committed.is_dir():
            roots += [(p / "results", True) for p in sorted(self.committed.iterdir())]
        return [
            (kind, name, f"{root}/{kind}/{name}", committed)
            for root, committed in roots
            for kind in KINDS
            for name in _folders(root / kind)
        ]

    def prune(
        self,
        *,
        damaged: bool = False,
        weights: bool = False,
        older_than_days: float | None = None,
        everything: bool = False,
    ) -> tuple[int, int]:
        """Remove own results (or only their weights); returns (folders or files removed, bytes freed)."""
        removed = freed = 0
        for entry in self.entries():
            if entry.committed:
                continue
            age_days = (time.time() - entry.folder.stat().st_mtime) / 86_400
            if (
                everything
                or (damaged and entry.damaged)
                or (older_than_days is not None and age_days > older_than_days)
            ):
                freed += _size(entry.folder)
                shutil.rmtree(entry.folder)
                removed += 1
            elif weights and entry.kind == "adaptation":
                # The record stays: what was measured with these weights keeps its training log.
                for file in entry.folder.glob("*.safetensors"):
                    freed += file.stat().st_size
                    file.unlink()
                    removed += 1
        unfinished = self.home / "unfinished"
        if unfinished.is_dir() and (everything or damaged):
            freed += _size(unfinished)
            shutil.rmtree(unfinished)
        return removed, freed


@dataclass
class Draft:
    """A result on its way into the store."""

    kind: str
    key: str
    what: dict[str, Any]
    folder: Path
    done: Entry | None = None

    def __post_init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.made: dict[str, Any] = {}


def provenance() -> dict[str, Any]:
    """Date and versions that a result was made with."""
    packages = ("decision-lab", "torch", "transformers", "peft", "sentence-transformers", "faiss-cpu", "bm25s")
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except Exception:
            versions[package] = "not installed"
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions}


def _folders(place: Path) -> list[str]:
    """Names of the folders in a place, sorted; none where it is none."""
    if not place.is_dir():
        return []
    with os.scandir(place) as found:
        return sorted(e.name for e in found if e.is_dir())


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def write_completions(folder: Path, completions: list[Completion]) -> None:
    """Completions as compressed columns (``completions.parquet``)."""
    rows = [
        {
            "sample_id": c.sample_id,
            "text": c.text,
            "finished": c.finished,
            "error": c.error,
            "passages": list(c.passages),
            "cut_passages": c.cut_passages,
            "cut_examples": c.cut_examples,
            "prompt_tokens": c.usage.prompt_tokens,
            "completion_tokens": c.usage.completion_tokens,
            "cached_tokens": c.usage.cached_tokens,
            "seconds": c.usage.seconds,
        }
        for c in completions
    ]
    pandas.DataFrame(rows).to_parquet(folder / "completions.parquet", compression="zstd", index=False)


def read_completions(entry: Entry) -> list[Completion]:
    """The completions of an evaluation; raises LabError where the file is damaged."""
    try:
        table = pandas.read_parquet(entry.folder / "completions.parquet")
    except Exception as error:
        raise LabError(
            f"{entry.folder}: damaged completions ({first_line(error)}); remove them with: lab prune --damaged"
        ) from None
    return [
        Completion(
            r["sample_id"],
            r["text"],
            Usage(int(r["prompt_tokens"]), int(r["completion_tokens"]), int(r["cached_tokens"]), float(r["seconds"])),
            bool(r["finished"]),
            r["error"],
            tuple(r["passages"]),
            int(r["cut_passages"]),
            int(r["cut_examples"]),
        )
        for r in table.to_dict("records")
    ]
