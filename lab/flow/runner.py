"""The one flow: plan -> search on validation -> adapt -> complete the test items -> score -> probe -> a Study.

A Sample's way through it: ``Bench.evaluate`` builds its Prompt with the fitted context, the model completes it, the
Completion is stored, and ``Runner.measure`` turns it into an outcome in the Study::

    study = Runner(Bench(task, model, store), probes).run(plan)

``Runner.piece(cell, plan)`` measures one cell and depends on nothing but the store, so that pieces can be made in any
order and by any process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lab.context.base import Context
from lab.context.retrieval.search import recall_at
from lab.flow.bench import Bench, Progress, RunSpec
from lab.flow.families import settings_of
from lab.flow.plan import Plan, PlannedCell
from lab.flow.probing import Prober, ProbeSet
from lab.flow.search import Search
from lab.flow.workers import Measurement, Trial, Work, Workers
from lab.models.base import require
from lab.models.baselines import BASELINES
from lab.schema import Completion, Sample, TrainingFailed, Usage
from lab.store import provenance, read_completions
from lab.study import LETTERS, Cell, Choice, Probed, Study
from lab.tasks.check import Finding, is_classification


@dataclass
class Piece:
    """What measuring one cell of a plan gave."""

    cells: list[Cell]
    """The cell, and its controls behind it."""
    probed: list[Probed] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    search_seconds: float = 0.0
    cell_seconds: float = 0.0


class Runner:
    """Runs the cells of a plan: searches, measures, probes, and puts controls and baselines beside the arms."""

    def __init__(
        self,
        bench: Bench,
        probes: ProbeSet | None = None,
        progress: Progress | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.bench, self.probes, self.workers = bench, probes, workers
        """Without probes forgetting is not measured; without workers this process does everything itself."""
        if progress:
            bench.progress = progress
        self.search, self.prober = Search(bench), Prober(bench.model, bench.store, bench.progress)

    # The flow

    def run(
        self,
        plan: Plan,
        findings: Sequence[Finding] = (),
        abilities: dict[str, Any] | None = None,
        after_cell: Callable[[Study], None] = lambda study: None,
        course: Callable[[Study], None] | None = None,
    ) -> Study:
        """Search, adapt, complete and score every cell of the plan, or what a ``course`` (``lab.flow.race``) does with
        the empty study; ``after_cell`` sees the study as it grows."""
        for m in plan.methods:
            require(self.bench.model, m.abilities, f"--methods {m.name}")
        study, started = new_study(self.bench, plan, findings, abilities or {}), time.perf_counter()
        if self.probes and any(plan.is_probed(c) for c in plan.cells):
            study.probed += self.probes.of_base(self.prober)
        if course:
            course(study)
        else:
            self._whole_grid(study, plan, after_cell)
        study.made["seconds"] = time.perf_counter() - started
        study.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        after_cell(study)
        return study

    def _whole_grid(self, study: Study, plan: Plan, after_cell: Callable[[Study], None]) -> None:
        self.ahead(plan, [Trial(spec) for spec in self.search.trials(plan)])
        self.ahead(plan, [Measurement(cell) for cell in plan.in_order()])
        for cell in plan.in_order():
            piece = self.piece(cell, plan)
            add_piece(study, cell, piece.cells, piece.choices, piece.probed, (piece.search_seconds, piece.cell_seconds))
            after_cell(study)
            self.bench.progress.finished(cell, piece.cells[0].accuracy)
        study.cells += self.baselines(plan.sizes, plan.draws)

    def ahead(self, plan: Plan, pieces: Sequence[Work]) -> None:
        """Have the workers, where there are any, leave in the store what will be asked for next."""
        if self.workers and pieces:
            self.bench.progress.stage(f"{len(pieces)} pieces by {self.workers.count or 'Ray'} workers", len(pieces))
            self.workers.do(plan, pieces, self.search.halving, self.bench.progress.advance)

    def piece(self, cell: PlannedCell, plan: Plan, items: Sequence[Sample] | None = None) -> Piece:
        """One cell of the plan, on all test items or these: its search, measurement, controls and probes."""
        began = time.perf_counter()
        spec, choices, failed = self.chosen(cell, plan)
        searched = time.perf_counter()
        own = self.own(cell, spec, failed, items)
        piece = Piece([own], choices=choices)
        if plan.has_controls(cell) and not own.failed:
            piece.cells += self.controls(cell, spec, items)
        if self.probes and plan.is_probed(cell) and not own.failed:
            piece.probed = self.probe(cell, spec)
        piece.search_seconds, piece.cell_seconds = searched - began, time.perf_counter() - searched
        return piece

    def chosen(self, cell: PlannedCell, plan: Plan) -> tuple[RunSpec, list[Choice], str]:
        """What a cell of the plan measures, the searches behind it, and why there is nothing to measure: empty, or how
        every candidate's training failed."""
        method, size = plan.method(cell.method), cell.size or plan.sizes[-1]
        try:
            candidate, choices = self.search.choose(method, cell, plan)
        except TrainingFailed as error:
            return RunSpec(method.with_rank(cell.rank).candidates[0], size, cell.seed), [], str(error)
        return RunSpec(candidate, size, cell.seed), choices, ""

    # Score

    def own(
        self, cell: PlannedCell, spec: RunSpec, failed: str, items: Sequence[Sample] | None = None, begun: str = ""
    ) -> Cell:
        """The arm's own cell: measured, or ``failed`` already for this reason."""
        return self.failed(cell, spec, failed, items) if failed else self.measure(cell, spec, "", items, begun)

    def measure(
        self,
        cell: PlannedCell,
        spec: RunSpec,
        control: str = "",
        items: Sequence[Sample] | None = None,
        begun: str = "",
    ) -> Cell:
        """Complete the test items (or these of them) and score them; ``control`` puts other passages into the prompts.

        ``begun`` is the key of an evaluation of fewer of these items, which is gone on with. A training that fails is
        a result: the others of the study go on.
        """
        bench = self.bench
        context = spec.candidate.context.control(control) if control else spec.candidate.context
        try:
            adaptation = bench.adapt(spec)
        except TrainingFailed as error:
            return self.failed(cell, spec, str(error), items)
        samples = bench.task.test if items is None else items
        earlier = bench.store.whole("evaluation", begun) if begun else None
        entry = bench.evaluate(spec, "test", items, context, earlier)
        scores, completions = bench.scores(samples, entry), read_completions(entry)
        measured = replace(
            self._described(cell, spec, context),
            control=control,
            adaptation=adaptation,
            stage=bench.stage_of(adaptation),
            evaluation=entry.key,
            machine=bench.machines(entry, adaptation),
            outcomes="".join(LETTERS[s.outcome] for s in scores),
            parts={n: [round(s.parts.get(n, 0.0), 4) for s in scores] for n in scores[0].parts},
            usage=_request_usage(completions, entry.record["result"]) | bench.training_usage(adaptation),
            recall=self._recall(context, completions, samples),
        )
        if not control:
            looked, own = bench.evaluate(spec, "validation"), bench.scoped(spec).validation
            measured.validation = bench.right_of(own, looked) / len(own)
            measured.validation_evaluation = looked.key
        return measured

    def failed(self, cell: PlannedCell, spec: RunSpec, why: str, items: Sequence[Sample] | None = None) -> Cell:
        """A cell whose training failed: nothing was kept that could answer."""
        samples = self.bench.task.test if items is None else items
        return replace(
            self._described(cell, spec, spec.candidate.context),
            adaptation=self.bench.adaptation_key(spec),
            machine=self.bench.model.machine.name,
            failed=why,
            outcomes=LETTERS["error"] * len(samples),
            validation=0.0,
        )

    def _described(self, cell: PlannedCell, spec: RunSpec, context: Context) -> Cell:
        """A cell before anything is measured."""
        weights = spec.candidate.weights
        return Cell(
            cell.method,
            cell.seed,
            cell.size,
            cell.rank,
            context=settings_of(context),
            weights=settings_of(weights),
            model=self.bench.model.name,
            needs_documents=context.needs_documents,
            asks=[] if weights.trains else list(context.asks),
            adapter=weights.adapter,
        )

    def _recall(
        self, context: Context, completions: Sequence[Completion], samples: Sequence[Sample]
    ) -> dict[str, float]:
        gold = [s.evidence for s in samples]
        if not context.depth or not any(gold):
            return {}
        found = [[p.rsplit("#", 1)[0] for p in c.passages] for c in completions]
        return {str(k): recall_at(found, gold, k) for k in sorted({1, context.depth})}

    # Probe

    def probe(self, cell: PlannedCell, spec: RunSpec) -> list[Probed]:
        """What the adapted model (or the base with the arm's context) answers to what the base was asked."""
        whose = {"method": cell.method, "seed": cell.seed, "size": cell.size, "rank": cell.rank}
        adaptation = self.bench.adapt(spec)
        if adaptation:
            return self.probes.of_adapted(
                self.prober, adaptation, lambda beside=False: self.bench.adapted(spec, beside), **whose
            )
        return self.probes.in_context(self.prober, self.bench.fitted(spec), **whose)

    # Controls and baselines

    def controls(self, cell: PlannedCell, spec: RunSpec, items: Sequence[Sample] | None = None) -> list[Cell]:
        """The same adaptation with gold passages and with random ones: a retriever's misses are told apart."""
        context, test = spec.candidate.context, self.bench.task.test
        known = any(s.evidence for s in test)
        return [
            self.measure(cell, spec, mode, items)
            for mode in context.controls
            if known or not context.control(mode).reads_gold
        ]

    def baselines(
        self, sizes: Sequence[int], seeds: Sequence[int], items: Sequence[Sample] | None = None
    ) -> list[Cell]:
        """What needs no language model, at these sizes and seeds, for classification tasks."""
        if not is_classification(self.bench.task):
            return []
        samples = self.bench.task.test if items is None else items
        return [self._baseline(n, size, seed, samples) for n in BASELINES for size in sizes for seed in seeds]

    def _baseline(self, name: str, size: int, seed: int, samples: Sequence[Sample]) -> Cell:
        task, tools, owed = self.bench.task, self.bench.tools, 0.0

        def embed(texts: Sequence[str]) -> np.ndarray:
            # Vectors from the cache cost what making them cost: every size and seed asks for the same ones.
            nonlocal owed
            began = time.perf_counter()
            vectors, seconds = tools.embedder.timed(texts, tools.cache)
            owed += max(0.0, seconds - (time.perf_counter() - began))
            return vectors

        started = time.perf_counter()
        predict = BASELINES[name](task.scoped(size, seed).train, embed)
        trained = time.perf_counter() - started + owed
        answers = predict([s.input for s in samples])
        seconds = (time.perf_counter() - started + owed - trained) / len(answers)
        scores = self.bench.scored(samples, [Completion(s.id, a, Usage(0, 0)) for a, s in zip(answers, samples)])
        return Cell(
            name,
            seed,
            size,
            control="baseline",
            machine=self.bench.model.machine.name,
            outcomes="".join(LETTERS[s.outcome] for s in scores),
            usage={"seconds": seconds, "training_seconds": trained},
        )


def new_study(bench: Bench, plan: Plan, findings: Sequence[Finding], abilities: dict[str, Any]) -> Study:
    """A study without cells; ``abilities`` are what the base can do, by probe."""
    task = bench.task
    kept = {k: task.settings[k] for k in ("licence", "source") if k in task.settings}
    weights = {m.candidates[0].weights.name: m.candidates[0].weights for m in plan.methods}
    return Study(
        task={
            "name": task.name,
            "digest": task.digest,
            "scorer": task.scorer,
            "instruction": task.instruction,
            "folder": task.folder,
            "documents": len(task.documents),
            "train": len(task.train),
            "validation": len(task.validation),
            "test": len(task.test),
        }
        | ({"test_of": task.test_of} if task.test_of else {})
        | kept,
        model=bench.model.facts,
        settings={
            "decoding": bench.decoding.as_json(),
            "extraction": bench.extraction,
            "embedder": bench.tools.embedder_name,
            "reranker": bench.tools.reranker_name,
            **({"judge": f"{bench.judge.model.name} {bench.judge.agreement.words}"} if bench.judge else {}),
            "seeds": plan.seeds,
            "sizes": plan.sizes,
            "ranks": plan.ranks,
            "conventions": {name: w.convention for name, w in weights.items() if w.convention},
        },
        items=[s.id for s in task.test],
        groups=[s.group or s.id for s in task.test],
        probes=abilities,
        findings=[asdict(f) for f in findings],
        plan=plan.as_json(),
        made=provenance() | {"machine": bench.machine},
    )


def add_piece(
    study: Study,
    planned: PlannedCell,
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    probed: Sequence[Probed] = (),
    seconds: tuple[float, float] | None = None,
) -> None:
    """What was measured of a planned cell into the study that is growing; a choice stands once however many cells rest
    on it. ``seconds``: of the search and of the cell."""
    study.cells += cells
    study.probed += probed
    known = {c.key for c in study.choices}
    study.choices += [c for c in choices if c.key not in known]
    if seconds is not None:
        took = {"method": planned.method, "search": seconds[0], "cell": seconds[1]}
        study.plan["measured"][planned.label] = took


def _request_usage(completions: Sequence[Completion], result: dict[str, Any]) -> dict[str, float]:
    """Means a request, with medians of requests alone; an item too long to be asked makes no request cheaper."""
    counts = ("prompt_tokens", "cached_tokens", "completion_tokens", "seconds")
    asked = [c.usage for c in completions if not c.error] or [c.usage for c in completions]
    usage = {name: float(np.mean([getattr(u, name) for u in asked])) for name in counts}
    alone, beside = result.get("latencies", []), result.get("side_latencies", [])
    stored = ("context_seconds", "index_seconds", "retrieval_seconds", "peak_bytes")
    return (
        usage
        | {name: result.get(name) or 0.0 for name in stored}
        | {
            "cut_passages": sum(c.cut_passages for c in completions),
            "cut_examples": sum(c.cut_examples for c in completions),
            "latency_seconds": float(np.median(alone)) if alone else result.get("latency_seconds") or 0.0,
            "latency_p95_seconds": float(np.percentile(alone, 95)) if alone else 0.0,
            "side_latency_seconds": float(np.median(beside)) if beside else 0.0,
        }
    )
