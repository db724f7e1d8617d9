"""Documents as questions and answers that a chat model writes itself: what ``qa_`` methods read instead of the text.

``written(task, model, store, wordings)`` asks for questions on every passage, each in so many wordings, and keeps the
pairs whose answer stands in the passage. What was written is stored, with the tokens that it took.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lab.context.retrieval.chunking import chunk_documents
from lab.files import digest
from lab.flow.asking import completed
from lab.models.local import LocalModel
from lab.schema import Decoding, Example, LabError, Prompt
from lab.store import Store
from lab.tasks.task import Task
from lab.tasks.texts import normalise

PASSAGE_TOKENS, OVERLAP = 120, 0
ROOM = 160
"""Tokens of what is written for a passage and a wording."""
ROLE = "You write questions about texts, and their answers."
SHOWN: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (
        "Bell House opened in 1911. Its keeper is Mara Quill.",
        (
            (
                "1911",
                (
                    "When did Bell House open?",
                    "In which year was Bell House opened?",
                    "Since when is Bell House open?",
                    "What is the year in which Bell House opened?",
                    "Bell House opened in what year?",
                ),
            ),
            (
                "Mara Quill",
                (
                    "Who is the keeper of Bell House?",
                    "Who keeps Bell House?",
                    "What is the name of Bell House's keeper?",
                    "Which person is Bell House's keeper?",
                    "Bell House has whom as its keeper?",
                ),
            ),
        ),
    ),
    (
        "Refunds are paid within ten days. They go to the card that was charged.",
        (
            (
                "ten days",
                (
                    "Within how many days are refunds paid?",
                    "How long does a refund take?",
                    "When is a refund paid at the latest?",
                    "What is the time limit for refunds?",
                    "By when must refunds be paid?",
                ),
            ),
            (
                "the card that was charged",
                (
                    "Where do refunds go?",
                    "What is a refund paid to?",
                    "Which card receives a refund?",
                    "To what are refunds sent?",
                    "Where will a customer find a refund?",
                ),
            ),
        ),
    ),
)
"""Two texts with their facts, each asked in five wordings: what a model is shown before its own text."""
TURN = re.compile(
    r"^[\s*#\d.)-]*(?:q|question)\s*\d*\s*[:.][*\s]*(?P<question>.+?)\s*\n+[\s*#\d.)-]*(?:a|answer)\s*\d*\s*[:.][*\s]*(?P<answer>[^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Written:
    """What a model made of documents."""

    pairs: tuple[tuple[Prompt, str], ...]
    """Prompts as the task asks them, without anything else in them, and answers."""
    tokens: int
    """Read and written for it."""
    refused: int
    """Pairs whose answer does not stand in the passage, which are left out."""


def rests_on(wordings: int) -> dict[str, Any]:
    """Part of the key of what is trained on them."""
    return {"questions": digest([ROLE, _asked("", wordings), SHOWN, PASSAGE_TOKENS, OVERLAP, ROOM])}


def require_writer(model: LocalModel) -> None:
    """Raise LabError where a model can't be told to write questions."""
    if not model.is_chat:
        raise LabError(
            f"qa_ methods: {model.name} is no chat model, which could write questions; study_ methods read the text"
        )


def written(task: Task, model: LocalModel, store: Store, wordings: int) -> Written:
    """Questions and answers on all of the task's documents; raises LabError where the model can't write any."""
    require_writer(model)
    passages = chunk_documents(task.documents, PASSAGE_TOKENS, OVERLAP)
    asked = [(p.id, Prompt(ROLE, _asked(p.text, wordings), _shown(wordings))) for p in passages]
    decoding = Decoding(min(model.window // 2, ROOM * wordings), "")
    completions = completed("writing", asked, decoding, model, store, "documents")
    found: dict[tuple[str, str], None] = {}
    refused = 0
    for passage, completion in zip(passages, completions, strict=True):
        for question, answer in pairs_in(completion.text):
            if normalise(answer) and normalise(answer) in normalise(passage.text):
                found[question, answer] = None
            else:
                refused += 1
    if not found:
        raise LabError(f"qa_ methods: {model.name} wrote no question whose answer stands in its passage")
    tokens = sum(c.usage.prompt_tokens + c.usage.completion_tokens for c in completions)
    return Written(tuple((Prompt(task.instruction, q), a) for q, a in found), tokens, refused)


def _shown(wordings: int) -> tuple[Example, ...]:
    """The worked examples, in so many wordings."""
    found = []
    for text, facts in SHOWN:
        lines = [f"Q: {q}\nA: {answer}" for answer, ways in facts for q in ways[:wordings]]
        found.append(Example(text, _asked(text, wordings), "\n".join(lines)))
    return tuple(found)


def _asked(text: str, wordings: int) -> str:
    ways = "" if wordings == 1 else f" Ask each question in {wordings} different wordings, each with its answer."
    return (
        f"Text: {text}\n\nWrite short questions that this text answers, one for each fact, and the answer to "
        f"each in the words of the text, as short as possible.{ways} Use this form:\nQ: the question\nA: the answer"
    )


def pairs_in(text: str) -> list[tuple[str, str]]:
    """(question, answer) of what was written as ``Q: ...`` and ``A: ...``; a question without an answer is none."""
    found = ((m["question"].strip(" *"), m["answer"].strip(" *")) for m in TURN.finditer(text))
    # An answer is a piece of a sentence: its full stop is not.
    return [(" ".join(q.split()), a.removesuffix(".").strip()) for q, a in found if "\n\n" not in q]
