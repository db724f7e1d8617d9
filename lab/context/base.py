"""What every context is: fitted on training items and documents, it builds a Prompt for a sample.

``Passages(k=3).fit(task, tools).build(sample)``. What the rest of the lab must know of a context it asks the class:
whether it ``needs_documents``, what it ``asks`` of a base model, which ``controls`` it has, which candidates it offers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Self

from lab.models.base import Size
from lab.schema import LAYOUTS, WORDINGS, Example, LabError, Passage, Prompt, Sample, Wording
from lab.tasks.task import Task, samples_digest


@dataclass
class Tools:
    """What contexts may use beside the task: an embedder (loaded when first needed) and a folder for its vectors."""

    embedder_name: str = "embedder"
    cache: Path | None = None
    reranker_name: str = ""

    @property
    def embedder(self):
        """The sentence-transformers embedder."""
        from lab.context.retrieval.embedding import load_embedder

        return load_embedder(self.embedder_name)

    @property
    def reranker(self):
        """The cross-encoder; raises LabError where none is named."""
        from lab.context.retrieval.reranking import load_reranker

        return load_reranker(self.reranker_name)


class Fitted(ABC):
    """A context that has seen its training items and documents."""

    seconds_a_sample: float = 0.0
    """Measured time to build a prompt, in a batch."""
    index_seconds: float = 0.0
    """What making its index took, embedding included, when it was first made."""
    searcher: Any = None
    """What it finds texts with (``lab.context.retrieval.search.Searcher``); None where nothing is searched."""

    def __init__(self, context: Context, task: Task) -> None:
        self.context, self.task, self.instruction = context, task, context.instruction_of(task)

    @abstractmethod
    def build(self, sample: Sample) -> Prompt:
        """The prompt for a sample; a sample never finds itself or its group among the examples."""

    def prepare(self, samples: list[Sample]) -> None:
        """Work that is cheaper for many samples at once, such as retrieval."""
        return None

    @property
    def rows_searched(self) -> list[dict[str, str]]:
        """What the searcher's texts stand for, in its order, as plain data."""
        return []

    def read_from(self, example: Sample) -> tuple[Passage, ...]:
        """The passages that a worked example is answered from; none where none are retrieved."""
        return ()

    def prompt(self, sample: Sample, examples: Iterable[Sample] = (), passages: Iterable[Passage] = ()) -> Prompt:
        """A prompt in the context's own wording, with training items as worked examples; best ones first."""
        return Prompt(
            self.instruction,
            sample.input,
            tuple(Example(s.id, s.input, s.target, self.read_from(s)) for s in examples),
            tuple(passages),
            self.context.named,
            self.context.layout,
        )


@dataclass(frozen=True)
class Offer:
    """What a model and a task leave to choose in a prompt."""

    chat: bool = False
    """The model has a chat template: turns or one block."""
    labels: bool = False
    """The task's answers are a closed set, short enough to be listed."""
    instructions: tuple[str, ...] = ()
    """Instructions to try beside the task's own."""
    size: Size | None = None
    """What recipes of trained weights are made for; None where they are fixed."""


def words_searched(task: Task, mode: str) -> dict[str, str]:
    """Part of the key of what is found by comparing words: single letters were not searched for before, so what was
    stored of tasks that ask with them is not found."""
    return {"words": "single ones too"} if task.asks_singles and mode in ("lexical", "hybrid") else {}


@dataclass(frozen=True)
class Context(ABC):
    """Settings of one context; frozen, comparable, and all of it goes into the key."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    variants: ClassVar[dict[str, dict[str, Any]]] = {}
    """Presets that it makes with frozen weights: name, and the settings that are fixed; its own name where empty."""
    bare: ClassVar[bool] = False
    """Nothing stands in its prompts beside instruction and input."""
    needs_documents: ClassVar[bool] = False
    controls: ClassVar[tuple[str, ...]] = ()
    """Modes that show what its passages are worth, run beside each arm: gold ones, random ones."""
    asks: ClassVar[tuple[str, ...]] = ()
    """Probes of what it asks of a base as it is; a base that fails all of them can't be asked this way."""
    uses_pool: ClassVar[bool] = False
    """Whether labelled items change its prompts, so that data size and seed do."""
    uses_embedder: ClassVar[bool] = False
    uses_reranker: ClassVar[bool] = False
    searches_instructions: ClassVar[bool] = False
    """Whether it tries other instructions than the task's own (``Offer.instructions``)."""

    wording: str = "input_output"
    instruct: bool = True
    """Whether the task's instruction stands in the prompt."""
    layout: str = "turns"
    """How a chat model meets it: instruction and examples as messages of their own, or all in one block."""
    labels: bool = False
    """Whether the instruction lists the labels of a closed set."""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise LabError(f"unknown layout {self.layout!r}; one of {', '.join(LAYOUTS)}")
        if self.wording not in WORDINGS:
            raise LabError(f"unknown wording {self.wording!r}; one of {', '.join(WORDINGS)}")

    # What the lab asks of it

    @property
    def is_control(self) -> bool:
        """Whether it shows what a context is worth and is no way to work."""
        return False

    @property
    def reads_gold(self) -> bool:
        """Whether it looks at an item's evidence and target: a control only."""
        return False

    @property
    def depth(self) -> int:
        """How many passages stand in its prompts, for recall; 0 where there are none."""
        return 0

    def control(self, mode: str) -> Self:
        """The same context as one of its ``controls``."""
        return replace(self, mode=mode)

    def grid(self, looks: int, trained: bool, offer: Offer = Offer()) -> tuple[Self, ...]:  # noqa: B008 (frozen)
        """At most ``looks`` candidates for validation to choose from, the simplest first.

        Wordings, with and without the instruction; for a chat model turns or one block. Before ``trained`` weights one
        is enough, they learn any wording.
        """
        if trained:
            return (self,)
        if offer.chat:
            turns, block = self.in_layouts(replace(offer, labels=False))
            if offer.labels:
                return (*self.in_layouts(offer), turns, block)[:looks]
            return (turns, block, replace(turns, instruct=False), replace(block, wording="question_answer"))[:looks]
        return tuple(replace(self, wording=w, instruct=i) for w, i in product(WORDINGS, (True, False)))[:looks]

    def in_layouts(self, offer: Offer) -> tuple[Self, ...]:
        """The same context in each layout that a chat model can meet, with the labels listed where they can be."""
        return tuple(replace(self, layout=layout, labels=offer.labels) for layout in LAYOUTS)

    def outline(self) -> Self:
        """A context whose prompts are about as long and that embeds nothing: forecasts are made from it."""
        return replace(self, mode="lexical") if self.uses_embedder else self

    def embedded(self, task: Task) -> list[str]:
        """The texts that must be embedded once, whatever is asked; none where no embedder is used."""
        return []

    def require(self, task: Task) -> None:
        """Raise LabError where the task lacks what this context needs."""
        if self.needs_documents and not task.documents:
            raise LabError(
                f"{self.name} needs documents, but {task.folder or task.name} has none: add documents.jsonl or "
                "documents/, or leave out the methods that retrieve"
            )

    # What it does

    @property
    def named(self) -> Wording:
        """The wording by its name."""
        return WORDINGS[self.wording]

    def instruction_of(self, task: Task) -> str:
        """The task's instruction, with its labels where they are listed, or none."""
        instruction = task.instruction if self.instruct else ""
        if not self.labels:
            return instruction
        return f"{instruction}\nLabels: {', '.join(task.labels)}".strip()

    @abstractmethod
    def fit(self, task: Task, tools: Tools) -> Fitted:
        """Learn from the task's train split and documents."""

    def digest_parts(self, task: Task, tools: Tools) -> dict[str, Any]:
        """What beside the settings changes the prompts: goes into the key."""
        parts: dict[str, Any] = {"instruction": self.instruction_of(task)}
        if self.uses_pool:
            parts["pool"] = samples_digest(task.train)
        if self.needs_documents:
            parts["documents"] = task.documents_digest
        if self.uses_embedder:
            parts["embedder"] = tools.embedder.revision
        return parts


def without_group(candidates: Iterable[Sample], sample: Sample) -> list[Sample]:
    """Candidates that are neither the sample nor of its group: else a training item would read its own answer."""
    return [c for c in candidates if c.id != sample.id and (not sample.group or c.group != sample.group)]
