"""How long a completion may be and where it stops: by the task's targets, and by what a chat model writes unasked.

``with_room(decoding_for(task, model), task, model, store)`` holds for every arm of a study alike.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from lab.files import digest
from lab.models.base import require
from lab.models.local import LocalModel
from lab.models.prompts import render
from lab.schema import Decoding, LabError, Prompt
from lab.store import Draft, Store, write_completions
from lab.tasks.allowed import allowed_answers
from lab.tasks.task import Task

TRIAL_ITEMS, TRIAL_TOKENS = 8, 96
"""Of the trial that says how much room a chat model's answers need."""


WAYS = {
    "free": "whatever the model writes",
    "constrained": "only what the task allows: its labels, its JSON, its records",
    "choose": "the likeliest of the labels, by likelihood a character",
    "choose_whole": "the likeliest of the labels, by the likelihood of the whole",
}
"""Ways of decoding, each for all arms of a study alike."""


def decoding_for(task: Task, model: LocalModel, way: str = "free", extraction: str = "") -> Decoding:
    """Room for the longest labelled target and a half more, at most half the window;
    stops at a line end where no target has one, and nowhere where an answer is ``extracted`` from more.

    Raises LabError for an unknown way, and for one that the task's answers don't have.
    """
    if way not in WAYS:
        raise LabError(f"--decoding {way}: one of {', '.join(WAYS)}")
    free = _free(task, model, extraction)
    if way == "free":
        return free
    require(model, ["choose"], f"--decoding {way}")
    if extraction:
        raise LabError(f"--extract {extraction}: with --decoding {way} the whole completion is the answer")
    allowed = allowed_answers(task)
    if way == "constrained":
        # A grammar knows where it ends; a record may hold what else would be taken for the end.
        return replace(free, allowed=json.dumps(allowed, ensure_ascii=False), stop="")
    if "labels" not in allowed:
        raise LabError(f"--decoding {way}: {task.name} has no closed set of labels to choose from")
    by = "per_character" if way == "choose" else "whole"
    return replace(free, allowed=json.dumps(allowed, ensure_ascii=False), choose=by)


def _free(task: Task, model: LocalModel, extraction: str) -> Decoding:
    longest = max(model.target_tokens(s.target) for s in task.labelled)
    lines = any("\n" in s.target for s in task.labelled)
    blank = any("\n\n" in s.target for s in task.labelled)
    room = min(model.window // 2, longest + longest // 2 + 4)
    if extraction:
        return Decoding(max_tokens=min(model.window // 2, room + TRIAL_TOKENS), stop="")
    return Decoding(max_tokens=room, stop="" if blank else "\n\n" if lines else "\n")


def with_room(decoding: Decoding, task: Task, model: LocalModel, store: Store) -> Decoding:
    """Room for what a chat model writes when it is just asked: its sentences are longer than the targets.

    A trial of a few labelled items, stored like any result, asks for at most TRIAL_TOKENS; the targets' own room is
    never taken away. A base model goes on as it likes, so that its room stays that of the targets.
    """
    if not model.is_chat or decoding.allowed:
        return decoding
    written = max(_trial(decoding, task, model, store))
    return replace(decoding, max_tokens=max(decoding.max_tokens, min(TRIAL_TOKENS, written + written // 4)))


def written_in_trial(decoding: Decoding, task: Task, model: LocalModel, store: Store) -> float:
    """Mean tokens that a chat model wrote in the trial; of a base model, which goes on as it likes, all its room."""
    if decoding.choose:
        return 1.0
    free = model.is_chat and not decoding.allowed
    return fmean(_trial(decoding, task, model, store)) if free else float(decoding.max_tokens)


def _trial(decoding: Decoding, task: Task, model: LocalModel, store: Store) -> list[int]:
    """Tokens of each answer of a chat model that is just asked, stored like any result."""
    samples = task.labelled[:TRIAL_ITEMS]
    asked = [(s.id, Prompt(task.instruction, s.input)) for s in samples]
    trial = replace(decoding, max_tokens=min(model.window // 2, TRIAL_TOKENS))
    what = {
        "kind": "evaluation",
        "model": model.revision,
        "room": digest([[i, render(p)] for i, p in asked]),
        "items": digest([[s.id, s.input] for s in samples]),
        "decoding": trial.as_json(),
    }

    def work(draft: Draft) -> dict[str, Any]:
        completions = model.complete(asked, trial)
        write_completions(draft.folder, completions)
        return {"items": len(asked), "split": "room", "tokens": [c.usage.completion_tokens for c in completions]}

    return store.once("evaluation", what, work, asdict(model.machine)).record["result"]["tokens"]
