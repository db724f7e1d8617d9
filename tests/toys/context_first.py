"""A toy context that reads documents: the first ones, whatever is asked; in one file as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.context.base import Context, Fitted, Tools
from lab.schema import Passage, Prompt, Sample
from lab.tasks.task import Task


@dataclass(frozen=True)
class FirstDocuments(Context):
    """The first ``k`` documents as passages."""

    name: ClassVar[str] = "first_documents"
    needs_documents: ClassVar[bool] = True
    asks: ClassVar[tuple[str, ...]] = ("reading_5",)

    k: int = 2

    @property
    def depth(self) -> int:
        """``k``"""
        return self.k

    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Nothing to learn."""
        return _First(self, task)


class _First(Fitted):
    def build(self, sample: Sample) -> Prompt:
        shown = self.task.documents[: self.context.k]
        return self.prompt(sample, passages=[Passage(f"{d.id}#0", d.id, d.text) for d in shown])
