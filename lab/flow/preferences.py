"""Rejected answers for training on preferences: those of the task, else the model's own wrong ones on training items.

Of its own: what the model answers wrongly as it comes to the preferences (after LoRA), and where it is right by then,
what the base answers wrongly. Items that both answer right teach nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lab.files import digest
from lab.schema import Completion, Sample, Score
from lab.tasks.task import Task

Answered = Callable[[], tuple[Sequence[Completion], Sequence[Score]]]
"""Completions of the training items and their scores, made when they are asked for."""


def given(task: Task) -> tuple[str, ...]:
    """The task's own rejected answers, one a training item (empty where a row has none); none at all where no row has
    one."""
    found = tuple(s.rejected for s in task.train)
    return found if any(found) else ()


def rests_on(task: Task, decoding: dict[str, Any], extraction: str) -> dict[str, Any]:
    """Part of the key of what is trained: what says which answers are rejected."""
    if own := given(task):
        return {"rejected": digest(list(own))}
    return {"rejected": {"own": {"decoding": decoding, "extraction": extraction, "scorer": task.scorer}}}


def rejected(task: Task, ways: Sequence[Answered]) -> tuple[str, ...]:
    """A rejected answer for each training item, empty where there is none; ``ways`` of answering in turn, until every
    item has one."""
    if own := given(task):
        return own
    found: dict[int, str] = {}
    for way in ways:
        if len(found) == len(task.train):
            break
        completions, scores = way()
        for number, (sample, completion, score) in enumerate(zip(task.train, completions, scores, strict=True)):
            if number not in found and _is_wrong(sample, completion, score):
                found[number] = completion.text.strip()
    return tuple(found.get(number, "") for number in range(len(task.train)))


def _is_wrong(sample: Sample, completion: Completion, score: Score) -> bool:
    """Neither right nor the answer with something around it, which would teach against the answer itself."""
    wrong = not completion.error and score.value < 1 and not score.parts.get("content")
    return wrong and completion.text.strip() not in ("", sample.target)
