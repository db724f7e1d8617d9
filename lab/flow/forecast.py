"""Seconds before the run: a short calibration of this machine and model, then arithmetic over tokens and steps.

``Forecast(bench, plan, probes).cell(cell)`` is 0 for what is stored already; ``.fill_in(NEEDED)`` gives the plan all of
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np

from lab.flow.bench import Bench, RunSpec
from lab.flow.calibration import calibrate, training_rate
from lab.flow.decoding import written_in_trial
from lab.flow.latency import ALONE, ALONE_BESIDE, LEAST, SECONDS
from lab.flow.methods import Method
from lab.flow.plan import Plan, PlannedCell
from lab.flow.probing import Prober, ProbeSet, items_for
from lab.flow.search import Search
from lab.measure.flops import Shape
from lab.measure.memory import cache_bytes, forecast_training
from lab.models.generation import CACHE_BYTES
from lab.models.pace import Pace
from lab.models.prefix import common_prefix
from lab.models.prompts import render
from lab.schema import LabError, Prompt
from lab.study import SEARCH_DRAW
from lab.weights.base import Weights
from lab.weights.training import VALIDATION_LOOKS
from lab.world.probes import Probe, probe

SAMPLE = 12
"""Prompts that are built to know an arm's prompt length."""
WRITTEN = 6
"""Prompts that a frozen arm completes to know how much it writes."""
ASKING_SECONDS = 1.0
"""What that may take: of a slower model the trial that its room was found by says how much it writes."""
PROBE_TOKENS, PROBE_WRITTEN = 220, 10
"""Tokens of an average probe's prompt and answer, before it is drawn."""


class Forecast:
    """Seconds of cells and searches."""

    def __init__(self, bench: Bench, plan: Plan, probes: ProbeSet | None = None, race: bool = False) -> None:
        self.bench, self.plan, self.probe_set = bench, plan, probes
        self.searches, self.prober = Search(bench, race), Prober(bench.model, bench.store)
        self.prompt_tokens = lru_cache(maxsize=256)(self._prompt_tokens)
        self.written_tokens = lru_cache(maxsize=256)(self._written_tokens)
        self._probe_seconds = lru_cache(maxsize=64)(self._probe_seconds_of)

    @cached_property
    def rates(self) -> Pace:
        """The machine's pace, measured when first needed."""
        model = self.bench.model
        return calibrate(model, self.bench.store.home) if "train" in model.can else model.pace

    def training_rate(self, weights: Weights) -> float:
        """Seconds a token of its training."""
        return training_rate(self.bench.model, self.bench.store.home, weights)

    def _prompt_tokens(self, spec: RunSpec) -> tuple[float, float]:
        """(mean prompt length of a spec, what of it all test prompts share), from a few prompts."""
        model, reserve = self.bench.model, self.bench.decoding.max_tokens
        if "train" not in model.can:
            lengths = [model.count_tokens(render(p)) for p in self._prompts(spec, SAMPLE)]
            return float(np.mean(lengths)), 0.0
        encoded = [model.encode(p, reserve).tokens for p in self._prompts(spec, SAMPLE)]
        shared = common_prefix(encoded) if len(encoded) > 1 else 0
        return float(np.mean([len(e) for e in encoded])), float(shared)

    def _prompts(self, spec: RunSpec, count: int) -> list[Prompt]:
        """A few of the spec's test prompts, by search that embeds nothing: a plan must not wait for large documents."""
        outlined = replace(spec.candidate, context=spec.candidate.context.outline())
        return self.bench.prompts(replace(spec, candidate=outlined), "test", count)

    def _written_tokens(self, spec: RunSpec) -> float:
        """Mean tokens of a completion: a trained model writes what it was taught,
        a frozen one may run on to the limit, so it is asked where that is quick and costs nothing."""
        if spec.candidate.weights.trains:
            return self.bench.tokens_a_target
        room, length = self.bench.decoding.max_tokens, self.prompt_tokens(spec)[0]
        each = self.rates.reading * length + self.rates.writing * room + self.rates.attending * room * length
        if "train" not in self.bench.model.can or WRITTEN * each > ASKING_SECONDS:
            return written_in_trial(self.bench.decoding, self.bench.task, self.bench.model, self.bench.store)
        prompts = [(str(n), p) for n, p in enumerate(self._prompts(spec, WRITTEN))]
        return float(
            np.mean([c.usage.completion_tokens for c in self.bench.model.complete(prompts, self.bench.decoding)])
        )

    def evaluation(self, spec: RunSpec, items: int) -> float:
        """Seconds to complete ``items`` prompts; a shared beginning is computed once."""
        length, shared = self.prompt_tokens(spec)
        written = self.written_tokens(spec)
        return self.rates.reading * (shared + items * (length - shared)) + items * written * (
            self.rates.writing + self.rates.attending * length
        )

    def fill_in(self, needed: Sequence[str]) -> None:
        """Give the plan its seconds and bytes; ``needed`` are the probes of what the base must be able to do."""
        self.plan.fill_in(self.parts, self.search, self.probes(needed) + self.embedding(), self.memory)
        if "train" not in self.bench.model.can:
            self.plan.tokens = {m.name: self.tokens(m) for m in self.plan.methods} | {"": self.probe_tokens(needed)}

    def tokens(self, m: Method) -> tuple[float, float]:
        """Tokens of the prompts, and of what is written, that an arm still has to pay for: its search, its cells with
        their controls, and the requests that are timed alone."""
        size, test = self.plan.sizes[-1], len(self.bench.task.test)
        asked = [] if self.searches.is_stored(m, None, size) else [RunSpec(c, size, SEARCH_DRAW) for c in m.candidates]
        counts = [(s, len(self.bench.scoped(s).validation)) for s in asked if not self.bench.is_stored(s, "validation")]
        for cell in (c for c in self.plan.cells if c.method == m.name):
            spec = RunSpec(m.candidates[0], cell.size or size, cell.seed)
            controls = len(spec.candidate.context.controls) if self.plan.has_controls(cell) else 0
            if not self.bench.is_stored(spec, "test"):
                counts.append((spec, test * (1 + controls) + ALONE + len(self.bench.scoped(spec).validation)))
        prompts = sum(n * self.prompt_tokens(s)[0] for s, n in counts)
        return prompts, sum(n for _, n in counts) * self.bench.tokens_a_target

    def probe_tokens(self, needed: Sequence[str]) -> tuple[float, float]:
        """The same of the probes of what the base must be able to do."""
        items = items_for(self.bench.model)
        unknown = sum(not self.prober.is_stored(probe(n, items)) for n in needed) * items
        return unknown * PROBE_TOKENS, unknown * PROBE_WRITTEN

    def embedding(self) -> float:
        """Seconds to embed the documents, once for all arms that cut them alike; 0 where that is done."""
        contexts = [c.context for m in self.plan.methods for c in m.candidates if c.context.uses_embedder]
        tools, texts = self.bench.tools, {tuple(c.embedded(self.bench.task)) for c in contexts}
        return sum(tools.embedder.forecast_seconds(t, tools.cache) for t in texts)

    def latencies(self, spec: RunSpec) -> float:
        """Seconds of the requests that are timed alone on the test items."""
        each = self.rates.reading * self.prompt_tokens(spec)[0] + self.rates.alone * self.written_tokens(spec)
        beside = ALONE_BESIDE if spec.candidate.weights.adapter else 0
        most = max(LEAST, SECONDS / each)
        return (min(ALONE, most) + min(beside, most)) * each

    def training(self, spec: RunSpec) -> float:
        """Seconds of one adaptation, its validation looks included;
        a reading of the documents counts once an arm, in its search."""
        weights = spec.candidate.weights
        if not weights.trains:
            return 0.0
        task = self.bench.scoped(spec)
        tokens = self.prompt_tokens(spec)[0] + self.bench.tokens_a_target
        batch = min(weights.batch_size, len(task.train))
        looks = VALIDATION_LOOKS * len(task.validation) * tokens * self.rates.reading
        # A preference is two texts, and what was rejected had to be written.
        twice = 2 if weights.learns == "preferences" else 1
        return twice * weights.schedule.steps(len(task.train)) * batch * tokens * self.training_rate(weights) + looks

    def tuning_stage(self, spec: RunSpec) -> float:
        """Seconds of a training on the pairs that comes before, with what the model then answers to them."""
        specs = [spec.with_weights(w) for w in spec.candidate.weights.stages if not w.reads]
        unknown = [s for s in specs if not self.bench.weights_are_stored(s)]
        return sum(self.training(s) + 2 * self.evaluation(s, len(self.bench.scoped(s).train)) for s in unknown)

    def reading_stage(self, spec: RunSpec) -> float:
        """Seconds of the stage on the documents, 0 where there is none."""
        stage = next((w for w in spec.candidate.weights.stages if w.reads), None)
        if stage is None or self.bench.stage_is_stored(spec):
            return 0.0
        tokens = sum(self.bench.model.count_tokens(d.text) for d in self.bench.task.documents)
        if stage.wordings:
            # About as many tokens as the text has are written a wording, behind passages that are read once.
            return tokens * (self.rates.reading + stage.wordings * self.rates.writing) + (
                stage.study_epochs * stage.wordings * tokens * self.training_rate(stage)
            )
        return stage.study_epochs * tokens * self.training_rate(stage)

    def cell(self, cell: PlannedCell) -> float:
        """Seconds of one cell after its arm's search; 0 where its results are stored."""
        return self.parts(cell)[1]

    def parts(self, cell: PlannedCell) -> tuple[float, float]:
        """(seconds of training and validation, of all) of one cell after its arm's search."""
        m, size = self.plan.method(cell.method), cell.size or self.plan.sizes[-1]
        known = self.searches.chosen(m, self.plan.ranks[-1] if m.has_rank else None, size)
        # A grid that moved has chosen what is not among the candidates that it began with.
        offered = dict.fromkeys([*(c.at_rank(cell.rank) for c in known), *m.with_rank(cell.rank).candidates])
        specs = [RunSpec(c, size, cell.seed) for c in offered]
        stored = next((s for s in specs if self.bench.is_stored(s, "test")), None)
        if stored:
            probing = self.probing(cell, stored)
            again = probing and stored.candidate.weights.trains and not self.bench.weights_are_stored(stored)
            learning = self.training(stored) if again else 0.0
            return learning, learning + probing
        spec, test = specs[len(specs) // 2], len(self.bench.task.test)
        seconds, learning = self.evaluation(spec, test) + self.latencies(spec) + self.probing(cell, spec), 0.0
        if not self._is_searched(m, cell, size):
            learning = self.tuning_stage(spec) + self.training(spec)
            learning += self.evaluation(spec, len(self.bench.scoped(spec).validation))
        if self.plan.has_controls(cell):
            context = spec.candidate.context
            # The last control reads nothing that a task may lack.
            control = replace(spec.candidate, context=context.control(context.controls[-1]))
            seconds += len(context.controls) * self.evaluation(replace(spec, candidate=control), test)
        return learning, learning + seconds

    def _is_searched(self, m: Method, cell: PlannedCell, size: int) -> bool:
        """Whether the search that is still to come validates what the cell needs: of an arm without draws."""
        return (
            not self.searches.is_stored(m, cell.rank, size)
            and cell.seed == SEARCH_DRAW
            and size in (self.plan.sizes[-1], self.plan.sizes[0])
            and cell.rank in (None, self.plan.ranks[-1])
        )

    def search(self, m: Method, size: int) -> float:
        """Seconds of an arm's search at a size: all candidates, and at the largest size the readings of the documents.

        The searched rank tries every such stage, the other ranks take the chosen one.
        """
        rank = self.plan.ranks[-1] if m.has_rank else None
        ranked = m.with_rank(rank)
        stages = 0.0
        if size == self.plan.sizes[-1]:
            distinct = {c.weights.stages[:1]: c for c in ranked.candidates}
            stages = sum(self.reading_stage(RunSpec(c, size, SEARCH_DRAW)) for c in distinct.values())
            others = [r for r in self.plan.ranks if m.has_rank and r != rank]
            stages += sum(self.reading_stage(RunSpec(m.with_rank(r).candidates[0], size, SEARCH_DRAW)) for r in others)
        if self.searches.is_stored(m, rank, size):
            return stages
        specs = [RunSpec(c, size, SEARCH_DRAW) for c in ranked.candidates]
        unknown = [s for s in specs if not self.bench.is_stored(s, "validation")]
        trials = (self.training(s) + self.evaluation(s, len(self.bench.scoped(s).validation)) for s in unknown)
        tuned = {s.candidate.weights.stage(): s for s in unknown}
        return stages + sum(self.tuning_stage(s) for s in tuned.values()) + sum(trials)

    def memory(self, cell: PlannedCell) -> float | None:
        """Peak bytes of a cell's work beyond the loaded model: its training, or completing a batch;
        None for a shape the formulas don't know."""
        model = self.bench.model
        if "train" not in model.can:
            return None
        try:
            shape = Shape.of(model.config.to_dict())
        except LabError:
            return None
        # Seeds draw other items of the same lengths; the first seed's prompts stand for all.
        candidate = self.plan.method(cell.method).with_rank(cell.rank).candidates[0]
        spec, weights = RunSpec(candidate, cell.size or self.plan.sizes[-1], SEARCH_DRAW), candidate.weights
        target, room = self.bench.tokens_a_target, self.bench.decoding.max_tokens
        width = self.prompt_tokens(spec)[0] + target
        if not weights.trains:
            row = cache_bytes(shape, 1, int(width) + room, model.bytes_each)
            return row * max(1, min(len(self.bench.task.test), CACHE_BYTES // row))
        used = forecast_training(
            shape,
            weights.footprint,
            batch=weights.batch_size,
            sequence=int(width),
            rank=weights.rank if weights.has_rank else 1,
            bytes_each=model.bytes_each,
            logit_positions=int(target) + 1,
        )
        return used.beyond_weights + 4 * weights.added_parameters(shape)

    def probes(self, names: Sequence[str]) -> float:
        """Seconds of the base model's probes, forgetting's own included; 0 where they are stored."""
        each = self.rates.reading * PROBE_TOKENS
        each += (self.rates.writing + PROBE_TOKENS * self.rates.attending) * PROBE_WRITTEN
        items = items_for(self.bench.model)
        unknown = sum(not self.prober.is_stored(probe(n, items)) for n in names) * items * each
        wanted = any(self.plan.is_probed(c) for c in self.plan.cells)
        return unknown + (self._asking(self.probe_set, "") if wanted and self.probe_set else 0.0)

    def _asking(self, wanted: ProbeSet, adaptation: str) -> float:
        """Seconds to ask what is not stored yet of the base or of an adaptation."""
        unknown = [p for p in wanted.asked if not self.prober.is_stored(p, adaptation)]
        return sum(self._probe_seconds(p) for p in unknown)

    def _probe_seconds_of(self, asked: Probe) -> float:
        count = self.bench.model.count_tokens
        some = asked.items[:SAMPLE]
        if asked.chosen:
            tokens = [sum(count(p.input) + count(c) + 12 for c in s.choices) for s, p in some]
            return len(asked.items) * self.rates.reading * float(np.mean(tokens))
        tokens = [count(self.bench.model.render(p)) for _, p in some]
        written = float(np.mean([count(s.target) for s, _ in some]) + 1)
        return len(asked.items) * (
            self.rates.reading * float(np.mean(tokens))
            + (self.rates.writing + self.rates.attending * float(np.mean(tokens))) * written
        )

    def probing(self, cell: PlannedCell, spec: RunSpec) -> float:
        """Seconds of the probes that follow a cell."""
        if not self.probe_set or not self.plan.is_probed(cell):
            return 0.0
        if spec.candidate.weights.trains:
            return self._asking(self.probe_set, self.bench.adaptation_key(spec))
        asked = self.probe_set.asked_in_context
        if self.bench.is_stored(spec, "test"):
            asked = [p for p in asked if not self.prober.is_stored_within(p, self.bench.fitted(spec))]
        extra = self.rates.reading * self.prompt_tokens(spec)[0] if asked else 0.0
        return sum(self._probe_seconds(p) + len(p.items) * extra for p in asked)
