"""Instructions to try: those of the task, else what a chat model proposes from its own errors on training items.

``to_try(task, model, store, size)`` sees the labelled items that a search of this size may use, and no test item.
"""

from __future__ import annotations

from dataclasses import replace

from lab.flow.asking import completed
from lab.flow.decoding import decoding_for
from lab.models.local import LocalModel
from lab.schema import Completion, Decoding, LabError, Prompt, Sample
from lab.store import Store
from lab.study import SEARCH_DRAW
from lab.tasks.scorers import scorer_for
from lab.tasks.task import Task

PROPOSALS, ERRORS = 3, 4
"""Proposals, and the errors that each is made from."""
LOOKED_AT = 48
"""Training items that are asked for errors, at most."""
ROOM = 96
ROLE = "You write instructions for a language model."
WANTED = (
    "Write one better instruction for this task, in one or two sentences, so that answers like the right ones are "
    "given. Write only the instruction."
)


def to_try(task: Task, model: LocalModel, store: Store, size: int) -> tuple[str, ...]:
    """The task's own list, or proposals; raises LabError where there can be neither."""
    if written := own(task):
        return written
    if not model.is_chat:
        raise LabError(
            f"instruction_search: {model.name} is no chat model, which could propose instructions; write some into "
            f'{task.folder or task.name}/task.toml: instructions = ["...", "..."]'
        )
    return _proposed(task.scoped(size, SEARCH_DRAW), model, store)


def own(task: Task) -> tuple[str, ...]:
    """``instructions`` of task.toml; raises LabError where it is no list of texts."""
    written = task.settings.get("instructions", [])
    if not isinstance(written, list) or not all(isinstance(t, str) and t.strip() for t in written):
        raise LabError(f'{task.folder}/task.toml: instructions must be a list of texts: ["...", "..."]')
    return tuple(written)


def _proposed(task: Task, model: LocalModel, store: Store) -> tuple[str, ...]:
    """What the model proposes from its errors, a few errors a proposal; none where it makes none."""
    samples, decoding = task.train[:LOOKED_AT], decoding_for(task, model)
    asked = [(s.id, Prompt(task.instruction, s.input)) for s in samples]
    answers = completed("proposing", asked, decoding, model, store, "train")
    # Nothing of the user's own code runs for a proposal: what differs from the target is an error.
    right = scorer_for(replace(task, scorer="exact") if ":" in task.scorer else task)
    wrong = [(s, c) for s, c in zip(samples, answers) if not c.error and not right(s, c).value]
    sets = [wrong[i : i + ERRORS] for i in range(0, len(wrong), ERRORS)][:PROPOSALS]
    if not sets:
        return ()
    questions = [(f"proposal {n}", Prompt(ROLE, _question(task, some))) for n, some in enumerate(sets)]
    written = completed("proposing", questions, Decoding(ROOM, ""), model, store, "train")
    found = (cleaned(c.text) for c in written if not c.error)
    return tuple(dict.fromkeys(t for t in found if t and t != task.instruction))


def _question(task: Task, errors: list[tuple[Sample, Completion]]) -> str:
    shown = [f"Input: {s.input}\nRight answer: {s.target}\nAnswer given: {c.text.strip()}" for s, c in errors]
    return "\n\n".join([f"A task: {task.instruction}", *shown, WANTED])


def cleaned(text: str) -> str:
    """A proposal as an instruction: its first paragraph, without the quotes or the heading around it."""
    first = next((p.strip() for p in text.strip().split("\n\n") if p.strip()), "")
    head, colon, rest = first.partition(":")
    if colon and "instruction" in head.lower() and len(head) < 40 and rest.strip():
        first = rest.strip()
    return first.strip("\"'“” ").strip()
