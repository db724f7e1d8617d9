"""What a study's numbers are of: the mean over draws of the training sample, or the one adapter that goes live.

``notes(study, arms, size)`` says it in sentences, with what the draws have in common and what so few of them leave
open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from lab.measure import left_out
from lab.measure.arms import Arm
from lab.measure.statistics import CONFIDENCE, Comparison, wilson
from lab.measure.words import percent, points
from lab.study import SEARCH_DRAW, Cell, Study

OVERLAP = 0.5
"""Share of examples that two draws have in common from which on it is told."""
POWERFUL = NormalDist().inv_cdf(0.8)
COLLAPSE = 0.2
"""Below the best seed's validation accuracy by this much, and clearly so, a training counts as collapsed."""


@dataclass(frozen=True)
class Live:
    """The one of an arm's draws that would go live: the best by validation, the first of equals."""

    seed: int
    accuracy: float
    low: float
    high: float


def live_of(arm: Arm) -> Live | None:
    """None for an arm with one draw, without validation, or without a training that ended."""
    if not arm.is_seeded or len(arm.cells) < 2 or any(c.validation is None for c in arm.cells):
        return None
    if all(c.failed for c in arm.cells):
        return None
    best = max(arm.cells, key=lambda c: (c.validation, -c.seed))
    groups = len(set(arm.asked_groups))
    return Live(best.seed, best.accuracy, *wilson(best.accuracy * groups, groups))


def collapsed(arm: Arm) -> list[Cell]:
    """Draws whose training went wrong as validation shows it; they pull the mean down and never go live."""
    known = [c for c in arm.cells if c.validation is not None and c.adaptation and not c.failed]
    best = max((c.validation for c in known), default=0.0)
    return [c for c in known if best - c.validation > max(COLLAPSE, best / 2)]


def notes(study: Study, arms: Sequence[Arm], size: int | None) -> list[str]:
    """Sentences for the reader of a verdict at one data size."""
    seeds = max((len(a.cells) for a in arms if a.is_seeded), default=1)
    race = study.plan.get("race")
    raced = []
    if race and race["dropped"]:
        raced = [
            f"This was a race for a margin of {points(race['margin'])}: arms that were clearly worse left it early, "
            "and stay out at wider margins too (lab decide with --full-grid measures all)."
        ]
    trained = [a for a in arms if a.cells[0].adaptation]
    failed = [
        f"The training of {a.label} with seed {c.seed} failed ({c.failed}); its test items count as not right."
        for a in trained
        for c in a.cells
        if c.failed
    ]
    unfitted = [text for a in arms if (text := left_out.words(a))]
    if judge := study.settings.get("judge"):
        unfitted.append(f"Answers in other words than the target's were judged by a model: {judge}.")
    unfitted += [
        f"{a.label}: its questions on the documents took {tokens:,.0f} tokens, read and written, once."
        for a in arms
        if (tokens := a.usage("training_written_tokens"))
    ]
    if seeds < 2:
        return [*raced, *failed, *unfitted]
    told = [
        *raced,
        *unfitted,
        f"Accuracies are means over {seeds} draws of the training sample, for arms that learn from one."
        + (" Searches chose on a further draw, which is not among them." if _is_apart(arms) else ""),
    ]
    live = [(a, found) for a in arms if a.cells[0].adaptation and (found := live_of(a))]
    if live:
        each = "; ".join(
            f"{a.label} {percent(found.accuracy)} ({percent(found.low)} to {percent(found.high)})" for a, found in live
        )
        told.append(f"The adapter that goes live is the best of the draws by validation. On the test items: {each}.")
    told += [text for a in arms if (text := _searched(study, a))]
    labelled = study.task.get("train", 0) + study.task.get("validation", 0)
    if size and labelled and size / labelled > OVERLAP:
        told.append(
            f"Two draws of {size:,} of the {labelled:,} labelled items share about {percent(size / labelled)} of them: "
            "the intervals tell of draws from these labels, and less of labels that are still to come."
        )
    told += failed
    fallen = [(a, c) for a in trained for c in collapsed(a)]
    told += [
        f"The training of {a.label} with seed {c.seed} collapsed ({percent(c.validation)} on validation); it counts in "
        "the mean, and does not go live."
        for a, c in fallen
    ]
    if trained and not fallen and not failed:
        # The largest rate of failure that so many clean draws of one arm do not rule out.
        open_rate = 1 - (1 - CONFIDENCE) ** (1 / seeds)
        told.append(
            f"No training collapsed. {seeds} clean ones of an arm leave open that up to {percent(open_rate)} of its "
            "trainings do; a collapse shows on validation, before anything goes live."
        )
    return told


def _is_apart(arms: Sequence[Arm]) -> bool:
    """Whether the draw that searches chose on is none of those measured."""
    return all(c.seed != SEARCH_DRAW for a in arms if a.is_seeded for c in a.cells)


def _searched(study: Study, arm: Arm) -> str:
    """Where, as in older studies, the search's own training is one of the draws: it was chosen among several."""
    tried = {t.adaptation for c in study.choices_of(arm.name) if len(c.trials) > 1 for t in c.trials if t.adaptation}
    own = [c for c in arm.cells if c.adaptation in tried]
    later = [c for c in arm.cells if c.adaptation not in tried]
    if not own or not later:
        return ""
    first = math.fsum(c.accuracy for c in own) / len(own)
    rest = math.fsum(c.accuracy for c in later) / len(later)
    return (
        f"Seed {own[0].seed} of {arm.label} is the training that the search chose, no fresh draw: {percent(first)}, "
        f"the others {percent(rest)}."
    )


def detectable_now(compared: Sequence[tuple[Arm, Arm, Comparison]], ordered: Sequence[Arm], items: int) -> str:
    """The smallest difference that a study like this one finds, by its own variances; empty for one arm.

    ``compared``: every two arms; ``ordered``: the arms, the best first."""
    if not compared:
        return ""
    level, best, found = 0.5 * (1 - CONFIDENCE) / len(compared), ordered[:3], []
    for a, b, c in compared:
        if not (any(a is x for x in best) and any(b is x for x in best)):
            continue
        by_kind = c.item_variance + (c.draws.variance if c.draws else 0.0)
        found.append(c.claim_half_width(level) + POWERFUL * math.sqrt(max(c.total_variance, by_kind)))
    middle = sorted(found)[len(found) // 2]
    power = f"(80 % power, {len(compared)} pair{'s' if len(compared) > 1 else ''})"
    if middle >= 1:
        return f"Between the best arms {items:,} items and these draws would find no difference, however large {power}."
    return (
        f"Between the best arms a true difference of about {points(middle)} would be found with {items:,} items "
        f"{power}."
    )
