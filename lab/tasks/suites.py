"""Public suites as probe folders, from their own files and without a network: HellaSwag, ARC, WinoGrande, MMLU.

``import_suite("arc", Path("ARC-Challenge-Test.jsonl"), Path("probes/arc"))`` writes task.toml and test.jsonl, asked by
choice among candidates (log likelihood a character). The prompt's wording is the lab's own, so the numbers compare
before with after, not with a leaderboard.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.files import read_jsonl, write_jsonl
from lab.schema import LabError, Sample

Row = tuple[str, str, tuple[str, ...], int]
"""Id, input, candidates, place of the right one."""


def _hellaswag(number: int, row: dict[str, Any]) -> Row:
    return f"hellaswag-{row.get('ind', number)}", str(row["ctx"]), tuple(row["endings"]), int(row["label"])


def _arc(number: int, row: dict[str, Any]) -> Row:
    """AI2's own lines ({"question": {"stem", "choices"}}) or the flat ones ({"question",
    "choices": {"text", "label"}})."""
    question = row["question"]
    if isinstance(question, dict):
        text, choices, labels = (
            question["stem"],
            [c["text"] for c in question["choices"]],
            [c["label"] for c in question["choices"]],
        )
    else:
        text, choices, labels = question, list(row["choices"]["text"]), list(row["choices"]["label"])
    return str(row.get("id", f"arc-{number}")), text, tuple(choices), labels.index(row["answerKey"])


def _winogrande(number: int, row: dict[str, Any]) -> Row:
    """The sentence up to its gap is the input, either option with the rest of the sentence a candidate."""
    before, gap, after = row["sentence"].partition("_")
    if not gap:
        raise KeyError("a gap (_) in sentence")
    return (
        str(row.get("qID", f"winogrande-{number}")),
        before.strip(),
        (row["option1"] + after, row["option2"] + after),
        int(row["answer"]) - 1,
    )


def _mmlu(number: int, row: list[str]) -> Row:
    question, *choices, answer = row
    return f"mmlu-{number}", question, tuple(choices), "ABCD".index(answer.strip())


SUITES: dict[str, tuple[str, Callable[[int, Any], Row]]] = {
    "hellaswag": ("Finish the text.", _hellaswag),
    "arc": ("Answer the question.", _arc),
    "winogrande": ("Finish the sentence.", _winogrande),
    "mmlu": ("Answer the question.", _mmlu),
}


def import_suite(name: str, source: Path, out: Path, most: int = 200) -> int:
    """Write the probe folder and return its items (the first ``most``);
    raises LabError naming file and line of a row of another form."""
    if name not in SUITES:
        raise LabError(f"unknown suite {name!r}; one of {', '.join(SUITES)}")
    if not source.is_file():
        raise LabError(f"{source}: no such file")
    instruction, read = SUITES[name]
    samples: dict[str, Sample] = {}
    for number, row in _rows(source):
        if len(samples) == most:
            break
        try:
            key, text, choices, right = read(number, row)
            samples.setdefault(key, Sample(key, text, choices[right], choices=choices))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise LabError(f"{source}, line {number}: not a row of {name} ({error})") from None
    if not samples:
        raise LabError(f"{source}: the file has no rows")
    out.mkdir(parents=True, exist_ok=True)
    rows = samples.values()
    write_jsonl(
        out / "test.jsonl",
        ({"id": s.id, "input": s.input, "target": s.target, "choices": list(s.choices)} for s in rows),
    )
    (out / "task.toml").write_text(
        f'name = "{name}"\ninstruction = "{instruction}"\nscorer = "exact"\nsays = "{name}, by choice among '
        'candidates"\n',
        encoding="utf-8",
    )
    return len(samples)


def _rows(source: Path) -> Iterator[tuple[int, Any]]:
    if source.suffix != ".csv":
        yield from read_jsonl(source)
        return
    with open(source, encoding="utf-8-sig", newline="") as file:
        yield from ((n, row) for n, row in enumerate(csv.reader(file), 1) if row)
