"""How the lab's own code fares in worlds whose truth is known: false claims, intervals that hold the truth, verdicts
that are wrong, decided, or dear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.decision import Decision, Settings, decide
from lab.flow.race import replay
from lab.measure.arms import arms_at
from lab.measure.evidence import evidence
from tests.measure.worlds import answers, study_of_answers

MARGIN = 0.05
MOST = 600
"""Items of a grid that a race is held against."""


def false_claims(rng, worlds, arms, seeds, deviation, items=200, accuracy=0.8, cluster=1, shared=0.0) -> float:
    """Share of worlds of equal arms in which one is said to be better than another."""
    found = 0
    for _ in range(worlds):
        tables = answers(rng, [accuracy] * arms, deviation, seeds, items, cluster, shared)
        pairs = evidence(study_of_answers(tables, cluster)).pairs
        found += any(" is better than " in p.words for p in pairs)
    return found / worlds


def coverage(rng, worlds, arms, seeds, accuracy, deviation, items=600) -> float:
    """Share of single arms' intervals that hold the truth."""
    hits = []
    for _ in range(worlds):
        study = study_of_answers(answers(rng, [accuracy] * arms, deviation, seeds, items))
        low, high = arms_at(study)[0].interval
        hits.append(low <= accuracy <= high)
    return float(np.mean(hits))


@dataclass
class Verdicts:
    """What verdicts of many worlds came to."""

    worlds: int = 0
    decided: int = 0
    wrong: int = 0
    """An arm was taken that is worse than the best by more than the margin."""
    lost: float = 0.0
    """Sum over worlds of what the arm that was taken is worse than the best."""
    completions: float = 0.0
    """Sum over worlds of the completions, as a share of the grid's."""

    def add(self, decision: Decision, truth: Sequence[float], completions: float = 1.0) -> None:
        """One world's verdict."""
        self.worlds += 1
        self.completions += completions
        if decision.chosen:
            behind = max(truth) - truth[int(decision.chosen[1:])]
            self.decided += 1
            self.wrong += behind > MARGIN
            self.lost += behind

    def share(self, name: str) -> float:
        """Mean over worlds."""
        return getattr(self, name) / self.worlds


def cheap_ones_beyond_the_margin(
    rng, worlds, arms, seeds, deviation, items, best, cluster=1, shared=0.0, gap=0.055
) -> Verdicts:
    """One dear arm, and others at a tenth of its price that are worse by more than the margin."""
    truth, found = [best] + [best - gap] * (arms - 1), Verdicts()
    for _ in range(worlds):
        tables = answers(rng, truth, deviation, seeds, items, cluster, shared)
        study = study_of_answers(tables, cluster, seconds=[1.0] + [0.1] * (arms - 1))
        found.add(decide(study, Settings(margin=MARGIN)), truth)
    return found


def six_arms(rng, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies and seconds of six arms, by the notes' kinds of worlds: most of them ``far`` behind, all ``close``, at
    the ``boundary`` of the margin, or the best ``clear`` by twice the margin."""
    best = rng.uniform(0.75, 0.98)
    if kind == "far":
        gaps = np.where(rng.random(6) < 0.7, rng.uniform(0.3, 0.9, 6), rng.uniform(0, 0.12, 6))
    elif kind == "boundary":
        gaps = np.full(6, MARGIN + 0.005)
    elif kind == "clear":
        gaps = rng.uniform(2 * MARGIN, 0.5, 6)
    else:
        gaps = rng.uniform(0, 0.12, 6)
    gaps[rng.integers(6)] = 0.0
    truth = np.clip(best - gaps, 0.005, 0.995)
    seconds = (
        np.where(truth == truth.max(), 1.0, rng.uniform(0.05, 0.5, 6)) if kind == "boundary" else rng.lognormal(0, 1, 6)
    )
    return truth, 0.01 * seconds


def raced(tables: np.ndarray, seconds, cluster: int = 1) -> tuple[Decision, float]:
    """A race over ready answers: the decision at its end, and its completions as a share of a grid's of three seeds."""
    arms, _, items = tables.shape
    found = replay(study_of_answers(tables, cluster, seconds), Settings(margin=MARGIN), range(items), 3)
    return found.decision, sum(found.asked.values()) / (arms * 3 * min(items, MOST))


def races(rng, worlds: int, kind: str, shared: float = 0.0, cluster: int = 1) -> Verdicts:
    """Races of six arms over 600 items; draws move an arm by half a point to six points."""
    found = Verdicts()
    for _ in range(worlds):
        truth, seconds = six_arms(rng, kind)
        tables = answers(rng, list(truth), float(rng.choice([0.005, 0.02, 0.04, 0.06])), 5, MOST, cluster, shared)
        decision, share = raced(tables, seconds, cluster)
        found.add(decision, truth, share)
    return found


def grids(rng, worlds: int, kind: str, shared: float = 0.0, cluster: int = 1) -> Verdicts:
    """The same worlds measured whole with three draws."""
    found = Verdicts()
    for _ in range(worlds):
        truth, seconds = six_arms(rng, kind)
        tables = answers(rng, list(truth), float(rng.choice([0.005, 0.02, 0.04, 0.06])), 5, MOST, cluster, shared)
        found.add(decide(study_of_answers(tables[:, :3], cluster, seconds), Settings(margin=MARGIN)), truth)
    return found
