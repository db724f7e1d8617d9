"""What a study shows at one data size and rank, before anyone's prices or limits: plain numbers and words.

``lab.decide`` and the report's page reach the same verdict from it, the one in Python, the other in the browser::

    evidence(study, size=400, rank=None) -> Evidence(arms=[...], pairs=[...])
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import combinations
from statistics import stdev
from typing import Any

from lab.measure.arms import Arm, arms_at
from lab.measure.cost import Used
from lab.measure.forgetting import forgotten
from lab.measure.statistics import Comparison, holm
from lab.schema import LabError
from lab.study import Study

ALPHA = 0.05

NEEDS = {
    "zero_shot": ("instruction",), "few_shot": ("format_examples", "label_examples"), "few_shot_nearest": ("format_examples", "label_examples"),
    "rag": ("reading_5",), "few_shot_rag": ("reading_5", "format_examples"),
}
"""Probes of what a frozen arm asks of its base model; one passed is enough. Trained arms can learn what they need."""
PASSED = 0.3
"""A probe is failed where the upper end of its interval lies below."""


@dataclass(frozen=True)
class ArmEvidence:
    """What was measured of one arm."""

    name: str
    label: str
    rank: int | None
    accuracy: float
    low: float
    high: float
    seeds: int
    fixed_seconds: float
    """To make it once: its search with all validation trials, study stages, and a training of its own."""
    elsewhere_seconds: float
    """Of its search on another machine: told, but in no sum."""
    seconds_per_request: float
    latency_seconds: float
    """Of one request alone."""
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    parts: dict[str, float]
    recall: dict[str, float]
    outcomes: dict[str, int]
    unfit: str
    """Why the base model can't be asked this way; empty where it can."""
    seconds_error: float = 0.0
    """Standard error of ``seconds_per_request``."""
    fixed_error: float = 0.0
    """Standard error of ``fixed_seconds``, from how much the seeds' trainings differ."""
    latency_p95_seconds: float = 0.0
    side_latency_seconds: float = 0.0
    """Median of one request alone with the adapter beside the weights; 0 where there is none."""
    update_seconds: float = 0.0
    """To take in changed documents: indexing again, and training again where they were studied."""
    labels: int = 0
    reads_documents: bool = False
    changes_weights: bool = False
    trained_parameters: int = 0
    training_peak_bytes: float = 0.0
    peak_bytes: float = 0.0
    forgetting: float | None = None
    """The headline accuracy drop (``lab.measure.forgetting``); None where it was not measured."""
    forgetting_low: float = 0.0
    forgetting_high: float = 0.0

    @property
    def used(self) -> Used:
        """What its costs are made of."""
        return Used(self.fixed_seconds, self.seconds_per_request, self.seconds_error, self.fixed_error, self.prompt_tokens, self.cached_tokens, self.completion_tokens,
                    self.update_seconds, self.labels, self.reads_documents)


@dataclass(frozen=True)
class PairEvidence:
    """Two arms on the same items, first minus second, in shares of 1."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_holm: float
    """Holm over all pairs."""
    half_widths: list[float]
    """Half width of the one-sided bound at level ALPHA / k, for k = 1 up to the number of arms less one."""
    item_variance: float
    seed_variance: float
    total_variance: float

    @property
    def words(self) -> str:
        """The result in plain English."""
        if self.p_holm < ALPHA:
            better, worse = (self.first, self.second) if self.difference > 0 else (self.second, self.first)
            return f"{better} is better than {worse}"
        return f"no difference shown between {self.first} and {self.second}"


@dataclass(frozen=True)
class Evidence:
    """Arms in the order they were asked for, and every pair of them."""

    size: int | None
    rank: int | None
    """None: each arm at the rank that validation chose."""
    items: int
    arms: list[ArmEvidence] = field(default_factory=list)
    pairs: list[PairEvidence] = field(default_factory=list)
    comparable: bool = True
    """All seconds come from one machine."""
    provisional: bool = False
    unfinished: str = ""
    """What is missing of the run; empty where it is finished."""

    def as_json(self) -> dict[str, Any]:
        """Plain data for the page, with the words that it repeats."""
        return asdict(self) | {"pairs": [asdict(p) | {"words": p.words} for p in self.pairs]}


def evidence(study: Study, size: int | None = None, rank: int | None = None) -> Evidence:
    """What the study shows at a size (the largest by default) and rank (each arm's by validation by default); raises LabError for an empty study."""
    arms = arms_at(study, size, rank)
    if not arms:
        raise LabError("the study has no finished cell; run lab decide")
    best = max(arms, key=lambda a: a.accuracy)
    return Evidence(
        size if size is not None else (study.sizes() or [None])[-1], rank, len(study.items), [_arm(study, a, best) for a in arms], _pairs(arms),
        comparable=len({c.machine for a in arms for c in a.cells if c.machine}) <= 1,
        provisional="finished" not in study.made or any(len(a.cells) < 2 for a in arms if a.cells[0].size is not None and not a.cells[0].control),
        unfinished="" if "finished" in study.made else _missing(study, arms))


def _missing(study: Study, arms: list[Arm]) -> str:
    absent = [n for n in study.plan.get("methods", []) if n not in {a.name for a in arms}]
    measured = sum(not c.control for c in study.cells)
    return f"{study.plan.get('cells', 0)} cells were planned, {measured} are measured" + (f"; {', '.join(absent)} not at all" if absent else "")


def _arm(study: Study, arm: Arm, best: Arm) -> ArmEvidence:
    fixed, elsewhere, trainings = fixed_seconds(study, arm)
    own, seconds = arm.cells[0], arm.usage("seconds") + arm.usage("context_seconds")
    parts = {name: value for name in own.parts if (value := arm.part(name)) is not None}
    seeds = [c.usage.get("training_seconds", 0.0) for c in arm.cells]
    errors = [c.usage.get("seconds_error", 0.0) for c in arm.cells]
    studied = bool(own.study)
    update = max(c.usage.get("index_seconds", 0.0) for c in arm.cells) + (arm.usage("study_seconds") + arm.usage("training_seconds") if studied else 0.0)
    lost = forgotten(study, arm.name, own.size, arm.rank) if own.adaptation else None
    drop = lost.headline if lost else None
    return ArmEvidence(
        arm.name, arm.label, arm.rank, arm.accuracy, *arm.interval, len(arm.cells), fixed, elsewhere, seconds, arm.usage("latency_seconds") or seconds,
        arm.usage("prompt_tokens"), arm.usage("cached_tokens"), arm.usage("completion_tokens"), parts, arm.recall(), arm.outcomes(), _unfit(study, arm, best),
        seconds_error=math.hypot(*errors) / len(errors), fixed_error=stdev(seeds) * math.sqrt(trainings) if len(seeds) > 1 and trainings else 0.0,
        latency_p95_seconds=arm.usage("latency_p95_seconds"), side_latency_seconds=arm.usage("side_latency_seconds"), update_seconds=update, labels=own.size or 0,
        reads_documents=own.context.get("name") == "passages" or studied, changes_weights=bool(own.adaptation), trained_parameters=int(own.usage.get("trained_parameters", 0)),
        training_peak_bytes=max(c.usage.get("training_peak_bytes", 0.0) for c in arm.cells), peak_bytes=max(c.usage.get("peak_bytes", 0.0) for c in arm.cells),
        forgetting=drop.drop if drop else None, forgetting_low=drop.low if drop else 0.0, forgetting_high=drop.high if drop else 0.0)


def fixed_seconds(study: Study, arm: Arm) -> tuple[float, float, int]:
    """Seconds to make one such arm, seconds of its search that another machine took (never added to the first), and trainings in the first.

    All trials of its search (at this size and rank, where it had one of its own), every study stage that they went on from, and a training of the arm's own
    where none of the trials was it.
    """
    size, own = arm.cells[0].size, arm.cells[0]
    made = [c for c in study.choices if c["method"] == arm.name]
    searches = [c for c in made if c["size"] == size] or made
    searches = [c for c in searches if c.get("rank") == arm.rank] or searches
    trials = searches[0]["trials"] if searches else []
    here = [t for t in trials if t["machine"] == own.machine]
    stages = {t["study"]: t["study_seconds"] for t in here} | {own.study: own.usage.get("study_seconds", 0.0)}
    again = own.adaptation not in {t["adaptation"] for t in here}
    training = own.usage.get("training_seconds", 0.0) if again else 0.0
    trainings = sum(bool(t["adaptation"]) for t in here) + (again and training > 0)
    return sum(t["seconds"] for t in here) + sum(stages.values()) + training, sum(t["seconds"] + t["study_seconds"] for t in trials if t not in here), trainings


def _unfit(study: Study, arm: Arm, best: Arm) -> str:
    """An arm that loses clearly on a base that fails the probes it needs is not evaluable, never lost."""
    probes = {n: study.probes[n] for n in NEEDS.get(arm.name, ()) if n in study.probes}
    if probes and all(p["high"] < PASSED for p in probes.values()) and arm is not best and best.against(arm).low > 0:
        names = ", ".join(f"{n} {percent(p['accuracy'])}" for n, p in probes.items())
        return f"not evaluable on this base model, which can't do what the arm needs ({names})"
    return ""


def _pairs(arms: list[Arm]) -> list[PairEvidence]:
    compared: list[tuple[Arm, Arm, Comparison]] = [(a, b, a.against(b)) for a, b in combinations(sorted(arms, key=lambda a: -a.accuracy), 2)]
    adjusted = holm([c.p for _, _, c in compared])
    levels = range(1, max(2, len(arms)))
    return [PairEvidence(a.label, b.label, c.difference, c.low, c.high, p, [c.half_width(ALPHA / k) for k in levels], c.item_variance, c.seed_variance, c.total_variance)
            for (a, b, c), p in zip(compared, adjusted)]


def percent(share: float) -> str:
    """``81.2 %``"""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """``5.0 points``"""
    return f"{100 * share:.1f} points"
