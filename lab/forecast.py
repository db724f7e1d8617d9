"""Seconds before the run: a short calibration of this machine and model, then arithmetic over tokens and steps.

``Forecast(runner).cell(cell)`` is 0 for what is stored already.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache

import numpy as np
import torch

from lab.abilities import Prober, ProbeSet, probes_missing
from lab.context.passages import Passages
from lab.measure.flops import Shape
from lab.measure.memory import cache_bytes, forecast_training
from lab.methods import Method, method
from lab.models.generation import BATCH_TOKENS, common_prefix, generate
from lab.models.likelihood import Encoded
from lab.plan import Plan, RunCell
from lab.producing import LATENCY_ITEMS, SIDE_ITEMS, RunSpec
from lab.runner import CONTROLS, Runner
from lab.schema import Decoding, LabError
from lab.store import key_of
from lab.sweep import RANK as WHY_RANK
from lab.sweep import SPARE_ITEMS
from lab.weights.training import LOOKS, Schedule, train
from lab.why import METHODS, pretraining_of
from lab.why import RANKS as CUT_RANKS
from lab.world.probes import ITEMS, Probe

SAMPLE = 12
"""Prompts that are built to know an arm's prompt length."""
ROWS = 96
"""Prompts of the batch that writing is timed with."""
CALIBRATION = 3
"""Raised when the same rates are measured in another way, or generation becomes faster."""
WRITTEN = 6
"""Prompts that a frozen arm completes to know how much it writes."""
LAYER_SECONDS, PACE_SECONDS = 40.0, 80.0
"""Of the linear probes, and of timing all steps side by side, with the bundled model on one core."""


@dataclass(frozen=True)
class Rates:
    """Seconds a token on this machine with this model."""

    training: float
    """Forward, backward and update, a token of a batch."""
    reading: float
    """A prompt token in a batch of prompts."""
    writing: float
    """A completion token of one item in a batch, with nothing before it."""
    attending: float
    """What each token of context adds to that."""
    alone: float
    """A completion token of a request alone."""


def calibrate(runner: Runner) -> Rates:
    """Measure the rates in a few seconds, once a machine and model (kept in LAB_HOME, remeasured after a day)."""
    model = runner.model
    key = key_of({"model": model.revision, "machine": asdict(model.machine), "torch": torch.__version__, "rates": [f.name for f in fields(Rates)], "version": CALIBRATION})
    path = runner.store.home / "calibration" / f"{key}.json"
    if path.exists() and time.time() - path.stat().st_mtime < 86_400:
        return Rates(**json.loads(path.read_text()))
    width = min(160, model.window // 2)
    vocabulary = min(1000, model.network.config.vocab_size - 1)
    generator = np.random.default_rng(0)
    draw = lambda rows, length: generator.integers(3, vocabulary, (rows, length)).tolist()  # noqa: E731
    prompts = draw(32, width)
    seconds = lambda rows, tokens: min(_timed(lambda: generate(model.network, model.tokenizer, rows, Decoding(tokens, ""))) for _ in range(2))  # noqa: E731
    reading = seconds(prompts, 1) / (32 * width)
    short, long = width // 4, min(2 * width, model.window - 16)
    # As many rows as a real batch has: beyond the processor's cache a row costs more. They share all but their last
    # tokens, so that what is before those is read once and only writing takes time.
    begun = {length: [start + tail for tail in draw(ROWS, 4)] for length in (short, long) for start in draw(1, length - 4)}
    each = {length: _writing_seconds(model, rows) for length, rows in begun.items()}
    attending = max(0.0, (each[long] - each[short]) / (long - short))
    writing = max(each[short] - attending * short, 1e-7)
    single = draw(1, width)
    alone = min(_writing_seconds(model, single) for _ in range(2))
    network = model.copy_network()
    network.requires_grad_(True)
    items = [Encoded(p[:-12], p[-12:]) for p in prompts[:16]]
    quiet = lambda done, total, words: None  # noqa: E731
    train(model, network, items, [], Schedule(1e-9, 1, 1), 0, quiet, "calibration")
    training = train(model, network, items, [], Schedule(1e-9, 1, 4), 0, quiet, "calibration").seconds / (4 * 16 * width)
    rates = Rates(training, reading, writing, attending, alone)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(rates)))
    temporary.replace(path)
    return rates


def _writing_seconds(model, rows: list[list[int]]) -> float:
    """Seconds of one row's step after its first, from nine steps beside one; a row that ends early has made fewer."""
    def work(tokens: int) -> tuple[float, int]:
        started = time.perf_counter()
        found = generate(model.network, model.tokenizer, rows, Decoding(tokens, ""), batch_tokens=10**9)
        return time.perf_counter() - started, sum(min(tokens, g.tokens + g.finished) for g in found)

    (long, many), (short, few) = work(9), work(1)
    return max(long - short, 1e-5) / max(1, many - few)


def _timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def why_seconds(runner: Runner, sizes: Sequence[int]) -> list[float]:
    """Seconds of each point of ``lab.why.why``, in its order.

    An arm's first point waits for the searches at the largest and the smallest size; a size between is taken to choose
    as these two do. Raises LabError for a base model whose pretraining is not on record.
    """
    pretraining_of(runner.model)
    methods, largest, layers = [method(n) for n in METHODS], sizes[-1], runner.model.network.config.num_hidden_layers
    seconds = Forecast(runner, Plan(methods, [], 1, list(sizes), [WHY_RANK]))
    middle = {m.name: RunSpec(m.with_rank(WHY_RANK if m.has_rank else None).candidates[1], largest, 0) for m in methods}
    asked = seconds.evaluation(middle["full"], SPARE_ITEMS)
    points = [LAYER_SECONDS]
    for m in methods:
        for size in sizes:
            searched = sum(seconds.search(m, s) for s in {sizes[0], largest}) if size == sizes[0] else 0.0
            trained = seconds.training(replace(middle[m.name], size=size)) if size not in (sizes[0], largest) else 0.0
            points.append(searched + trained + asked)
    whole = seconds.training(middle["full"])
    points += [asked + whole * (1 + 2 * (layers - k) / layers) / 3 for k in range(1, layers + 1)]
    return [*points, (len(CUT_RANKS) + 1) * asked, PACE_SECONDS]


class Forecast:
    """Seconds of cells and searches."""

    def __init__(self, runner: Runner, plan: Plan) -> None:
        self.runner, self.plan = runner, plan
        self.prompt_tokens = lru_cache(maxsize=256)(self._prompt_tokens)
        self.written_tokens = lru_cache(maxsize=256)(self._written_tokens)
        self._probe_seconds = lru_cache(maxsize=64)(self._probe_seconds_of)

    @cached_property
    def rates(self) -> Rates:
        """The machine's rates, measured when first needed."""
        return calibrate(self.runner)

    def _prompt_tokens(self, spec: RunSpec) -> tuple[float, float]:
        """(mean prompt length of a spec, what of it all test prompts share), from a few prompts."""
        model, reserve = self.runner.model, self.runner.decoding.max_tokens
        encoded = [model.encode(p, reserve).tokens for p in self.runner.prompts(spec, "test", SAMPLE)]
        shared = common_prefix(encoded) if len(encoded) > 1 else 0
        return float(np.mean([len(e) for e in encoded])), float(shared)

    def _written_tokens(self, spec: RunSpec) -> float:
        """Mean tokens of a completion: a trained model writes what it was taught, a frozen one may run on to the limit, so it is asked."""
        if spec.candidate.weights.trains:
            return self.runner.tokens_a_target
        prompts = [(str(n), p) for n, p in enumerate(self.runner.prompts(spec, "test", WRITTEN))]
        return float(np.mean([c.usage.completion_tokens for c in self.runner.model.complete(prompts, self.runner.decoding)]))

    def evaluation(self, spec: RunSpec, items: int) -> float:
        """Seconds to complete ``items`` prompts; a shared beginning is computed once."""
        length, shared = self.prompt_tokens(spec)
        written = self.written_tokens(spec)
        return self.rates.reading * (shared + items * (length - shared)) + items * written * (self.rates.writing + self.rates.attending * length)

    def latencies(self, spec: RunSpec) -> float:
        """Seconds of the requests that are timed alone on the test items."""
        side = SIDE_ITEMS if hasattr(spec.candidate.weights, "rank") else 0
        return (LATENCY_ITEMS + side) * (self.rates.reading * self.prompt_tokens(spec)[0] + self.rates.alone * self.written_tokens(spec))

    def training(self, spec: RunSpec) -> float:
        """Seconds of one adaptation, its validation looks included; a study stage counts once an arm, in its search."""
        weights = spec.candidate.weights
        if not weights.trains:
            return 0.0
        task = self.runner.scoped(spec)
        tokens = self.prompt_tokens(spec)[0] + self.runner.tokens_a_target
        schedule = Schedule(weights.learning_rate, weights.epochs, weights.minimum_steps, weights.batch_size)
        batch = min(weights.batch_size, len(task.train))
        looks = LOOKS * len(task.validation) * tokens * self.rates.reading
        return schedule.steps(len(task.train)) * batch * tokens * self.rates.training + looks

    def study_stage(self, spec: RunSpec) -> float:
        """Seconds of the stage on the documents, 0 where there is none."""
        stage = spec.candidate.weights.study_stage() if spec.candidate.weights.trains else None
        if stage is None or self.runner.study_is_stored(spec):
            return 0.0
        tokens = sum(self.runner.model.count_tokens(d.text) for d in self.runner.task.documents)
        return stage.study_epochs * tokens * self.rates.training

    def cell(self, cell: RunCell) -> float:
        """Seconds of one cell after its arm's search; 0 where its results are stored."""
        m = self._method(cell.method).with_rank(cell.rank)
        specs = [RunSpec(c, cell.size or self.plan.sizes[-1], cell.seed) for c in m.candidates]
        stored = [s for s in specs if self._stored(s, "test")]
        spec = specs[len(specs) // 2]
        if stored:
            probing = self.probing(cell, stored[0])
            again = probing and spec.candidate.weights.trains and not self.runner.weights_are_stored(stored[0])
            return probing + (self.training(stored[0]) if again else 0.0)
        chosen = self.runner.choice_is_stored(self._method(cell.method), RunCell(cell.method, cell.rank, cell.size or self.plan.sizes[-1], 0))
        searched = not chosen and cell.seed == 0 and cell.size in (None, self.plan.sizes[-1], self.plan.sizes[0]) and cell.rank in (None, self.plan.ranks[-1])
        seconds = self.evaluation(spec, len(self.runner.task.test)) + self.latencies(spec) + self.probing(cell, spec)
        if not searched:
            seconds += self.training(spec) + self.evaluation(spec, len(self.runner.scoped(spec).validation))
        if m.retrieves and cell.seed == 0 and cell.size in (None, self.plan.sizes[-1]):
            control = replace(spec.candidate, context=replace(spec.candidate.context, mode="random")) if isinstance(spec.candidate.context, Passages) else spec.candidate
            seconds += len(CONTROLS) * self.evaluation(RunSpec(control, spec.size, spec.seed), len(self.runner.task.test))
        return seconds

    def search(self, m: Method, size: int) -> float:
        """Seconds of an arm's search at a size: all candidates, and at the largest size the study stages.

        The searched rank tries every study stage, the other ranks take the chosen one.
        """
        rank = self.plan.ranks[-1] if m.has_rank else None
        ranked = m.with_rank(rank)
        stages = 0.0
        if size == self.plan.sizes[-1]:
            distinct = {c.weights.study_stage(): c for c in ranked.candidates if c.weights.trains}
            stages = sum(self.study_stage(RunSpec(c, size, 0)) for c in distinct.values())
            others = [r for r in self.plan.ranks if m.has_rank and r != rank]
            stages += sum(self.study_stage(RunSpec(m.with_rank(r).candidates[0], size, 0)) for r in others)
        if self.runner.choice_is_stored(m, RunCell(m.name, rank, size, 0)):
            return stages
        unknown = [s for s in (RunSpec(c, size, 0) for c in ranked.candidates) if not self._stored(s, "validation")]
        return stages + sum(self.training(s) + self.evaluation(s, len(self.runner.scoped(s).validation)) for s in unknown)

    def memory(self, cell: RunCell) -> float | None:
        """Peak bytes of a cell's work beyond the loaded model: its training, or completing a batch; None for a shape the formulas don't know."""
        network = self.runner.model.network
        try:
            shape = Shape.of(network.config.to_dict())
        except LabError:
            return None
        # Seeds draw other items of the same lengths; the first seed's prompts stand for all.
        spec = RunSpec(self._method(cell.method).with_rank(cell.rank).candidates[0], cell.size or self.plan.sizes[-1], 0)
        each, target = network.dtype.itemsize, self.runner.tokens_a_target
        width = self.prompt_tokens(spec)[0] + target
        weights = spec.candidate.weights
        if not weights.trains:
            return cache_bytes(shape, max(1, int(BATCH_TOKENS / (width + self.runner.decoding.max_tokens))), int(width) + self.runner.decoding.max_tokens, each)
        rank = getattr(weights, "rank", 0)
        used = forecast_training(shape, "lora" if rank else "full", batch=weights.batch_size, sequence=int(width), rank=rank or 1, bytes_each=each, logit_positions=int(target) + 1)
        return used.beyond_weights + (0 if not rank else 4 * shape.lora_parameters(rank))

    def probes(self, names: Sequence[str]) -> float:
        """Seconds of the base model's probes, forgetting's own included; 0 where they are stored."""
        unknown = len(probes_missing(self.runner.model, self.runner.store, names)) * ITEMS * (self.rates.reading * 220 + (self.rates.writing + 220 * self.rates.attending) * 10)
        wanted = self.runner.probes if any(self.runner.is_probed(c, self.plan) for c in self.plan.cells) else None
        return unknown + (self._asking(wanted, "") if wanted else 0.0)

    def _asking(self, wanted: ProbeSet, adaptation: str) -> float:
        """Seconds to ask what is not stored yet of the base or of an adaptation."""
        prober = Prober(self.runner.model, self.runner.store)
        unknown = [p for p in wanted.asked if not prober.is_stored(p, adaptation)]
        return sum(self._probe_seconds(p) for p in unknown)

    def _probe_seconds_of(self, asked: Probe) -> float:
        count = self.runner.model.count_tokens
        some = asked.items[:SAMPLE]
        if asked.chosen:
            tokens = [sum(count(p.input) + count(c) + 12 for c in s.choices) for s, p in some]
            return len(asked.items) * self.rates.reading * float(np.mean(tokens))
        tokens = [count(self.runner.model.render(p)) for _, p in some]
        written = float(np.mean([count(s.target) for s, _ in some]) + 1)
        return len(asked.items) * (self.rates.reading * float(np.mean(tokens)) + (self.rates.writing + self.rates.attending * float(np.mean(tokens))) * written)

    def probing(self, cell: RunCell, spec: RunSpec) -> float:
        """Seconds of the probes that follow a cell."""
        if not self.runner.probes or not self.runner.is_probed(cell, self.plan):
            return 0.0
        if spec.candidate.weights.trains:
            return self._asking(self.runner.probes, self.runner.adaptation_key(spec))
        prober, asked = Prober(self.runner.model, self.runner.store), self.runner.probes.asked_in_context
        if self._stored(spec, "test"):
            asked = [p for p in asked if not prober.is_stored_within(p, self.runner.fitted(spec))]
        extra = self.rates.reading * self.prompt_tokens(spec)[0] if asked else 0.0
        return sum(self._probe_seconds(p) + len(p.items) * extra for p in asked)

    def _method(self, name: str) -> Method:
        return next(m for m in self.plan.methods if m.name == name)

    def _stored(self, spec: RunSpec, split: str) -> bool:
        return self.runner.is_stored(spec, split)
