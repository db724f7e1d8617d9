"""How long a completion may be and where it stops: by the task's targets, and by what a chat model writes unasked.

``with_room(decoding_for(task, model), task, model, store)`` holds for every arm of a study alike.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from lab.files import digest
from lab.models.local import LocalModel
from lab.models.prompts import render
from lab.schema import Decoding, Prompt
from lab.store import Draft, Store, write_completions
from lab.tasks.task import Task

TRIAL_ITEMS, TRIAL_TOKENS = 8, 96
"""Of the trial that says how much room a chat model's answers need."""


def decoding_for(task: Task, model: LocalModel) -> Decoding:
    """Room for the longest labelled target and a half more, at most half the window;
    stops at a line end where no target has one."""
    longest = max(len(model.encode_target(s.target)) for s in task.labelled)
    lines = any("\n" in s.target for s in task.labelled)
    blank = any("\n\n" in s.target for s in task.labelled)
    room = min(model.window // 2, longest + longest // 2 + 4)
    return Decoding(max_tokens=room, stop="" if blank else "\n\n" if lines else "\n")


def with_room(decoding: Decoding, task: Task, model: LocalModel, store: Store) -> Decoding:
    """Room for what a chat model writes when it is just asked: its sentences are longer than the targets.

    A trial of a few labelled items, stored like any result, asks for at most TRIAL_TOKENS; the targets' own room is
    never taken away. A base model goes on as it likes, so that its room stays that of the targets.
    """
    if not model.is_chat:
        return decoding
    written = max(_trial(decoding, task, model, store))
    return replace(decoding, max_tokens=max(decoding.max_tokens, min(TRIAL_TOKENS, written + written // 4)))


def written_in_trial(decoding: Decoding, task: Task, model: LocalModel, store: Store) -> float:
    """Mean tokens that a chat model wrote in the trial; of a base model, which goes on as it likes, all its room."""
    return fmean(_trial(decoding, task, model, store)) if model.is_chat else float(decoding.max_tokens)


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
        "decoding": asdict(trial),
    }

    def work(draft: Draft) -> dict[str, Any]:
        completions = model.complete(asked, trial)
        write_completions(draft.folder, completions)
        return {"items": len(asked), "split": "room", "tokens": [c.usage.completion_tokens for c in completions]}

    return store.once("evaluation", what, work, asdict(model.machine)).record["result"]["tokens"]
