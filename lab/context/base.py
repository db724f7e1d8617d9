"""What every context is: fitted on training items and documents, it builds a Prompt for a sample.

``Passages(k=3).fit(task, tools).build(sample)``
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lab.schema import WORDINGS, LabError, Prompt, Sample, Wording
from lab.tasks.task import Task


@dataclass
class Tools:
    """What contexts may use beside the task: an embedder (loaded when first needed) and a folder for its vectors."""

    embedder_name: str = "embedder"
    cache: Path | None = None

    @property
    def embedder(self):
        """The sentence-transformers embedder."""
        from lab.context.retrieval.embedding import load_embedder

        return load_embedder(self.embedder_name)


class Fitted(ABC):
    """A context that has seen its training items and documents."""

    seconds_a_sample: float = 0.0
    """Measured time to build a prompt, in a batch."""
    index_seconds: float = 0.0
    """What making its index took, embedding included, when it was first made."""

    @abstractmethod
    def build(self, sample: Sample) -> Prompt:
        """The prompt for a sample; a sample never finds itself or its group among the examples."""

    def prepare(self, samples: list[Sample]) -> None:
        """Work that is cheaper for many samples at once, such as retrieval."""
        return None


@dataclass(frozen=True)
class Context(ABC):
    """Settings of one context; frozen, comparable, and all of it goes into the key."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs_documents: ClassVar[bool] = False
    uses_pool: ClassVar[bool] = False
    """Whether labelled items stand in the prompt, so that data size and seed change it."""
    uses_embedder: ClassVar[bool] = False

    wording: str = "input_output"
    instruct: bool = True
    """Whether the task's instruction stands in the prompt."""

    def __post_init__(self) -> None:
        if self.wording not in WORDINGS:
            raise LabError(f"unknown wording {self.wording!r}; one of {', '.join(WORDINGS)}")

    @property
    def is_control(self) -> bool:
        """Whether it shows what a context is worth and is no way to work."""
        return False

    @property
    def words(self) -> Wording:
        """The wording by its name."""
        return WORDINGS[self.wording]

    def instruction_of(self, task: Task) -> str:
        """The task's instruction, or none."""
        return task.instruction if self.instruct else ""

    def require(self, task: Task) -> None:
        """Raise LabError where the task lacks what this context needs."""
        if self.needs_documents and not task.documents:
            raise LabError(f"{self.name} needs documents, but {task.folder or task.name} has none: add documents.jsonl or documents/, or leave out the methods that retrieve")

    @abstractmethod
    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Learn from the task's train split and documents."""

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """What beside the settings changes the prompts: goes into the key."""
        from lab.tasks.task import samples_digest

        parts: dict[str, Any] = {"instruction": task.instruction if self.instruct else ""}
        if self.uses_pool:
            parts["pool"] = samples_digest(task.train)
        if self.needs_documents:
            parts["documents"] = task.documents_digest
        if self.uses_embedder:
            parts["embedder"] = tools.embedder.revision
        return parts
