"""Instruction search: the task's own instruction against others, chosen on validation like everything else.

Others are written by the user (``instructions = [...]`` in task.toml), or proposed by the model itself from what it got
wrong on training items (``lab.flow.instructions``; APE, Zhou et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from lab.context.base import Context, Fitted, Offer, Tools
from lab.context.none import Plain
from lab.tasks.task import Task


@dataclass(frozen=True)
class Instructions(Context):
    """Instruction and input, the instruction one of several."""

    name: ClassVar[str] = "instructions"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"instruction_search": {}}
    asks: ClassVar[tuple[str, ...]] = ("instruction",)
    searches_instructions: ClassVar[bool] = True

    text: str = ""
    """The instruction; the task's own where empty."""

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """The task's own instruction, the others that there are, and where looks are left the wordings of any arm."""
        wordings = super().grid(looks, trained, offer)
        others = () if trained else offer.instructions
        return tuple(dict.fromkeys([self, *(replace(wordings[0], text=t) for t in others), *wordings]))[:looks]

    def instruction_of(self, task: Task) -> str:
        """The instruction that is tried, with the labels where they are listed."""
        return super().instruction_of(replace(task, instruction=self.text) if self.text else task)

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Nothing to learn: the search is validation's."""
        return Plain(self, task)
