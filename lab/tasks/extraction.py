"""What of a completion is its answer: a named setting that holds for every arm of a study.

``extract("last_line", "Let me see.\\nAnswer: 12")`` gives ``Answer: 12``; ``after_answer`` gives ``12``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from lab.schema import Completion, LabError, Sample, Score


def last_line(text: str) -> str:
    """The last line that holds anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def after_answer(text: str) -> str:
    """The rest of the line behind the last ``Answer:``; everything where there is none."""
    found = re.findall(r"answer\s*:[ \t]*(.*)", text, re.IGNORECASE)
    return found[-1].strip() if found else text


def first_json(text: str) -> str:
    """The first JSON object in the text, as it is written there; everything where there is none."""
    decoder = json.JSONDecoder()
    for start in (n for n, c in enumerate(text) if c == "{"):
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return text[start:end]
    return text


EXTRACTIONS: dict[str, Callable[[str], str]] = {
    "last_line": last_line,
    "after_answer": after_answer,
    "first_json": first_json,
}


def extract(name: str, text: str) -> str:
    """The answer in a completion; the whole completion where ``name`` is empty."""
    return EXTRACTIONS[name](text) if name else text


def require_extraction(name: str) -> str:
    """The name, or LabError where there is no such extraction."""
    if name and name not in EXTRACTIONS:
        raise LabError(f"--extract {name}: one of {', '.join(EXTRACTIONS)}")
    return name


def extracting(name: str, scorer: Callable[[Sample, Completion], Score]) -> Callable[[Sample, Completion], Score]:
    """A scorer of what is extracted; ``content`` is still looked for in the whole completion."""
    if not name:
        return scorer

    def score(sample: Sample, completion: Completion) -> Score:
        found = scorer(sample, replace(completion, text=extract(name, completion.text)))
        whole = scorer(sample, completion).parts
        content = {"content": max(found.parts["content"], whole["content"])} if "content" in whole else {}
        return replace(found, parts=found.parts | content)

    return score
