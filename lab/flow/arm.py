"""An arm of a finished study, ready to answer what nobody has labelled: what ``lab predict``, ``serve`` and ``export``
stand on.

``Ready(bench, live_cell(arm)).answers([("1", "the lamp in Oakley is broken")])`` gives one Answer an input, made
exactly as the study's completions were: same prompt, decoding and extraction, the draw that validation likes best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import lab.context
import lab.weights
from lab.context.base import Fitted
from lab.flow.bench import Bench, RunSpec
from lab.flow.families import member_from
from lab.flow.methods import Candidate
from lab.measure.arms import Arm
from lab.measure.estimand import live_of
from lab.models.baselines import BASELINES, Predict
from lab.schema import Completion, LabError, Prompt, Sample
from lab.study import Cell, Study
from lab.tasks.extraction import extract


@dataclass(frozen=True)
class Answer:
    """What an arm says to one input."""

    id: str
    text: str
    """The answer: the completion, or what the study extracts of it."""
    problem: str = ""
    """Why there is no whole answer; empty where there is one."""
    passages: tuple[str, ...] = ()
    """Ids of the passages that it was answered from."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def as_row(self) -> dict[str, Any]:
        """What stands behind id and input in a file of answers."""
        return {"answer": self.text, "problem": self.problem, "passages": list(self.passages)}


def arm_named(arms: Sequence[Arm], name: str) -> Arm:
    """The arm of this label (``lora r16``) or name (``lora``); raises LabError listing what there is."""
    for arm in arms:
        if name in (arm.label, arm.name):
            return arm
    raise LabError(f"--arm {name}: no arm of this study; one of {', '.join(a.label for a in arms)}")


def live_cell(arm: Arm) -> Cell:
    """The draw that goes live: the best by validation; raises LabError where every training failed."""
    whole = [c for c in arm.cells if not c.failed]
    if not whole:
        raise LabError(f"{arm.label}: none of its trainings ended ({arm.cells[0].failed}); there is nothing to use")
    live = live_of(arm)
    return next(c for c in whole if live is None or c.seed == live.seed)


def spec_of(study: Study, cell: Cell) -> RunSpec:
    """What a cell measured, as a spec: where no labels were used, the largest size stands for all."""
    sizes = study.sizes() or study.settings["sizes"]
    candidate = Candidate(member_from(lab.context, cell.context), member_from(lab.weights, cell.weights))
    return RunSpec(candidate, cell.size or sizes[-1], cell.seed)


class Ready:
    """One cell's arm on its bench; raises LabError where the task's labels are no longer those that it learned from."""

    def __init__(self, bench: Bench, study: Study, cell: Cell, name: str) -> None:
        self.bench, self.cell, self.name = bench, cell, name
        self.is_baseline = cell.control == "baseline"
        self.spec = None if self.is_baseline else spec_of(study, cell)
        if self.spec and cell.adaptation and bench.adaptation_key(self.spec) != cell.adaptation:
            raise LabError(
                f"{cell.method}: the task, model or embedder is no longer what it was trained with; run lab decide "
                "again, and then this"
            )

    @property
    def must_train(self) -> bool:
        """Whether its weights are not at hand, as of a committed study, and will be trained again."""
        return bool(self.spec and self.cell.adaptation) and not self.bench.weights_are_stored(self.spec)

    def answers(
        self,
        inputs: Sequence[tuple[str, str]],
        progress: Callable[[int], None] = lambda done: None,
        room: int | None = None,
    ) -> list[Answer]:
        """One answer for each (id, input), in order; ``room``: at most so many tokens, where that is less than the
        study's."""
        if self.is_baseline:
            found = self._predict([text for _, text in inputs])
            progress(len(inputs))
            return [Answer(i, text) for (i, _), text in zip(inputs, found)]
        model = self.bench.adapted(self.spec)
        prompts = self.prompts(inputs)
        decoding = self.bench.decoding
        if room is not None:
            decoding = replace(decoding, max_tokens=min(room, decoding.max_tokens))
        completions = model.complete(list(zip((i for i, _ in inputs), prompts)), decoding, progress)
        return [self._answer(i, c) for (i, _), c in zip(inputs, completions)]

    def prompts(self, inputs: Sequence[tuple[str, str]]) -> list[Prompt]:
        """The prompts of inputs, which are none of the task's items, whatever their ids are."""
        # Named by their texts: what was found for one input is found for the same input again.
        samples = [Sample(f"\0{text}", text, "") for _, text in inputs]
        self.fitted.prepare(samples)
        return [self.fitted.build(s) for s in samples]

    @cached_property
    def fitted(self) -> Fitted:
        """Its context, ready to build prompts."""
        fitted = self.bench.fitted(self.spec)
        # Passages and examples are embedded by now; vectors of questions that come once are not worth a file.
        self.bench.tools.cache = None
        return fitted

    @cached_property
    def _predict(self) -> Predict:
        train = self.bench.task.scoped(self.cell.size, self.cell.seed).train
        return BASELINES[self.cell.method](train, lambda texts: self.bench.tools.embedder.embed(list(texts)))

    def _answer(self, identity: str, completion: Completion) -> Answer:
        problem = completion.error
        if not problem and not completion.finished:
            problem = f"cut off after {completion.usage.completion_tokens} tokens"
        return Answer(
            identity,
            extract(self.bench.extraction, completion.text).strip(),
            problem,
            completion.passages,
            completion.usage.prompt_tokens,
            completion.usage.completion_tokens,
        )
