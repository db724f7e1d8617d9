"""No context: instruction and input alone (zero-shot prompting, or what an adapter is trained on)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lab.context.base import Context, Fitted, Tools
from lab.schema import Prompt, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class NoContext(Context):
    """The instruction and the input."""

    name: ClassVar[str] = "none"
    variants: ClassVar[dict[str, dict[str, Any]]] = {"zero_shot": {}}
    bare: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("instruction",)

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Nothing to learn."""
        return Plain(self, task)


class Plain(Fitted):
    """Instruction and input."""

    def build(self, sample: Sample) -> Prompt:
        """Nothing beside them."""
        return self.prompt(sample)
