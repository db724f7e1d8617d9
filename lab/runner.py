"""The one flow: check -> plan -> search on validation -> adapt -> complete the test items -> score -> compare.

A Sample's way through it: ``Runner.evaluate`` builds its Prompt with the fitted context, the model completes it, the
Completion is stored, and ``Runner.measure`` turns it into an outcome in the Study::

    study = Runner(task, model, store).run(plan)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import lab.context
import lab.weights
from lab.context.base import Context, Fitted, Tools
from lab.context.passages import Passages
from lab.context.retrieval.search import recall_at
from lab.families import member_from, settings_of
from lab.methods import Candidate, Method
from lab.models.baselines import BASELINES, linear, majority
from lab.models.local import LocalModel
from lab.plan import Plan, RunCell
from lab.schema import Completion, Decoding, LabError, Prompt, Sample, TrainingFailed, Usage
from lab.store import Draft, Entry, Store, key_of, provenance, read_completions, write_completions
from lab.study import LETTERS, Cell, Study
from lab.tasks.check import Finding, is_classification
from lab.tasks.scorers import scorer_for
from lab.tasks.task import Task, digest
from lab.weights.base import TrainingData, Weights

CONTROLS = ("oracle", "random")
LATENCY_ITEMS = 8


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


class Runner:
    """Runs cells of one task on one model, through the store."""

    def __init__(self, task: Task, model: LocalModel, store: Store, tools: Tools | None = None, progress: Progress | None = None,
                 decoding: Decoding | None = None, allow_scorer_code: bool = False) -> None:
        self.task, self.model, self.store = task, model, store
        self.tools = tools or Tools(cache=store.cache / "vectors")
        self.progress = progress or Progress()
        self.decoding = decoding or decoding_for(task, model)
        self.scorer = scorer_for(task, allow_scorer_code)
        self._scoped = lru_cache(maxsize=32)(task.scoped)
        self._fitted = lru_cache(maxsize=8)(self._fit)
        self._adapted: tuple[str, LocalModel] | None = None

    # The flow

    def run(self, plan: Plan, findings: list[Finding] | None = None, probes: dict[str, Any] | None = None, after_cell: Callable[[Study], None] = lambda study: None) -> Study:
        """Search, adapt, complete and score every cell of the plan; ``after_cell`` sees the study as it grows."""
        study = self.new_study(plan, findings or [])
        study.probes = probes or {}
        for m in plan.methods:
            cells = [c for c in plan.cells if c.method == m.name]
            for cell in sorted(cells, key=lambda c: (c.seed, -(c.size or 0), -(c.rank or 0))):
                chosen = self.choose(m, cell, plan, study)
                spec = RunSpec(chosen, cell.size or plan.sizes[-1], cell.seed)
                adaptation = self.adapt(spec)
                study.cells.append(self.measure(cell, spec, adaptation))
                self.progress.finished(cell, study.cells[-1].accuracy)
                if m.retrieves and cell.seed == 0 and cell.size in (None, plan.sizes[-1]):
                    study.cells += self.controls(cell, spec, adaptation)
                after_cell(study)
        study.cells += self.baselines(plan)
        study.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        after_cell(study)
        return study

    def new_study(self, plan: Plan, findings: list[Finding]) -> Study:
        """A study without cells."""
        task, model = self.task, self.model
        return Study(
            task={"name": task.name, "digest": task.digest, "scorer": task.scorer, "folder": task.folder, "documents": len(task.documents),
                  "train": len(task.train), "validation": len(task.validation), "test": len(task.test)} | {k: task.settings[k] for k in ("licence", "source") if k in task.settings},
            model={"name": model.name, "revision": model.revision, "parameters": int(sum(p.numel() for p in model.network.parameters())), "window": model.window},
            settings={"decoding": asdict(self.decoding), "embedder": self.tools.embedder_name, "seeds": plan.seeds, "sizes": plan.sizes, "ranks": plan.ranks,
                      "alpha": "alpha = 2 x rank on all linear layers"},
            items=[s.id for s in task.test], groups=[s.group or s.id for s in task.test],
            findings=[asdict(f) for f in findings],
            plan={"methods": [m.name for m in plan.methods], "cells": len(plan.cells), "forecast_seconds": plan.total_seconds if plan.seconds else None, "dropped": [c.label for c in plan.dropped], "detectable": plan.detectable},
            made=provenance() | {"machine": asdict(model.machine)})

    # Search on validation

    def choose(self, m: Method, cell: RunCell, plan: Plan, study: Study) -> Candidate:
        """The arm's candidate for a cell, chosen on validation with seed 0.

        A choice made at the largest size is reused for the sizes between where the smallest size chose alike; else
        every size has its own. The largest rank's choice serves all ranks. Each reuse is written down in the study.
        """
        if not m.uses_labels:
            return self._searched(m, RunCell(m.name, None, plan.sizes[-1], 0), study)
        ranked = m.with_rank(cell.rank)
        sizes, rank = plan.sizes, plan.ranks[-1] if m.has_rank else None
        largest = self._searched(m, RunCell(m.name, rank, sizes[-1], 0), study)
        chosen = largest
        if cell.size != sizes[-1]:
            smallest = self._searched(m, RunCell(m.name, rank, sizes[0], 0), study)
            chosen = largest if smallest == largest else smallest if cell.size == sizes[0] else self._searched(m, RunCell(m.name, rank, cell.size, 0), study)
        return ranked.candidates[m.with_rank(rank).candidates.index(chosen)]

    def _searched(self, m: Method, cell: RunCell, study: Study) -> Candidate:
        """Score all candidates of an arm on validation and store the Choice; the first of equals wins."""
        ranked = m.with_rank(cell.rank)
        what = self._choice_key(ranked, cell)
        entry = self.store.find("choice", key_of(what))
        if entry is None:
            with self.store.producing("choice", what) as draft:
                if not draft.done:
                    draft.result = self._trials(ranked, cell)
            entry = draft.done
        result = entry.record["result"]
        if entry.key not in {c["key"] for c in study.choices}:
            study.choices.append({"key": entry.key, "method": m.name, "size": cell.size, "rank": cell.rank} | result)
        return ranked.candidates[result["chosen"]]

    def _choice_key(self, ranked: Method, cell: RunCell) -> dict[str, Any]:
        return {"kind": "choice", "task": self.task.digest, "model": self.model.revision, "size": cell.size, "seed": cell.seed, "decoding": asdict(self.decoding),
                "embedder": self.tools.embedder.revision if any(c.context.uses_embedder for c in ranked.candidates) else "",
                "candidates": [self._settings(c) for c in ranked.candidates]}

    def _trials(self, m: Method, cell: RunCell) -> dict[str, Any]:
        trials = []
        for number, candidate in enumerate(m.candidates):
            spec = RunSpec(candidate, cell.size, cell.seed)
            try:
                adaptation = self.adapt(spec)
            except TrainingFailed as error:
                trials.append({"settings": self._settings(candidate), "evaluation": "", "adaptation": "", "accuracy": -1.0, "nll": None, "looks": 0, "seconds": 0.0,
                               "number": number, "failed": str(error)})
                continue
            entry = self.evaluate(spec, adaptation, "validation")
            log = self._training_of(adaptation)
            trials.append({"settings": self._settings(candidate), "evaluation": entry.key, "adaptation": adaptation,
                           "accuracy": self._accuracy(entry, self.scoped(spec).validation), "nll": log.get("validation_nll"),
                           "looks": 1 + log.get("validation_looks", 0), "seconds": log.get("seconds", 0.0) + entry.record["result"]["seconds"], "number": number})
        if all(t["accuracy"] < 0 for t in trials):
            raise LabError(f"{m.name}: every candidate failed; the first: {trials[0]['failed']}")
        best = max(trials, key=lambda t: (t["accuracy"], -(t["nll"] or 0.0), -t["number"]))
        return {"trials": trials, "chosen": best["number"], "at_edge": _at_edge([t["settings"] for t in trials], best["number"]),
                "still_rising": self._still_rising(best["adaptation"]), "looks": sum(t["looks"] for t in trials), "validation_items": len(self.scoped(spec).validation)}

    def _still_rising(self, adaptation: str) -> bool:
        """Whether the best checkpoint was the last look: more steps might have helped."""
        log = self._training_of(adaptation)
        return bool(log) and log["best_step"] == log["steps"] and log.get("validation_accuracy", 1.0) < 1.0

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
        return TrainingData(tuple((fitted.build(s), s.target) for s in task.train), tuple((fitted.build(s), s.target) for s in task.validation))

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

    def evaluate(self, spec: RunSpec, adaptation: str, split: str) -> Entry:
        """Complete the items of a split and store the completions; the evaluation's entry."""
        task, context = self.scoped(spec), spec.candidate.context
        samples = task.split(split)
        what = self._evaluation_key(context, task, adaptation, samples)
        entry = self.store.find("evaluation", key_of(what))
        if entry is not None:
            return entry
        with self.store.producing("evaluation", what) as draft:
            if not draft.done:
                model = self.adapted(spec)
                fitted, started = self.fitted(spec), time.perf_counter()
                fitted.prepare(list(samples))
                items = [(s.id, fitted.build(s)) for s in samples]
                # Retrieved once, another arm's prompts cost no search any more: the first time is what a request costs.
                pace = (time.perf_counter() - started) / len(items)
                built = fitted.seconds_a_sample = max(pace, getattr(fitted, "seconds_a_sample", 0.0))
                self.progress.stage(f"{split}: {context.name} + {spec.candidate.weights.name}", len(items))
                completions = model.complete(items, self.decoding, self.progress.advance)
                write_completions(draft.folder, completions)
                seconds = time.perf_counter() - started
                draft.result = {"items": len(items), "seconds": seconds, "context_seconds": built, "latency_seconds": self._latency(model, items) if split == "test" else None, "split": split}
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

    # Score

    def measure(self, cell: RunCell, spec: RunSpec, adaptation: str, control: str = "") -> Cell:
        """Complete the test items and score them."""
        entry = self.evaluate(spec, adaptation, "test")
        looked = self.evaluate(spec, adaptation, "validation") if not control else None
        validation = self._accuracy(looked, self.scoped(spec).validation) if looked else None
        completions = read_completions(entry)
        scores = [self.scorer(s, c) for s, c in zip(self.task.test, completions)]
        usage = {name: float(np.mean([getattr(c.usage, name) for c in completions])) for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "seconds")}
        usage |= {"cut_passages": sum(c.cut_passages for c in completions), "cut_examples": sum(c.cut_examples for c in completions),
                  "context_seconds": entry.record["result"]["context_seconds"],
                  "latency_seconds": entry.record["result"].get("latency_seconds") or 0.0}
        usage |= self._training_usage(adaptation)
        names = scores[0].parts.keys()
        return Cell(cell.method, cell.seed, cell.size, cell.rank, control, settings_of(spec.candidate.context), settings_of(spec.candidate.weights),
                    adaptation=adaptation, evaluation=entry.key, machine=self._machines(entry, adaptation), outcomes="".join(LETTERS[s.outcome] for s in scores),
                    parts={n: [round(s.parts.get(n, 0.0), 4) for s in scores] for n in names}, validation=validation, validation_evaluation=looked.key if looked else "", usage=usage,
                    recall=self._recall(spec, completions))

    def _latency(self, model: LocalModel, items: list[tuple[str, Prompt]]) -> float:
        """Median seconds of a request alone, over a few items (seconds in batches are an item's share)."""
        seconds = []
        for item in items[:LATENCY_ITEMS]:
            started = time.perf_counter()
            model.complete([item], self.decoding)
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds))

    def _machines(self, entry: Entry, adaptation: str) -> str:
        """Where the seconds of a cell were measured; more than one where training and evaluation ran on different machines."""
        entries = [entry] + ([found] if adaptation and (found := self.store.find("adaptation", adaptation)) else [])
        return " and ".join(sorted({e.record["made"]["machine"]["name"] for e in entries}))

    def _training_usage(self, adaptation: str) -> dict[str, float]:
        """Totals of a training and of the study stage before it."""
        totals = {"training_seconds": 0.0, "study_seconds": 0.0, "training_tokens": 0.0, "training_steps": 0.0}
        study = False
        while adaptation and (entry := self.store.find("adaptation", adaptation)):
            record = entry.record
            log = record["result"]["log"]
            totals["study_seconds" if study else "training_seconds"] += log["seconds"]
            totals["training_tokens"] += log["trained_tokens"]
            totals["training_steps"] += log["steps"]
            totals.setdefault("trained_parameters", log["trained_parameters"])
            adaptation, study = record["what"]["start"], True
        return totals

    def _accuracy(self, entry: Entry, samples: tuple[Sample, ...]) -> float:
        return float(np.mean([self.scorer(s, c).value for s, c in zip(samples, read_completions(entry))]))

    def _recall(self, spec: RunSpec, completions) -> dict[str, float]:
        if not isinstance(spec.candidate.context, Passages) or not any(s.evidence for s in self.task.test):
            return {}
        found = [[p.rsplit("#", 1)[0] for p in c.passages] for c in completions]
        gold = [s.evidence for s in self.task.test]
        return {str(k): recall_at(found, gold, k) for k in sorted({1, spec.candidate.context.k})}

    # Controls and baselines

    def controls(self, cell: RunCell, spec: RunSpec, adaptation: str) -> list[Cell]:
        """The same adaptation with the gold passages and with random ones, so that the retriever's misses are told apart."""
        cells = []
        for mode in CONTROLS:
            if mode == "oracle" and not any(s.evidence for s in self.task.test):
                continue
            context = _with(spec.candidate.context, mode=mode)
            control = RunSpec(Candidate(context, spec.candidate.weights), spec.size, spec.seed)
            cells.append(self.measure(cell, control, adaptation, control=mode))
        return cells

    def baselines(self, plan: Plan) -> list[Cell]:
        """Majority and linear baseline at every size and seed, for classification tasks."""
        if not is_classification(self.task):
            return []
        cells = []
        for name, fit in zip(BASELINES, (majority, linear)):
            for size in plan.sizes:
                for seed in range(plan.seeds):
                    started = time.perf_counter()
                    predict = fit(self._scoped(size, seed).train)
                    trained = time.perf_counter() - started
                    answers = predict([s.input for s in self.task.test])
                    seconds = (time.perf_counter() - started - trained) / len(answers)
                    scores = [self.scorer(s, Completion(s.id, a, Usage(0, 0))) for a, s in zip(answers, self.task.test)]
                    outcomes = "".join(LETTERS[s.outcome] for s in scores)
                    cells.append(Cell(name, seed, size, control="baseline", machine=self.model.machine.name, outcomes=outcomes, usage={"seconds": seconds, "training_seconds": trained}))
        return cells

    # What is stored already

    def choice_is_stored(self, m: Method, cell: RunCell) -> bool:
        """Whether an arm's search at the cell's rank and size is in the store."""
        return self.store.find("choice", key_of(self._choice_key(m.with_rank(cell.rank), cell))) is not None

    def study_is_stored(self, spec: RunSpec) -> bool:
        """Whether the spec's study stage is in the store."""
        study, _ = self._adaptation_keys(spec)
        return study is not None and self.store.find("adaptation", key_of(study)) is not None

    def is_stored(self, spec: RunSpec, split: str) -> bool:
        """Whether the spec's completions of a split are in the store."""
        adaptation = key_of(self._adaptation_keys(spec)[1]) if spec.candidate.weights.trains else ""
        task = self.scoped(spec)
        return self.store.find("evaluation", key_of(self._evaluation_key(spec.candidate.context, task, adaptation, task.split(split)))) is not None

    def _settings(self, candidate: Candidate) -> dict[str, Any]:
        return {"context": settings_of(candidate.context), "weights": settings_of(candidate.weights)}

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


def _with(context: Context, **changes: Any) -> Context:
    return member_from(lab.context, settings_of(context) | changes)


def _at_edge(settings: list[dict[str, Any]], chosen: int) -> list[str]:
    """Axes whose chosen number is the smallest or largest of at least three tried."""
    edges = []
    for family in ("context", "weights"):
        axes = {a for s in settings for a in s[family]} - {"name", "version"}
        for axis in sorted(axes):
            tried = sorted({s[family][axis] for s in settings if isinstance(s[family].get(axis), int | float) and not isinstance(s[family].get(axis), bool)})
            if len(tried) >= 3 and settings[chosen][family].get(axis) in (tried[0], tried[-1]):
                edges.append(f"{axis} = {settings[chosen][family][axis]:g}")
    return edges


def decoding_for(task: Task, model: LocalModel) -> Decoding:
    """Room for the longest labelled target and a half more, at most half the window; stops at a line end where no target has one."""
    longest = max(len(model.encode_target(s.target)) for s in task.labelled)
    lines = any("\n" in s.target for s in task.labelled)
    blank = any("\n\n" in s.target for s in task.labelled)
    return Decoding(max_tokens=min(model.window // 2, longest + longest // 2 + 4), stop="" if blank else "\n\n" if lines else "\n")
