"""The one flow: check -> plan -> search on validation -> adapt -> complete the test items -> score -> compare.

A Sample's way through it: ``Producer.evaluate`` builds its Prompt with the fitted context, the model completes it, the
Completion is stored, and ``Runner.measure`` turns it into an outcome in the Study::

    study = Runner(task, model, store).run(plan)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

import lab.context
import lab.weights
from lab.abilities import Prober, ProbeSet
from lab.context.base import Context
from lab.context.none import NoContext
from lab.context.passages import Passages
from lab.context.retrieval.search import recall_at
from lab.families import member_from, settings_of
from lab.measure.statistics import mean_interval
from lab.methods import Candidate, Method
from lab.models.baselines import BASELINES, linear, majority
from lab.plan import Plan, RunCell
from lab.producing import Producer, RunSpec
from lab.schema import Completion, LabError, Sample, TrainingFailed, Usage
from lab.store import Entry, key_of, provenance, read_completions
from lab.study import LETTERS, Cell, Probed, Study
from lab.tasks.check import Finding, is_classification

CONTROLS = ("oracle", "random")


class Runner(Producer):
    """Runs the cells of a plan: searches, measures, probes, and puts controls and baselines beside the arms."""

    probes: ProbeSet | None = None
    """What is asked before and after each training; None leaves forgetting unmeasured."""

    # The flow

    def run(self, plan: Plan, findings: list[Finding] | None = None, probes: dict[str, Any] | None = None, after_cell: Callable[[Study], None] = lambda study: None) -> Study:
        """Search, adapt, complete and score every cell of the plan; ``after_cell`` sees the study as it grows."""
        study, started = self.new_study(plan, findings or []), time.perf_counter()
        study.probes = probes or {}
        prober = Prober(self.model, self.store, self.progress)
        if self.probes and any(self.is_probed(c, plan) for c in plan.cells):
            study.probed += self.probes.of_base(prober)
        for m in plan.methods:
            cells = [c for c in plan.cells if c.method == m.name]
            for cell in sorted(cells, key=lambda c: (c.seed, -(c.size or 0), -(c.rank or 0))):
                began = time.perf_counter()
                chosen = self.choose(m, cell, plan, study)
                searched = time.perf_counter()
                spec = RunSpec(chosen, cell.size or plan.sizes[-1], cell.seed)
                adaptation = self.adapt(spec)
                measured = self.measure(cell, spec, adaptation)
                study.cells.append(measured)
                if m.retrieves and cell.seed == 0 and cell.size in (None, plan.sizes[-1]):
                    study.cells += self.controls(cell, spec, adaptation)
                if self.probes and self.is_probed(cell, plan):
                    study.probed += self.probe(cell, spec, adaptation, prober)
                study.plan["measured"][cell.label] = {"method": m.name, "search": searched - began, "cell": time.perf_counter() - searched}
                after_cell(study)
                self.progress.finished(cell, measured.accuracy)
        study.cells += self.baselines(plan)
        study.made["seconds"] = time.perf_counter() - started
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
            plan={"methods": [m.name for m in plan.methods], "cells": len(plan.cells), "forecast_seconds": plan.total_seconds if plan.seconds else None,
                  "forecast": {m.name: {"search": plan.searching(m.name), "cells": {c.label: plan.seconds[c] for c in plan.cells if c.method == m.name}, "peak_bytes": plan.peak_bytes(m.name)}
                               for m in plan.methods} if plan.seconds else {},
                  "measured": {}, "dropped": [c.label for c in plan.dropped], "detectable": plan.detectable},
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

    def choice_is_stored(self, m: Method, cell: RunCell) -> bool:
        """Whether an arm's search at the cell's rank and size is in the store."""
        return self.store.find("choice", key_of(self._choice_key(m.with_rank(cell.rank), cell))) is not None

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
                               "study": "", "study_seconds": 0.0, "number": number, "machine": "", "failed": str(error)})
                continue
            entry = self.evaluate(spec, adaptation, "validation")
            log, used = self._training_of(adaptation), self._training_usage(adaptation)
            trials.append({"settings": self._settings(candidate), "evaluation": entry.key, "adaptation": adaptation,
                           "accuracy": self._accuracy(entry, self.scoped(spec).validation), "nll": log.get("validation_nll"),
                           "looks": 1 + log.get("validation_looks", 0), "seconds": log.get("seconds", 0.0) + entry.record["result"]["seconds"],
                           "study": self._start_of(adaptation), "study_seconds": used["study_seconds"], "machine": self._machines(entry, adaptation), "number": number})
        if all(t["accuracy"] < 0 for t in trials):
            raise LabError(f"{m.name}: every candidate failed; the first: {trials[0]['failed']}")
        best = max(trials, key=lambda t: (t["accuracy"], -(t["nll"] or 0.0), -t["number"]))
        return {"trials": trials, "chosen": best["number"], "at_edge": _at_edge([t["settings"] for t in trials], best["number"]),
                "still_rising": self._still_rising(best["adaptation"]), "looks": sum(t["looks"] for t in trials), "validation_items": len(self.scoped(spec).validation)}

    def _still_rising(self, adaptation: str) -> bool:
        """Whether the best checkpoint was the last look: more steps might have helped."""
        log = self._training_of(adaptation)
        return bool(log) and log["best_step"] == log["steps"] and log.get("validation_accuracy", 1.0) < 1.0

    # Score

    def measure(self, cell: RunCell, spec: RunSpec, adaptation: str, control: str = "") -> Cell:
        """Complete the test items and score them."""
        entry = self.evaluate(spec, adaptation, "test")
        looked = self.evaluate(spec, adaptation, "validation") if not control else None
        validation = self._accuracy(looked, self.scoped(spec).validation) if looked else None
        completions = read_completions(entry)
        scores = [self.scorer(s, c) for s, c in zip(self.task.test, completions)]
        usage = _request_usage(completions, entry.record["result"])
        usage |= self._training_usage(adaptation)
        names = scores[0].parts.keys()
        return Cell(cell.method, cell.seed, cell.size, cell.rank, control, settings_of(spec.candidate.context), settings_of(spec.candidate.weights),
                    adaptation=adaptation, study=self._start_of(adaptation), evaluation=entry.key, machine=self._machines(entry, adaptation), outcomes="".join(LETTERS[s.outcome] for s in scores),
                    parts={n: [round(s.parts.get(n, 0.0), 4) for s in scores] for n in names}, validation=validation, validation_evaluation=looked.key if looked else "", usage=usage,
                    recall=self._recall(spec, completions))

    def _machines(self, entry: Entry, adaptation: str) -> str:
        """Where the seconds of a cell were measured; more than one where training and evaluation ran on different machines."""
        entries = [entry] + ([found] if adaptation and (found := self.store.find("adaptation", adaptation)) else [])
        return " and ".join(sorted({e.record["made"]["machine"]["name"] for e in entries}))

    def _training_usage(self, adaptation: str) -> dict[str, float]:
        """Totals of a training and of the study stage before it."""
        totals = {"training_seconds": 0.0, "study_seconds": 0.0, "training_tokens": 0.0, "training_steps": 0.0, "training_peak_bytes": 0.0}
        study = False
        while adaptation and (entry := self.store.find("adaptation", adaptation)):
            record = entry.record
            log = record["result"]["log"]
            totals["study_seconds" if study else "training_seconds"] += log["seconds"]
            totals["training_tokens"] += log["trained_tokens"]
            totals["training_steps"] += log["steps"]
            totals["training_peak_bytes"] = max(totals["training_peak_bytes"], log.get("peak_bytes", 0))
            totals.setdefault("trained_parameters", log["trained_parameters"])
            totals.setdefault("optimizer_bytes", log.get("optimizer_bytes", 0))
            adaptation, study = record["what"]["start"], True
        return totals

    def _start_of(self, adaptation: str) -> str:
        """The key of the study stage that an adaptation went on from."""
        return self.store.find("adaptation", adaptation).record["what"]["start"] if adaptation else ""

    def _accuracy(self, entry: Entry, samples: tuple[Sample, ...]) -> float:
        return float(np.mean([self.scorer(s, c).value for s, c in zip(samples, read_completions(entry))]))

    def _recall(self, spec: RunSpec, completions) -> dict[str, float]:
        if not isinstance(spec.candidate.context, Passages) or not any(s.evidence for s in self.task.test):
            return {}
        found = [[p.rsplit("#", 1)[0] for p in c.passages] for c in completions]
        gold = [s.evidence for s in self.task.test]
        return {str(k): recall_at(found, gold, k) for k in sorted({1, spec.candidate.context.k})}

    # Probe

    def is_probed(self, cell: RunCell, plan: Plan) -> bool:
        """Forgetting is measured at the largest size: of every training, and once of each context that puts something into the prompt."""
        first = next(m for m in plan.methods if m.name == cell.method).candidates[0]
        return cell.size in (None, plan.sizes[-1]) and (first.weights.trains or (cell.seed == 0 and not isinstance(first.context, NoContext)))

    def probe(self, cell: RunCell, spec: RunSpec, adaptation: str, prober: Prober) -> list[Probed]:
        """What the adapted model (or the base with the arm's context) answers to what the base was asked."""
        whose = {"method": cell.method, "seed": cell.seed, "size": cell.size, "rank": cell.rank}
        if adaptation:
            return self.probes.of_adapted(prober, adaptation, lambda: self.adapted(spec), **whose)
        return self.probes.in_context(prober, self.fitted(spec), **whose)

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

    def _settings(self, candidate: Candidate) -> dict[str, Any]:
        return {"context": settings_of(candidate.context), "weights": settings_of(candidate.weights)}


def _request_usage(completions: list[Completion], result: dict[str, Any]) -> dict[str, float]:
    """Means a request, with the standard error of its seconds (items of one batch share their seconds, and so count once)."""
    usage = {name: float(np.mean([getattr(c.usage, name) for c in completions])) for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "seconds")}
    seconds = mean_interval([[c.usage.seconds for c in completions]], [f"{c.usage.seconds:.9f}" for c in completions])
    latencies, beside = result.get("latencies", []), result.get("side_latencies", [])
    usage |= {"seconds_error": float(np.sqrt(seconds.total_variance)), "cut_passages": sum(c.cut_passages for c in completions), "cut_examples": sum(c.cut_examples for c in completions)}
    usage |= {name: result.get(name) or 0.0 for name in ("context_seconds", "index_seconds", "retrieval_seconds", "peak_bytes")}
    usage |= {"latency_seconds": float(np.median(latencies)) if latencies else result.get("latency_seconds") or 0.0,
              "latency_p95_seconds": float(np.percentile(latencies, 95)) if latencies else 0.0, "side_latency_seconds": float(np.median(beside)) if beside else 0.0}
    return usage


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


