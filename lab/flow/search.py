"""An arm's search on validation: its candidates scored on a draw of its own, and the Choice that is stored.

``Search(bench).choose(method("lora"), cell, plan)`` gives the candidate for a cell and the choices it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import lab.context
import lab.weights
from lab.flow.bench import Bench, RunSpec
from lab.flow.families import member_from, settings_of
from lab.flow.methods import Candidate, Method
from lab.flow.plan import Plan, PlannedCell
from lab.schema import TrainingFailed
from lab.store import Entry, key_of
from lab.study import FAILED, SEARCH_DRAW, Choice, Trial
from lab.weights.base import TrainingLog

HALVING_LOOKS = 2
"""Of ten looks at validation: two of four candidates are gone on with after a fifth of the steps, the same choice in 13
of 16 committed searches, at 0.13 points of validation accuracy in the mean (the notes on statistics)."""


class Search:
    """Searches of one bench."""

    def __init__(self, bench: Bench, halving: bool = False) -> None:
        self.bench, self.halving = bench, halving
        """Halving: trainings that are behind after a fifth of their steps leave the search."""
        self._fallen: dict[tuple[Method, int | None], TrainingFailed] = {}

    def choose(self, m: Method, cell: PlannedCell, plan: Plan) -> tuple[Candidate, list[Choice]]:
        """The arm's candidate for a cell, and the choices that it was taken from.

        A choice made at the largest size is reused for the sizes between where the smallest size chose alike; else
        every size has its own. The largest rank's choice serves all ranks.
        """
        sizes, rank = plan.sizes, plan.ranks[-1] if m.has_rank else None
        choices = [self.choice(m, rank, sizes[-1])]
        if m.uses_labels and cell.size != sizes[-1]:
            choices.append(self.choice(m, rank, sizes[0]))
            largest, smallest = (c.best.settings for c in choices)
            if smallest != largest and cell.size != sizes[0]:
                choices.append(self.choice(m, rank, cell.size))
        return candidate_of(choices[-1].best.settings).at_rank(cell.rank), choices

    def choice(self, m: Method, rank: int | None, size: int | None) -> Choice:
        """What validation chooses for an arm at a rank and size: stored, or searched for now; raises TrainingFailed
        where no candidate could be trained."""
        ranked = m.with_rank(rank)
        entry = self._stored(ranked, size)
        if entry is None:
            what = self._what(ranked, size) | ({"halving": HALVING_LOOKS} if self._halves(ranked) else {})
            if fallen := self._fallen.get((ranked, size)):
                raise fallen
            try:
                entry = self.bench.store.once(
                    "choice", what, lambda draft: self._searched(ranked, size), self.bench.machine
                )
            except TrainingFailed as error:
                # Nothing is stored of it; the arm's other draws must not search again.
                self._fallen[ranked, size] = error
                raise
        where = {"key": entry.key, "method": m.name, "size": size, "rank": rank, "model": self.bench.model.name}
        return Choice.of(where | entry.record["result"])

    def chosen(self, m: Method, rank: int | None, size: int | None) -> list[Candidate]:
        """What a stored search at a rank and size has chosen; empty where there is none yet."""
        entry = self._stored(m.with_rank(rank), size)
        result = entry.record["result"] if entry else None
        return [candidate_of(result["trials"][result["chosen"]]["settings"])] if result else []

    def trials(self, plan: Plan) -> list[RunSpec]:
        """What the searches of a plan will try for certain and is not stored: candidates, at both ends of the sizes."""
        found: dict[RunSpec, None] = {}
        for m in plan.methods:
            rank = plan.ranks[-1] if m.has_rank else None
            for size in dict.fromkeys([plan.sizes[-1], plan.sizes[0]] if m.uses_labels else [plan.sizes[-1]]):
                if not self.is_stored(m, rank, size):
                    found |= {RunSpec(c, size, SEARCH_DRAW): None for c in m.with_rank(rank).candidates}
        return [spec for spec in found if not self.bench.is_stored(spec, "validation")]

    def is_stored(self, m: Method, rank: int | None, size: int | None) -> bool:
        """Whether an arm's search at a rank and size is in the store."""
        return self._stored(m.with_rank(rank), size) is not None

    def _stored(self, ranked: Method, size: int | None) -> Entry | None:
        """A whole search serves where one by halving is wanted, and not the other way round."""
        what = self._what(ranked, size)
        whole = self.bench.store.find("choice", key_of(what))
        if whole or not (self.halving and ranked.trains):
            return whole
        return self.bench.store.find("choice", key_of(what | {"halving": HALVING_LOOKS}))

    def _what(self, ranked: Method, size: int | None) -> dict[str, Any]:
        embeds = any(c.context.uses_embedder for c in ranked.candidates)
        return (
            {
                "kind": "choice",
                "task": self.bench.task.digest,
                "model": self.bench.model.revision,
                "size": size,
                "seed": SEARCH_DRAW,
                "decoding": self.bench.decoding.as_json(),
                "embedder": self.bench.tools.embedder.revision if embeds else "",
                "candidates": [_settings(c) for c in ranked.candidates],
            }
            | ({"moves": True} if ranked.moves else {})
            | ({"reranker": self.bench.tools.reranker.revision} if ranked.uses_reranker else {})
            | self._extraction
        )

    @property
    def _extraction(self) -> dict[str, str]:
        return {"extraction": self.bench.extraction} if self.bench.extraction else {}

    def _searched(self, m: Method, size: int | None) -> dict[str, Any]:
        """Score all candidates on validation; the first of equals wins. A grid that ``moves`` goes on where the choice
        lies at its edge: once, and for prompts as for weights."""
        specs = [RunSpec(c, size, SEARCH_DRAW) for c in m.candidates]
        left = self._left_behind(specs) if self._halves(m) else {}
        trials = [left.get(number) or self._trial(number, spec) for number, spec in enumerate(specs)]
        if all(t.failed for t in trials):
            raise TrainingFailed(f"every candidate failed; the first: {trials[0].failed}")
        if m.moves:
            further = beyond(m.candidates, _best(trials).number)
            trials += [self._trial(len(trials) + n, RunSpec(c, size, SEARCH_DRAW)) for n, c in enumerate(further)]
        best = _best(trials)
        return {
            "trials": [asdict(t) for t in trials],
            "chosen": best.number,
            "at_edge": at_edge([t.settings for t in trials], best.number),
            "still_rising": self._still_rising(best.adaptation),
            "looks": sum(t.looks for t in trials),
            "validation_items": len(self.bench.scoped(specs[0]).validation),
        }

    def _halves(self, m: Method) -> bool:
        return self.halving and m.trains and len(m.candidates) > 2

    def _left_behind(self, specs: Sequence[RunSpec]) -> dict[int, Trial]:
        """Successive halving (Jamieson and Talwalkar 2016): all candidates for a fifth of their steps, the better half
        by validation for the rest; the trials of those that leave, by number.

        What fails, is stored, or stops by itself before that stays in."""
        begun: dict[int, TrainingLog] = {}
        for number, spec in enumerate(specs):
            try:
                log = self.bench.begin(spec, HALVING_LOOKS)
            except TrainingFailed:
                continue
            if log is not None:
                begun[number] = log
        seen = {n: max((p["validation_accuracy"], -p["validation_nll"]) for p in log.curve) for n, log in begun.items()}
        keep = max(0, -(-len(specs) // 2) - (len(specs) - len(begun)))
        gone = sorted(begun, key=lambda n: seen[n], reverse=True)[keep:]
        found = {}
        for number in gone:
            log = begun[number]
            self.bench.abandon(specs[number])
            found[number] = Trial(
                number,
                _settings(specs[number].candidate),
                seen[number][0],
                nll=-seen[number][1],
                looks=log.validation_looks,
                seconds=log.seconds,
                machine=self.bench.model.machine.name,
                left_at=log.curve[-1]["step"],
            )
        return found

    def _trial(self, number: int, spec: RunSpec) -> Trial:
        trial, bench = Trial(number, _settings(spec.candidate), FAILED), self.bench
        try:
            trial.adaptation = bench.adapt(spec)
        except TrainingFailed as error:
            trial.failed = str(error)
            return trial
        entry, log = bench.evaluate(spec, "validation"), bench.log_of(trial.adaptation)
        samples = bench.scoped(spec).validation
        trial.evaluation, trial.accuracy = entry.key, bench.right_of(samples, entry) / len(samples)
        trial.nll, trial.looks = log.get("validation_nll"), 1 + log.get("validation_looks", 0)
        trial.seconds = log.get("seconds", 0.0) + entry.record["result"]["seconds"]
        trial.stage = bench.stage_of(trial.adaptation)
        trial.stage_seconds = bench.training_usage(trial.adaptation)["stage_seconds"]
        trial.machine = bench.machines(entry, trial.adaptation)
        return trial

    def _still_rising(self, adaptation: str) -> bool:
        """Whether the best checkpoint was the last look: more steps might have helped."""
        log = self.bench.log_of(adaptation)
        return bool(log) and log["best_step"] == log["steps"] and log.get("validation_accuracy", 1.0) < 1.0


def _best(trials: Sequence[Trial]) -> Trial:
    whole = [t for t in trials if not t.left_at]
    return max(whole, key=lambda t: (t.accuracy, -(t.nll or 0.0), -t.number))


def candidate_of(settings: dict[str, Any]) -> Candidate:
    """The candidate that a trial's settings describe."""
    return Candidate(member_from(lab.context, settings["context"]), member_from(lab.weights, settings["weights"]))


def beyond(candidates: Sequence[Candidate], chosen: int) -> list[Candidate]:
    """One step further for each number of the chosen candidate that is the smallest or largest tried.

    A step is the ratio to the number next to it; whole numbers stay whole and above 0.
    """
    found = []
    for family in ("context", "weights"):
        best = getattr(candidates[chosen], family)
        for axis in (f for f in vars(best) if _is_number(getattr(best, f))):
            tried = sorted({getattr(getattr(c, family), axis) for c in candidates})
            value = getattr(best, axis)
            if len(tried) < 2 or value not in (tried[0], tried[-1]):
                continue
            step = value / (tried[1] if value == tried[0] else tried[-2])
            further = round(value * step) if isinstance(value, int) else float(f"{value * step:.2g}")
            if further > 0:
                moved = replace(best, **{axis: further})
                found.append(replace(candidates[chosen], **{family: moved}))
    return found


def _settings(candidate: Candidate) -> dict[str, Any]:
    return {"context": settings_of(candidate.context), "weights": settings_of(candidate.weights)}


def at_edge(settings: list[dict[str, Any]], chosen: int) -> list[str]:
    """Axes whose chosen number is the smallest or largest of at least three tried."""
    edges = []
    for family in ("context", "weights"):
        for axis in sorted({a for s in settings for a in s[family]} - {"name", "version"}):
            tried = sorted({s[family][axis] for s in settings if _is_number(s[family].get(axis))})
            value = settings[chosen][family].get(axis)
            if len(tried) >= 3 and value in (tried[0], tried[-1]):
                edges.append(f"{axis} = {value:g}")
    return edges


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
