"""The words of the lab as frozen dataclasses; they flow between all rooms and need only the standard library.

One item's way through the lab, in these types::

    Sample -> Context.build -> Prompt -> Model.complete -> Completion -> Scorer -> Score
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["correct", "wrong", "malformed", "truncated", "refused", "error"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "malformed", "truncated", "refused", "error")


class LabError(Exception):
    """A mistake a person can mend; its text is one line that names the place and the way out."""


def first_line(error: BaseException) -> str:
    """What another library's error says first, for a LabError of one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Imports of packages that only the extra ``name`` brings: a missing one is a LabError with the install command."""
    try:
        yield
    except ImportError as error:
        missing = "" if error.name is None else f" ({error.name})"
        raise LabError(f"{purpose} needs one more package{missing}: pip install 'decision-lab[{name}]'") from None


class TrainingFailed(LabError):
    """A training whose loss is no number: the run ends as failed and nothing of it is stored."""


@dataclass(frozen=True)
class Sample:
    """One labelled item of a task."""

    id: str
    input: str
    target: str
    group: str = ""
    """Items of one group (a customer, an entity) never stand on both sides of a split."""
    evidence: tuple[str, ...] = ()
    """Ids of the documents that hold the answer, where they are known."""
    accept: tuple[str, ...] = ()
    """Further right answers beside the target, for the ``any`` scorer."""
    choices: tuple[str, ...] = ()
    """Candidates, the target among them: the model picks the likeliest instead of writing freely."""
    rejected: str = ""
    """An answer that must not be given: preferences are trained on it beside the target."""


@dataclass(frozen=True)
class Document:
    """One text of a task's knowledge."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as retrieval returns it."""

    id: str
    document_id: str
    text: str


@dataclass(frozen=True)
class Example:
    """A worked example as it stands in a prompt."""

    id: str
    input: str
    target: str
    passages: tuple[Passage, ...] = ()
    """What it was answered from; shown where examples are turns, so that each looks as the question will."""


@dataclass(frozen=True)
class Wording:
    """The names that a rendered prompt gives its parts."""

    input: str = "Input"
    output: str = "Output"
    passage: str = "Passage"


WORDINGS: dict[str, Wording] = {
    "input_output": Wording("Input", "Output", "Passage"),
    "question_answer": Wording("Question", "Answer", "Passage"),
}


LAYOUTS = ("turns", "block")
"""How a chat model meets a prompt: instruction and examples as messages of their own, or all in one user message."""


@dataclass(frozen=True)
class Prompt:
    """What a model is asked, in parts; the model renders it and cuts it to its window.

    Passages and examples stand best first, so that cutting takes the last; rendering turns the examples around,
    so that the best one stands next to the input.
    """

    instruction: str
    input: str
    examples: tuple[Example, ...] = ()
    passages: tuple[Passage, ...] = ()
    wording: Wording = field(default_factory=Wording)
    layout: str = "turns"
    """One of LAYOUTS; a model without a chat template reads one text either way."""


@dataclass(frozen=True)
class Decoding:
    """How completions are produced; greedy, so that the same prompt gives the same text."""

    max_tokens: int = 48
    stop: str = "\n"
    """Generation ends before this text (or at the model's end token)."""
    allowed: str = ""
    """What a completion may be, as JSON: labels, a schema or a pattern; anything where empty."""
    choose: str = ""
    """Above writing: the likeliest of the allowed labels is the answer, ``per_character`` or by the ``whole``."""

    def as_json(self) -> dict[str, Any]:
        """What stands in keys and studies: the newer fields only where they are set."""
        newer = {"allowed": self.allowed, "choose": self.choose}
        return {"max_tokens": self.max_tokens, "stop": self.stop} | {n: v for n, v in newer.items() if v}


@dataclass(frozen=True)
class Usage:
    """What one completion used."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens that were computed once for a whole batch (a shared prefix)."""
    seconds: float = 0.0
    """This item's share of its batch's wall time."""


@dataclass(frozen=True)
class Completion:
    """What a model answered to one item."""

    sample_id: str
    text: str
    usage: Usage
    finished: bool = True
    """False where ``Decoding.max_tokens`` ended it."""
    error: str = ""
    passages: tuple[str, ...] = ()
    """Ids of the passages that stood in the prompt after cutting, best first."""
    cut_passages: int = 0
    cut_examples: int = 0


@dataclass(frozen=True)
class Score:
    """What one completion is worth against one sample."""

    outcome: Outcome
    answer: str
    """The part of the completion that was compared."""
    parts: dict[str, float] = field(default_factory=dict)
    """Named partial scores in 0..1, such as ``format`` and ``content``."""

    @property
    def value(self) -> float:
        """1.0 where the outcome is correct, else 0.0 (token F1 tasks read ``parts['f1']`` beside it)."""
        return 1.0 if self.outcome == "correct" else 0.0
