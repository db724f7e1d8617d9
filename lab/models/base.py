"""What every model is: it has a name, a revision and a window, and completes prompts; what else it can do it says.

Contexts, runner and reports know models by this protocol alone. A local network, a GGUF file or an endpoint is one
file beside this one::

    class Echo:
        name, revision, window, machine = "echo", "2026-11-26", 4096, Machine(...)
        can = frozenset({"complete"})
        def complete(self, items, decoding, progress): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lab.models.device import Machine
from lab.schema import Completion, Decoding, LabError, Prompt

Ability = Literal["complete", "choose", "likelihood", "train"]
ABILITIES: dict[str, str] = {
    "complete": "complete prompts",
    "choose": "pick the likeliest of given candidates",
    "likelihood": "say how likely a text is",
    "train": "be trained",
}


@dataclass(frozen=True)
class Size:
    """What recipes are made for: how wide a network is, and how many parameters it has."""

    hidden: int
    parameters: int


class Model(Protocol):
    """A language model as the rest of the lab meets it."""

    name: str
    revision: str
    """What fixes its output: a checksum of its files, or a declared date where there are no files."""
    machine: Machine
    """Where its seconds are spent."""
    can: frozenset[str]
    """Of ABILITIES."""

    @property
    def is_chat(self) -> bool:
        """Whether it is asked in conversations."""

    @property
    def window(self) -> int:
        """Tokens that prompt and completion may take together."""

    @property
    def size(self) -> Size | None:
        """What its training recipes are made for; None where they are fixed, or it can't be trained."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a study says of it: name, revision, parameters, window."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text without begin and end tokens (about, where the tokenizer is not at hand)."""

    def target_tokens(self, target: str) -> int:
        """Tokens of a right answer with what ends it (about, likewise)."""

    def misfit(self, prompt: Prompt, reserve: int) -> str:
        """Why a prompt can't be asked with ``reserve`` tokens kept for the answer; empty where it can."""

    def complete(
        self,
        items: Sequence[tuple[str, Prompt]],
        decoding: Decoding,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Completion]:
        """One completion for each (sample id, prompt), in order; ``progress`` is told how many more are done."""


def require(model: Model, abilities: Iterable[str], who: str) -> None:
    """Raise LabError where a model can't do what ``who`` asks of it, before anything runs."""
    for ability in abilities:
        if ability not in model.can:
            raise LabError(
                f"{who}: needs a model that can {ABILITIES[ability]}, and {model.name} can't; "
                "take a local model, or leave the method out"
            )
