"""What a study shows at one data size and rank, before anyone's prices or limits: plain numbers and words.

``lab.decision`` and the report's page reach the same verdict from it, the one in Python, the other in the browser::

    evidence(study, size=400, rank=None) -> Evidence(arms=[...], pairs=[...])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import stdev, variance

from lab.measure import left_out
from lab.measure.advice import extensions, foreseen, moves_of_arms
from lab.measure.arms import Arm, arms_at
from lab.measure.estimand import detectable_now, notes
from lab.measure.forgetting import forgotten
from lab.measure.shown import ALPHA, ArmEvidence, Evidence, Extension, PairEvidence
from lab.measure.statistics import Comparison, holm
from lab.measure.words import percent
from lab.schema import LabError
from lab.study import Study

PASSED = 0.3
"""A probe is failed where the upper end of its interval lies below."""
TIMING = 0.1
"""Standard deviation of the logarithm of an arm's seconds from run to run, where no arm was run twice: committed
studies show 0.02 to 0.13 on idle machines."""


def evidence(study: Study, size: int | None = None, rank: int | None = None) -> Evidence:
    """What the study shows at a size (the largest by default) and rank (each arm's by validation by default);
    raises LabError for an empty study."""
    arms = arms_at(study, size, rank)
    if not arms:
        raise LabError("the study has no finished cell; run lab decide")
    best, size = max(arms, key=lambda a: a.accuracy), size if size is not None else (study.sizes() or [None])[-1]
    timing, seeds = _timing(arms), max(len(a.cells) for a in arms)
    plans = extensions(seeds, len(study.items), any(a.is_seeded for a in arms))
    # A race spends its level over looks: what this one may spend is written down.
    ordered = sorted(arms, key=lambda a: -a.accuracy)
    compared = [(a, b, a.against(b)) for a, b in combinations(ordered, 2)]
    pairs, moves = _pairs(ordered, compared, plans, study.plan.get("race", {}).get("alpha") or ALPHA)
    return Evidence(
        size,
        rank,
        len(study.items),
        [_arm(study, a, best, timing, size) for a in arms],
        pairs,
        provisional="finished" not in study.made or any(a.one_seed and not _dropped(study, a, size) for a in arms),
        unfinished="" if "finished" in study.made else _missing(study, arms),
        seeds=seeds,
        items_at_hand=study.task.get("test_of") or len(study.items),
        notes=[
            *notes(study, arms, size),
            *([text] if (text := detectable_now(compared, ordered, len(study.items))) else []),
        ],
        plans=plans,
        moves=moves,
    )


def _missing(study: Study, arms: list[Arm]) -> str:
    absent = [n for n in study.plan.get("methods", []) if n not in {a.cells[0].method for a in arms}]
    measured = sum(not c.control for c in study.cells)
    planned = f"{study.plan.get('cells', 0)} cells were planned, {measured} are measured"
    return planned + (f"; {', '.join(absent)} not at all" if absent else "")


def _timing(arms: Sequence[Arm]) -> float:
    """Variance of the logarithm of an arm's seconds from seed to seed, over all arms that have several."""
    logs = [found for a in arms if len(found := _log_seconds(a)) > 1]
    degrees = sum(len(found) - 1 for found in logs)
    return sum((len(found) - 1) * variance(found) for found in logs) / degrees if degrees else TIMING**2


def _log_seconds(arm: Arm) -> list[float]:
    return [math.log(s) for c in arm.cells if (s := c.usage.get("seconds", 0.0)) > 0]


def _arm(study: Study, arm: Arm, best: Arm, timing: float, size: int | None) -> ArmEvidence:
    own, low_high = arm.cells[0], arm.interval
    fixed, elsewhere, trainings = fixed_seconds(study, arm)
    seconds = arm.usage("seconds") + arm.usage("context_seconds")
    by_seed = [c.usage.get("training_seconds", 0.0) for c in arm.cells if not c.failed]
    logs = _log_seconds(arm)
    spread = max(timing, variance(logs) if len(logs) > 1 else 0.0)
    lost = forgotten(study, arm.name, own.size, arm.rank) if own.adaptation else None
    drop = lost.headline if lost else None
    return ArmEvidence(
        name=arm.name,
        label=arm.label,
        model=arm.model,
        deployed=arm.model in study.others,
        rank=arm.rank,
        accuracy=arm.accuracy,
        low=low_high[0],
        high=low_high[1],
        seeds=len(arm.cells),
        fixed_seconds=fixed,
        elsewhere_seconds=elsewhere,
        seconds_per_request=seconds,
        latency_seconds=arm.usage("latency_seconds") or seconds,
        prompt_tokens=arm.usage("prompt_tokens"),
        cached_tokens=arm.usage("cached_tokens"),
        completion_tokens=arm.usage("completion_tokens"),
        parts={name: value for name in own.parts if (value := arm.part(name)) is not None},
        content=arm.share_whole("content"),
        recall=arm.recall(),
        outcomes=arm.outcomes(),
        unfit=_unfit(study, arm, best),
        dropped=_dropped(study, arm, size),
        items=len(arm.asked),
        seeded=arm.is_seeded and not own.control,
        one_seed=arm.one_seed,
        training_seconds=arm.usage("training_seconds"),
        seconds_error=seconds * math.sqrt(spread / len(arm.cells)),
        fixed_error=stdev(by_seed) * math.sqrt(trainings) if len(by_seed) > 1 and trainings else 0.0,
        latency_p95_seconds=arm.usage("latency_p95_seconds"),
        side_latency_seconds=arm.usage("side_latency_seconds"),
        update_seconds=_update_seconds(arm),
        left_out=left_out.words(arm),
        labels=own.size or 0,
        reads_documents=own.needs_documents or bool(own.stage),
        changes_weights=bool(own.adaptation),
        adapter=own.adapter,
        machines=tuple(sorted({c.machine for c in arm.cells if c.machine})),
        trained_parameters=int(own.usage.get("trained_parameters", 0)),
        training_peak_bytes=_most(arm, "training_peak_bytes"),
        peak_bytes=_most(arm, "peak_bytes"),
        forgetting=drop.drop if drop else None,
        forgetting_low=drop.low if drop else 0.0,
        forgetting_high=drop.high if drop else 0.0,
    )


def _most(arm: Arm, name: str) -> float:
    return max(c.usage.get(name, 0.0) for c in arm.cells)


def _update_seconds(arm: Arm) -> float:
    """Indexing again, and training again where the documents were studied."""
    again = arm.usage("stage_seconds") + arm.usage("training_seconds") if arm.cells[0].stage else 0.0
    return _most(arm, "index_seconds") + again


def fixed_seconds(study: Study, arm: Arm) -> tuple[float, float, int]:
    """Seconds to make one such arm, seconds of its search that another machine took (never added to the first), and
    trainings in the first.

    All trials of its search (at this size and rank, where it had one of its own), every reading of the documents that
    they went on from, and a training of the arm's own where none of the trials was it.
    """
    size, own = arm.cells[0].size, arm.cells[0]
    made = study.choices_of(arm.name)
    searches = [c for c in made if c.size == size] or made
    searches = [c for c in searches if c.rank == arm.rank] or searches
    trials = searches[0].trials if searches else []
    here = [t for t in trials if t.machine == own.machine]
    stages = {t.stage: t.stage_seconds for t in here} | {own.stage: own.usage.get("stage_seconds", 0.0)}
    again = own.adaptation not in {t.adaptation for t in here}
    training = own.usage.get("training_seconds", 0.0) if again else 0.0
    trainings = sum(bool(t.adaptation) for t in here) + (again and training > 0)
    elsewhere = sum(t.seconds + t.stage_seconds for t in trials if t.machine != own.machine)
    return sum(t.seconds for t in here) + sum(stages.values()) + training, elsewhere, trainings


def _unfit(study: Study, arm: Arm, best: Arm) -> str:
    """An arm that loses clearly on a base that fails the probes it asks for is not evaluable, never lost; one whose own
    answers show what they were asked for, in form or content, is."""
    if max(arm.accuracy, *(arm.part(name) or 0.0 for name in ("format", "content"))) >= PASSED:
        return ""
    known = study.probes_of(arm.model)
    probes = {name: known[name] for name in arm.cells[0].asks if name in known}
    failed = probes and all(p.get("content_high", p["high"]) < PASSED for p in probes.values())
    if failed and arm is not best and best.against(arm).low > 0:
        names = ", ".join(f"{n} {percent(p.get('content', p['accuracy']))}" for n, p in probes.items())
        return f"not evaluable on this base model, which can't do what the arm needs ({names})"
    return ""


def _dropped(study: Study, arm: Arm, size: int | None) -> str:
    """When and why an arm left the race at this size; empty where it stayed, there was none, or another study beside
    has measured it whole."""
    if len(arm.asked) == len(study.items) and not arm.one_seed:
        return ""
    race = study.plan.get("race", {})
    here = race and size in (None, race["size"])
    return race["dropped"].get(arm.name, {}).get("words", "") if here else ""


def _pairs(
    ordered: Sequence[Arm], compared: Sequence[tuple[Arm, Arm, Comparison]], plans: list[Extension], alpha: float
) -> tuple[list[PairEvidence], list[dict[str, float]]]:
    """Every two arms, and how far each arm would move under each plan."""
    adjusted = holm([1.0 if a.one_seed or b.one_seed else c.p for a, b, c in compared])
    tails = [alpha / k for k in range(1, max(2, len(ordered)))]
    grown = [foreseen(c, plans, tails, a.is_seeded + b.is_seeded) for a, b, c in compared]
    places = {a.label: n for n, a in enumerate(ordered)}
    moves = []
    for plan in range(len(plans)):
        moved = {
            (places[a.label], places[b.label]): found[plan]
            for (a, b, _), (found, _) in zip(compared, grown, strict=True)
        }
        moves.append(dict(zip(places, moves_of_arms(moved, len(ordered)))))
    pairs = [
        PairEvidence(
            first=a.label,
            second=b.label,
            # A baseline has no model of its own and stands beside every one.
            matched=not (a.model and b.model) or a.model == b.model,
            difference=c.difference,
            low=c.low,
            high=c.high,
            p_holm=p,
            half_widths=[c.half_width(t) for t in tails],
            item_variance=c.item_variance,
            seed_variance=c.seed_variance,
            total_variance=c.total_variance,
            one_seed=a.one_seed or b.one_seed,
            foreseen=widths,
        )
        for (a, b, c), p, (_, widths) in zip(compared, adjusted, grown, strict=True)
    ]
    return pairs, moves
