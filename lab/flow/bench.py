"""The two things that are stored, each made once: adaptations (what changed in the weights) and evaluations
(completions).

A spec is concrete: ``bench.adapt(spec)`` gives the key of its adaptation, ``bench.evaluate(spec, "test")`` the stored
completions; both are found where they were made before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from lab.context.base import Context, Fitted, Tools
from lab.files import digest
from lab.flow import questions
from lab.flow.decoding import decoding_for, with_room
from lab.flow.families import settings_of
from lab.flow.judging import Judge
from lab.flow.latency import TIMED, latencies
from lab.flow.methods import Candidate
from lab.flow.plan import PlannedCell
from lab.flow.preferences import rejected, rests_on
from lab.models.likelihood import Encoded
from lab.models.local import LocalModel
from lab.models.memory import PeakMemory
from lab.schema import Completion, Decoding, Prompt, Sample, Score
from lab.store import Draft, Entry, Store, key_of, read_completions, write_completions
from lab.tasks.extraction import extracting, require_extraction
from lab.tasks.scorers import scorer_for
from lab.tasks.task import Task
from lab.weights.base import TrainingData, TrainingLog, Weights
from lab.weights.frozen import Frozen
from lab.weights.training import Paused, encode_pairs
from lab.world.general import General


class Progress:
    """What the bench tells of its work; this one is silent, the command line draws bars."""

    def stage(self, text: str, total: int) -> None:
        """A piece of work with ``total`` steps begins."""

    def advance(self, count: int = 1) -> None:
        """So many more steps are done."""

    def finished(self, cell: PlannedCell, accuracy: float) -> None:
        """A cell has been measured."""

    def looked(self, words: str) -> None:
        """A race has looked at what it has."""


@dataclass(frozen=True)
class RunSpec:
    """A concrete run: nothing in it is left to choose."""

    candidate: Candidate
    size: int | None
    seed: int

    def with_weights(self, weights: Weights) -> RunSpec:
        """The same run with other weights."""
        return replace(self, candidate=replace(self.candidate, weights=weights))


class Bench:
    """Makes adaptations and evaluations of one task on one model, through the store."""

    def __init__(
        self,
        task: Task,
        model: LocalModel,
        store: Store,
        tools: Tools | None = None,
        progress: Progress | None = None,
        decoding: Decoding | None = None,
        allow_scorer_code: bool = False,
        general: General | None = None,
        extraction: str = "",
        way: str = "free",
        judge: Judge | None = None,
    ) -> None:
        self.task, self.model, self.store = task, model, store
        self.tools = tools or Tools(cache=store.cache / "vectors")
        self.progress, self.general = progress or Progress(), general
        self.decoding = decoding or with_room(decoding_for(task, model, way, extraction), task, model, store)
        self.extraction = require_extraction(extraction)
        self.judge = judge
        """Says of free text whether it is right, where the task's scorer is ``judge``."""
        self.scorer = extracting(extraction, scorer_for(task, allow_scorer_code))
        self._scoped = lru_cache(maxsize=32)(task.scoped)
        self._fitted = lru_cache(maxsize=8)(self._fit)
        self._trained = lru_cache(maxsize=256)(self._chain)
        self._at_hand: tuple[tuple[str, bool], LocalModel] | None = None

    @property
    def machine(self) -> dict[str, Any]:
        """Where its seconds are spent."""
        return asdict(self.model.machine)

    def scoped(self, spec: RunSpec) -> Task:
        """The task with the labels that the spec may use."""
        return self._scoped(spec.size, spec.seed)

    # Adapt

    def adapt(self, spec: RunSpec, with_weights: bool = False) -> str:
        """Train what the spec says and store it; the adaptation's key, empty for frozen weights.

        A committed result has a log but no weights: it counts as done until ``with_weights`` asks for them.
        """
        weights = spec.candidate.weights
        if not weights.trains:
            return ""
        chain = self._trained(spec)
        find = self.store.whole if with_weights else self.store.find
        entry = find("adaptation", chain[-1].key)
        if entry is None or (with_weights and not _has_weights(entry)):
            entry = None
            for training in chain:
                entry = self._train(training, entry)
        return entry.key

    def _chain(self, spec: RunSpec) -> tuple[_Training, ...]:
        """What is trained for a spec, one after the other: its stages, and itself."""
        weights = spec.candidate.weights
        before = weights.stage()
        chain = self._trained(spec.with_weights(before)) if before else ()
        start = chain[-1].key if chain else ""
        seed, parts = (0, self._read(spec)) if weights.reads else (spec.seed, self._taught(spec))
        what = {"kind": "adaptation", "model": self.model.revision, "weights": settings_of(weights), "seed": seed}
        return (*chain, _Training(spec, what | {"start": start} | parts, seed))

    def _read(self, spec: RunSpec) -> dict[str, Any]:
        wordings = spec.candidate.weights.wordings
        read = {"documents": self.scoped(spec).documents_digest}
        return read | ({"instruction": self.task.instruction} | questions.rests_on(wordings) if wordings else {})

    def _taught(self, spec: RunSpec) -> dict[str, Any]:
        """What a training on pairs or preferences learns from, for its key."""
        task, weights, context = self.scoped(spec), spec.candidate.weights, spec.candidate.context
        parts = {
            "pairs": digest([[s.id, s.input, s.target, s.group] for s in task.train]),
            "validation": digest([[s.id, s.input, s.target] for s in task.validation]),
            "context": settings_of(context),
            "prompt": context.digest_parts(task, self.tools),
        }
        if weights.needs_general:
            parts["general"] = digest(list(self.general.replay)) if self.general else ""
        if weights.learns == "preferences":
            parts |= rests_on(task, self.decoding.as_json(), self.extraction)
        return parts

    def begin(self, spec: RunSpec, looks: int) -> TrainingLog | None:
        """Train until so many looks at validation and keep a checkpoint, from which ``adapt`` goes on; the log so far.

        None for what is trained already, or ended before.
        """
        *stages, training = self._trained(spec)
        if stages or self.store.find("adaptation", training.key):
            return None
        try:
            self._train(training, None, looks)
        except Paused as paused:
            return paused.log
        return None

    def abandon(self, spec: RunSpec) -> None:
        """Remove what ``begin`` has kept: it will not be gone on with."""
        self.store.discard(self._trained(spec)[-1].key)

    def _train(self, training: _Training, start: Entry | None, pause_after: int = 0) -> Entry:
        """The stored adaptation with its weights, trained where they are missing."""
        spec, weights = training.spec, training.spec.candidate.weights

        def work(draft: Draft) -> dict[str, Any]:
            self._at_hand = None
            begun, started = start.folder if start else None, time.perf_counter()
            data, tokens = self._to_read(weights) if weights.reads else (self.training_data(spec), 0)
            made = weights.learns == "preferences" or (weights.reads and weights.wordings)
            preparing = time.perf_counter() - started if made else 0.0
            log = weights.adapt(self.model, data, draft.folder, training.seed, self._steps(), begun, pause_after)
            # Questions, and answers that are rejected, have to be written first: part of what the training takes.
            log.seconds, log.written_tokens = log.seconds + preparing, tokens
            draft.made = {"seconds": log.seconds}
            return {"log": asdict(log)}

        return self.store.once("adaptation", training.what, work, self.machine, accept=_has_weights)

    def _steps(self):
        """A training's own progress, told as a piece of the bench's work."""
        told = 0

        def progress(done: int, total: int, words: str) -> None:
            nonlocal told
            if told == 0:
                self.progress.stage(words, total)
            self.progress.advance(done - told)
            told = done

        return progress

    def _to_read(self, weights: Weights) -> tuple[TrainingData, int]:
        """The documents, or the model's own questions on them, and the tokens that writing those took."""
        if not weights.wordings:
            return TrainingData(documents=self.task.documents), 0
        self.progress.stage("questions on the documents", 1)
        found = questions.written(self.task, self.model, self.store, weights.wordings)
        return TrainingData(found.pairs), found.tokens

    def training_data(self, spec: RunSpec) -> TrainingData:
        """What a spec's training learns from."""
        task, fitted = self.scoped(spec), self.fitted(spec)
        fitted.prepare([*task.train, *task.validation])
        return TrainingData(
            tuple((fitted.build(s), s.target) for s in task.train),
            tuple((fitted.build(s), s.target) for s in task.validation),
            rejected=self._rejected(spec) if spec.candidate.weights.learns == "preferences" else (),
            general=self.general.replay if self.general else (),
        )

    def _rejected(self, spec: RunSpec) -> tuple[str, ...]:
        """An answer that must not be given to each training item, where there is one."""
        task = self.scoped(spec)

        def answered_by(weights: Weights):
            entry = self.evaluate(spec.with_weights(weights), "train")
            return read_completions(entry), self.scores(task.train, entry)

        ways = (spec.candidate.weights.stage(), Frozen())
        return rejected(task, [partial(answered_by, w) for w in ways if w is not None])

    def encoded_training(self, spec: RunSpec) -> list[Encoded]:
        """The training pairs of a spec as tokens."""
        return encode_pairs(self.model, self.training_data(spec).pairs, spec.candidate.weights.before)

    def adapted(self, spec: RunSpec, beside: bool = False) -> LocalModel:
        """The model with the spec's adaptation, merged or kept ``beside`` the weights; the last one stays at hand."""
        key, weights = self.adapt(spec, with_weights=True), spec.candidate.weights
        if not key:
            return self.model
        wanted = (key, beside and weights.adapter)
        if self._at_hand is None or self._at_hand[0] != wanted or self._at_hand[1].gone:
            self._at_hand = None
            folder = self.store.find("adaptation", key).folder
            self._at_hand = (wanted, (weights.beside if wanted[1] else weights.apply)(self.model, folder))
        return self._at_hand[1]

    # What is known of an adaptation

    def log_of(self, adaptation: str) -> dict[str, Any]:
        """Its training log; empty for frozen weights."""
        return self._record(adaptation)["result"]["log"] if adaptation else {}

    def stage_of(self, adaptation: str) -> str:
        """The key of the reading of the documents that it went on from; empty where there was none."""
        return self._record(adaptation)["what"]["start"] if adaptation else ""

    def _record(self, adaptation: str) -> dict[str, Any]:
        return self.store.find("adaptation", adaptation).record

    def machines(self, entry: Entry, adaptation: str) -> str:
        """Where an evaluation's seconds and its training's were measured; more than one where they differ."""
        records = [entry.record, *([self._record(adaptation)] if adaptation else [])]
        return " and ".join(sorted({r["made"]["machine"]["name"] for r in records}))

    def training_usage(self, adaptation: str) -> dict[str, float]:
        """Totals of a training and of the reading before it."""
        totals = dict.fromkeys(("training_seconds", "stage_seconds", "training_tokens", "training_steps"), 0.0)
        totals |= {"training_left_out": 0.0, "training_unrejected": 0.0, "training_written_tokens": 0.0}
        totals["training_peak_bytes"], kind = 0.0, "training_seconds"
        while adaptation:
            record = self._record(adaptation)
            log = record["result"]["log"]
            totals[kind] += log["seconds"]
            totals["training_tokens"] += log["trained_tokens"]
            totals["training_steps"] += log["steps"]
            totals["training_left_out"] += log.get("left_out", 0)
            totals["training_written_tokens"] += log.get("written_tokens", 0)
            totals["training_unrejected"] += log.get("unrejected", 0)
            totals["training_peak_bytes"] = max(totals["training_peak_bytes"], log.get("peak_bytes", 0))
            totals.setdefault("trained_parameters", log["trained_parameters"])
            totals.setdefault("optimizer_bytes", log.get("optimizer_bytes", 0))
            adaptation, kind = record["what"]["start"], "stage_seconds"
        return totals

    # Complete

    def fitted(self, spec: RunSpec, context: Context | None = None) -> Fitted:
        """The spec's context (or another in its place), fitted on its labels and the documents."""
        context = context or spec.candidate.context
        scoped = (spec.size, spec.seed) if context.uses_pool else (None, 0)
        return self._fitted(context, *scoped)

    def _fit(self, context: Context, size: int | None, seed: int) -> Fitted:
        return context.fit(self._scoped(size, seed), self.tools)

    def evaluate(
        self,
        spec: RunSpec,
        split: str,
        items: Sequence[Sample] | None = None,
        context: Context | None = None,
        begun: Entry | None = None,
    ) -> Entry:
        """Complete the items of a split (or these of it) and store the completions; the evaluation's entry.

        Another ``context`` than the one it was trained with may stand in the prompts: gold passages, random ones. What
        ``begun`` holds of the items is taken over with its seconds: an evaluation of fewer of them.
        """
        adaptation = self.adapt(spec)
        context = context or spec.candidate.context
        samples = self.scoped(spec).split(split) if items is None else tuple(items)

        def work(draft: Draft) -> dict[str, Any]:
            model, fitted, started = self.adapted(spec), self.fitted(spec, context), time.perf_counter()
            # Seconds of another machine are not added to: what it has begun is done again.
            here = begun is not None and begun.record["made"]["machine"] == self.machine
            known = {c.sample_id: c for c in read_completions(begun)} if here else {}
            before = begun.record["result"] if here else {}
            fresh = [s for s in samples if s.id not in known]
            fitted.prepare(fresh)
            asked = [(s.id, fitted.build(s)) for s in fresh]
            # Retrieved once, another arm's prompts cost no search any more: the first time is what a request costs.
            pace = (time.perf_counter() - started) / max(1, len(asked))
            fitted.seconds_a_sample = max(pace, fitted.seconds_a_sample, before.get("context_seconds", 0.0))
            self.progress.stage(f"{split}: {context.name} + {spec.candidate.weights.name}", len(asked))
            with PeakMemory(self.model.machine.device) as memory:
                known |= {c.sample_id: c for c in model.complete(asked, self.decoding, self.progress.advance)}
            write_completions(draft.folder, [known[s.id] for s in samples])
            seconds = time.perf_counter() - started
            result = {
                "items": len(samples),
                "seconds": seconds + before.get("seconds", 0.0),
                "context_seconds": fitted.seconds_a_sample,
                "index_seconds": fitted.index_seconds,
                "peak_bytes": max(memory.bytes, before.get("peak_bytes", 0)),
                "split": split,
            }
            if split == "test" and not context.is_control:
                timed = {k: before[k] for k in TIMED if k in before}
                result |= timed or self._latencies(spec, fitted, samples)
            draft.made = {"seconds": seconds}
            return result

        what = self._evaluation(context, self.scoped(spec), adaptation, samples)
        return self.store.once("evaluation", what, work, self.machine)

    def _evaluation(self, context: Context, task: Task, adaptation: str, samples: tuple[Sample, ...]) -> dict[str, Any]:
        gold = [[list(s.evidence), s.target] if context.reads_gold else [] for s in samples]
        return {
            "kind": "evaluation",
            "model": self.model.revision,
            "adaptation": adaptation,
            "context": settings_of(context),
            "prompt": context.digest_parts(task, self.tools),
            "items": digest([[s.id, s.input, s.group, *g] for s, g in zip(samples, gold)]),
            "decoding": self.decoding.as_json(),
        }

    def _latencies(self, spec: RunSpec, fitted: Fitted, samples: Sequence[Sample]) -> dict[str, Any]:
        """Seconds of whole requests, each alone; of an adapter that merges also beside the weights instead."""
        found = latencies(self.adapted(spec), fitted, samples, self.decoding)
        if spec.candidate.weights.adapter and spec.candidate.weights.merges:
            found |= latencies(self.adapted(spec, beside=True), fitted, samples, self.decoding, beside=True)
        return found

    # Score

    def scores(self, samples: Sequence[Sample], entry: Entry) -> list[Score]:
        """A score an item of a stored evaluation."""
        return self.scored(samples, read_completions(entry))

    def scored(self, samples: Sequence[Sample], completions: Sequence[Completion]) -> list[Score]:
        """A score an item: the task's scorer, and its judge where it has one."""
        scores = [self.scorer(s, c) for s, c in zip(samples, completions, strict=True)]
        return self.judge.over(samples, completions, scores) if self.judge else scores

    def right_of(self, samples: Sequence[Sample], entry: Entry) -> int:
        """How many of the samples are answered right."""
        return sum(int(s.value) for s in self.scores(samples, entry))

    # What is stored already

    def adaptation_key(self, spec: RunSpec) -> str:
        """The key of what a spec trains, stored or not; empty for frozen weights."""
        return self._trained(spec)[-1].key if spec.candidate.weights.trains else ""

    def stage_is_stored(self, spec: RunSpec) -> bool:
        """Whether the first of the spec's stages is in the store."""
        first, *later = self._trained(spec)
        return bool(later) and self.store.find("adaptation", first.key) is not None

    def weights_are_stored(self, spec: RunSpec) -> bool:
        """Whether what a spec trained is at hand (a committed result has only its log)."""
        entry = self.store.find("adaptation", self.adaptation_key(spec))
        return entry is not None and _has_weights(entry)

    def is_stored(self, spec: RunSpec, split: str) -> bool:
        """Whether the spec's completions of a split are in the store."""
        return self.store.find("evaluation", self.evaluation_key(spec, split)) is not None

    def evaluation_key(self, spec: RunSpec, split: str) -> str:
        """The key of the spec's completions of a whole split, stored or not."""
        adaptation, task = self.adaptation_key(spec), self.scoped(spec)
        return key_of(self._evaluation(spec.candidate.context, task, adaptation, task.split(split)))

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
        return float(np.mean([self.model.target_tokens(s.target) for s in self.task.labelled[:64]]))


@dataclass(frozen=True)
class _Training:
    """One training of a chain."""

    spec: RunSpec
    what: dict[str, Any]
    """What produces it."""
    seed: int

    @property
    def key(self) -> str:
        """Where it is stored."""
        return key_of(self.what)


def _has_weights(entry: Entry) -> bool:
    return bool(list(entry.folder.glob("*.safetensors")))
