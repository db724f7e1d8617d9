"""From the files of ``shared/data`` to what ``lab import`` reads; nothing of it enters the repository.

python reports/real_data/prepare.py ../shared/data /tmp/real
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def rows(path: Path) -> list[dict]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write(path: Path, data: list[dict]) -> None:
    """JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in data), encoding="utf-8")


def record(row: dict) -> dict:
    """Intent and slots as one flat record; a slot that stands twice keeps its first value."""
    flat = {"intent": row["intent"]}
    for slot in row["slots"]:
        flat.setdefault(slot["slot"], slot["value"])
    return flat


def main(source: Path, out: Path) -> None:
    """Write snips/, clinc150/ and pubmedqa/ below ``out``."""
    for split in ("train", "test"):
        write(
            out / "snips" / f"{split}.jsonl",
            [
                {"id": r["id"], "input": r["text"], "target": record(r)}
                for r in rows(source / "snips" / f"{split}.jsonl")
            ],
        )
        write(
            out / "pubmedqa" / f"{split}.jsonl",
            [
                {"id": r["id"], "input": r["question"], "target": r["answer"], "evidence": [f"{r['id']}.txt"]}
                for r in rows(source / "pubmedqa" / f"{split}.jsonl")
            ],
        )
        for r in rows(source / "pubmedqa" / f"{split}.jsonl"):
            path = out / "pubmedqa" / "documents" / f"{r['id']}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(r["context"], encoding="utf-8")
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        write(
            out / "clinc150" / f"{name}.jsonl",
            [
                {"id": r["id"], "input": r["text"], "target": r["label"]}
                for r in rows(source / "clinc150" / f"{split}.jsonl")
            ],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
