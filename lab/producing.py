"""The two things that are stored, each made once: adaptations (what changed in the weights) and evaluations (completions).

A spec is concrete: ``producer.adapt(spec)`` gives the key of its adaptation, ``producer.evaluate(spec, key, "test")``
the stored completions; both are found where they were made before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lab.context.base import Context, Fitted, Tools
from lab.context.passages import Passages
from lab.families import settings_of
from lab.methods import Candidate
from lab.models.likelihood import Encoded
from lab.models.local import LocalModel
from lab.models.memory import PeakMemory
from lab.plan import RunCell
from lab.schema import Completion, Decoding, Prompt, Sample
from lab.store import Draft, Entry, Store, key_of, write_completions
from lab.tasks.scorers import scorer_for
from lab.tasks.task import Task, digest
from lab.weights.base import TrainingData, Weights
from lab.weights.training import encode_pairs
from lab.world.general import General

LATENCY_ITEMS = 30
"""Requests that are timed alone."""
SIDE_ITEMS = 10
"""Of them also with the adapter beside the weights instead of merged into them."""


class Progress:
    """What the runner tells of its work; this one is silent, the command line draws bars."""

    def stage(self, text: str, total: int) -> None:
        """A piece of work with ``total`` steps begins."""

    def advance(self, count: int = 1) -> None:
        """So many more steps are done."""

    def finished(self, cell: RunCell, accuracy: float) -> None:
        """A cell has been measured."""


@dataclass(frozen=True)
class RunSpec:
    """A concrete run: nothing in it is left to choose."""

    candidate: Candidate
    size: int | None
    seed: int


class Producer:
    """Makes adaptations and evaluations of one task on one model, through the store."""

    def __init__(self, task: Task, model: LocalModel, store: Store, tools: Tools | None = None, progress: Progress | None = None,
                 decoding: Decoding | None = None, allow_scorer_code: bool = False, general: General | None = None) -> None:
        self.task, self.model, self.store = task, model, store
        self.tools = tools or Tools(cache=store.cache / "vectors")
        self.progress, self.general = progress or Progress(), general
        self.decoding = decoding or decoding_for(task, model)
        self.scorer = scorer_for(task, allow_scorer_code)
        self._scoped = lru_cache(maxsize=32)(task.scoped)
        self._fitted = lru_cache(maxsize=8)(self._fit)
        self._adapted: tuple[str, LocalModel] | None = None

    # Adapt

    def scoped(self, spec: RunSpec) -> Task:
        """The task with the labels that the spec may use."""
        return self._scoped(spec.size, spec.seed)

    def adapt(self, spec: RunSpec, with_weights: bool = False) -> str:
        """Train what the spec says and store it; the adaptation's key, empty for frozen weights.

        A committed result has a log but no weights: it counts as done until ``with_weights`` asks for them.
        """
        weights = spec.candidate.weights
        if not weights.trains:
            return ""
        study, what = self._adaptation_keys(spec)
        entry = self.store.find("adaptation", key_of(what))
        if entry is None or (with_weights and not self._has_weights(entry)):
            folder = self._produce(study, weights.study_stage(), TrainingData(documents=self.task.documents), 0, None).folder if study else None
            entry = self._produce(what, weights, lambda: self._training_data(spec), spec.seed, folder)
        return entry.key

    def _adaptation_keys(self, spec: RunSpec) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """What produces the study stage (None where there is none), and what produces the adaptation."""
        task, weights, context = self.scoped(spec), spec.candidate.weights, spec.candidate.context
        stage = weights.study_stage()
        study = self._adaptation_key(stage, "", 0, {"documents": task.documents_digest}) if stage else None
        parts = {"pairs": digest([[s.id, s.input, s.target, s.group] for s in task.train]), "validation": digest([[s.id, s.input, s.target] for s in task.validation]),
                 "context": settings_of(context), "prompt": context.digest_parts(task, self.tools)}
        if weights.needs_general:
            parts["general"] = digest(list(self.general.replay)) if self.general else ""
        return study, self._adaptation_key(weights, key_of(study) if study else "", spec.seed, parts)

    def _adaptation_key(self, weights: Weights, start: str, seed: int, parts: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "adaptation", "model": self.model.revision, "weights": settings_of(weights), "seed": seed, "start": start} | parts

    def _produce(self, what: dict[str, Any], weights: Weights, data: TrainingData | Callable[[], TrainingData], seed: int, start: Path | None) -> Entry:
        """The stored adaptation with its weights, trained where they are missing."""
        with self.store.producing("adaptation", what, accept=self._has_weights) as draft:
            if not draft.done:
                self._train(draft, weights, data() if callable(data) else data, seed, start)
        return draft.done

    @staticmethod
    def _has_weights(entry: Entry) -> bool:
        return bool(list(entry.folder.glob("*.safetensors")))

    def _train(self, draft: Draft, weights: Weights, data: TrainingData, seed: int, start: Path | None) -> None:
        told = 0

        def progress(done: int, total: int, words: str) -> None:
            nonlocal told
            if told == 0:
                self.progress.stage(words, total)
            self.progress.advance(done - told)
            told = done

        log = weights.adapt(self.model, data, draft.folder, seed, progress, start)
        draft.result = {"log": asdict(log)}
        draft.made = {"machine": asdict(self.model.machine), "seconds": log.seconds}

    def _training_data(self, spec: RunSpec) -> TrainingData:
        task, fitted = self.scoped(spec), self.fitted(spec)
        fitted.prepare([*task.train, *task.validation])
        return TrainingData(tuple((fitted.build(s), s.target) for s in task.train), tuple((fitted.build(s), s.target) for s in task.validation),
                            general=self.general.replay if self.general else ())

    def encoded_training(self, spec: RunSpec) -> list[Encoded]:
        """The training pairs of a spec as tokens."""
        return encode_pairs(self.model, self._training_data(spec).pairs)

    def _training_of(self, adaptation: str) -> dict[str, Any]:
        entry = self.store.find("adaptation", adaptation) if adaptation else None
        return entry.record["result"]["log"] if entry else {}

    # Complete

    def fitted(self, spec: RunSpec) -> Fitted:
        """The spec's context, fitted on its labels and the documents."""
        context = spec.candidate.context
        scoped = (spec.size, spec.seed) if context.uses_pool else (None, 0)
        return self._fitted(context, *scoped)

    def _fit(self, context: Context, size: int | None, seed: int) -> Fitted:
        return context.fit(self._scoped(size, seed), self.tools)

    def right_of(self, samples: Sequence[Sample], completions: Sequence[Completion]) -> int:
        """How many of the samples are answered right."""
        return sum(int(self.scorer(s, c).value) for s, c in zip(samples, completions, strict=True))

    def evaluate(self, spec: RunSpec, adaptation: str, split: str, items: tuple[Sample, ...] | None = None) -> Entry:
        """Complete the items of a split (or these of it) and store the completions; the evaluation's entry."""
        task, context = self.scoped(spec), spec.candidate.context
        samples = task.split(split) if items is None else items
        what = self._evaluation_key(context, task, adaptation, samples)
        entry = self.store.find("evaluation", key_of(what))
        if entry is not None:
            return entry
        with self.store.producing("evaluation", what) as draft:
            if not draft.done:
                model = self.adapted(spec)
                fitted, started = self.fitted(spec), time.perf_counter()
                fitted.prepare(list(samples))
                asked = [(s.id, fitted.build(s)) for s in samples]
                # Retrieved once, another arm's prompts cost no search any more: the first time is what a request costs.
                pace = (time.perf_counter() - started) / len(asked)
                built = fitted.seconds_a_sample = max(pace, fitted.seconds_a_sample)
                self.progress.stage(f"{split}: {context.name} + {spec.candidate.weights.name}", len(asked))
                with PeakMemory(self.model.machine.device) as memory:
                    completions = model.complete(asked, self.decoding, self.progress.advance)
                write_completions(draft.folder, completions)
                seconds = time.perf_counter() - started
                draft.result = {"items": len(asked), "seconds": seconds, "context_seconds": built, "index_seconds": fitted.index_seconds, "peak_bytes": memory.bytes, "split": split}
                if split == "test" and not context.is_control:
                    draft.result |= self._latencies(spec, model, adaptation, samples)
                draft.made = {"machine": asdict(self.model.machine), "seconds": seconds}
        return draft.done

    def _evaluation_key(self, context: Context, task: Task, adaptation: str, samples: tuple[Sample, ...]) -> dict[str, Any]:
        needs_gold = isinstance(context, Passages) and context.mode == "oracle"
        items = digest([[s.id, s.input, s.group] + ([list(s.evidence), s.target] if needs_gold else []) for s in samples])
        return {"kind": "evaluation", "model": self.model.revision, "adaptation": adaptation, "context": settings_of(context),
                "prompt": context.digest_parts(task, self.tools), "items": items, "decoding": asdict(self.decoding)}

    def adapted(self, spec: RunSpec) -> LocalModel:
        """The model with the spec's adaptation applied; the last one is kept at hand."""
        key = self.adapt(spec, with_weights=True)
        if not key:
            return self.model
        if self._adapted is None or self._adapted[0] != key:
            self._adapted = (key, spec.candidate.weights.apply(self.model, self.store.find("adaptation", key).folder))
        return self._adapted[1]

    def _latencies(self, spec: RunSpec, model: LocalModel, adaptation: str, samples: tuple[Sample, ...]) -> dict[str, Any]:
        """Seconds of whole requests, each alone: retrieval, prompt and completion; and with the adapter beside the weights."""
        fitted, weights = self.fitted(spec), spec.candidate.weights
        # Under another id a sample is new to the context, which so has to search for it.
        asked = [replace(s, id=f"alone {s.id}") for s in samples[:LATENCY_ITEMS]]
        side = weights.alongside(self.model, self.store.find("adaptation", adaptation).folder) if adaptation else None
        requests = [_timed_request(fitted, model, s, self.decoding) for s in asked]
        found = {"latencies": [round(whole, 6) for whole, _ in requests], "retrieval_seconds": float(np.median([search for _, search in requests]))}
        if side is not None:
            found["side_latencies"] = [round(_timed_request(fitted, side, s, self.decoding)[0], 6) for s in asked[:SIDE_ITEMS]]
        return found

    # What is stored already

    def study_is_stored(self, spec: RunSpec) -> bool:
        """Whether the spec's study stage is in the store."""
        study, _ = self._adaptation_keys(spec)
        return study is not None and self.store.find("adaptation", key_of(study)) is not None

    def adaptation_key(self, spec: RunSpec) -> str:
        """The key of what a spec trains, stored or not; empty for frozen weights."""
        return key_of(self._adaptation_keys(spec)[1]) if spec.candidate.weights.trains else ""

    def weights_are_stored(self, spec: RunSpec) -> bool:
        """Whether what a spec trained is at hand (a committed result has only its log)."""
        entry = self.store.find("adaptation", self.adaptation_key(spec))
        return entry is not None and self._has_weights(entry)

    def is_stored(self, spec: RunSpec, split: str) -> bool:
        """Whether the spec's completions of a split are in the store."""
        adaptation, task = self.adaptation_key(spec), self.scoped(spec)
        return self.store.find("evaluation", key_of(self._evaluation_key(spec.candidate.context, task, adaptation, task.split(split)))) is not None

    # What forecasts ask

    def prompts(self, spec: RunSpec, split: str, count: int) -> list[Prompt]:
        """The first prompts of a split, for forecasts and for looking at them."""
        samples = list(self.scoped(spec).split(split))[:count]
        fitted = self.fitted(spec)
        fitted.prepare(samples)
        return [fitted.build(s) for s in samples]

    @cached_property
    def tokens_a_target(self) -> float:
        """Mean tokens of a target."""
        return float(np.mean([len(self.model.encode_target(s.target)) for s in self.task.labelled[:64]]))


def _timed_request(fitted: Fitted, model: LocalModel, sample: Sample, decoding: Decoding) -> tuple[float, float]:
    """Seconds of a whole request, and of building its prompt."""
    started = time.perf_counter()
    prompt = fitted.build(sample)
    built = time.perf_counter()
    model.complete([(sample.id, prompt)], decoding)
    return time.perf_counter() - started, built - started


def decoding_for(task: Task, model: LocalModel) -> Decoding:
    """Room for the longest labelled target and a half more, at most half the window; stops at a line end where no target has one."""
    longest = max(len(model.encode_target(s.target)) for s in task.labelled)
    lines = any("\n" in s.target for s in task.labelled)
    blank = any("\n\n" in s.target for s in task.labelled)
    return Decoding(max_tokens=min(model.window // 2, longest + longest // 2 + 4), stop="" if blank else "\n\n" if lines else "\n")
