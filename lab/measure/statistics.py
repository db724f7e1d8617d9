"""Statistics of matched experiments: pure functions of numbers.

``compare(a, b, groups)`` takes per-item scores of two arms, one row a seed, and gives the paired difference with an
interval that counts items (or their groups) and seeds as two sources of variance. Two or three seeds may look alike by
chance: ``pooled(comparisons)`` learns from all arms of a kind how much draws differ, ``beside(comparison, [draws])``
lets the interval be no narrower than that gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special, stats

CONFIDENCE = 0.95


SEED_WEIGHT = 0.75
"""Weight of the seeds' own t quantile in the wider of the two widths; chosen by simulating normal
differences (three seeds, 200 and 500 items, item and seed deviations of 0 to 0.45). Without it 92 % are covered where
seeds differ much; with it 93 to 97 %, but for 92 % where items don't differ and seeds do. tests/measure checks binary
outcomes."""


ENOUGH_ANSWERS = 5
"""Right ones and wrong ones a seed from which on the seeds' means are worth looking at."""


@dataclass(frozen=True)
class Draws:
    """How much one draw of the training sample (a seed) moves an accuracy, learned from several arms."""

    variance: float
    """Of one draw: on the logit scale for a kind of arms, in squared shares of a comparison's mean."""
    degrees: float
    square: float = 0.0
    """The same before what items alone explain is taken off: an upper estimate."""


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference (first minus second) with the variances of that mean; shares of 1 where scores are
    0 or 1."""

    difference: float
    item_variance: float
    """From items (clustered by group)."""
    seed_variance: float
    """What seeds add beyond what items explain; 0 where no excess shows."""
    total_variance: float
    degrees: float
    """Degrees of freedom of the total, by Satterthwaite."""
    items: int
    groups: int
    seeds: int
    seed_excess: float = 0.0
    """``seed_variance`` before it was cut off at 0."""
    seed_square: float = 0.0
    """What the seeds' means differ by in all, items' noise included: more than seeds alone can be."""
    item_square: float = 0.0
    """``item_variance`` before few items were given their floor."""
    draws: Draws | None = None
    """What seeds add to this mean by what arms of the kind show; None where that is not known."""
    shares: bool = True
    """The scores are 0 or 1, so that the difference lies between -1 and 1."""

    def half_width(self, tail: float) -> float:
        """Half width of the interval that leaves ``tail`` outside on each side.

        The widest of three: t with Satterthwaite's degrees of freedom on the total; each source with its own quantile
        (Graybill and Wang 1980), the seeds' weighted by SEED_WEIGHT; and t with what draws of this kind of arm add.
        The first alone covers 92 % where three seeds differ much and happen to look alike, the first two find a
        difference in 40 % of studies of eight equal arms.
        """
        widest = special.stdtrit(self.degrees, 1 - tail) ** 2 * self.total_variance
        items = special.stdtrit(max(1, self.groups - 1), 1 - tail) ** 2 * self.item_variance
        if self.seeds > 1:
            seeds = SEED_WEIGHT * special.stdtrit(self.seeds - 1, 1 - tail) ** 2 * self.seed_variance
            widest = max(widest, seeds + items)
        return max(math.sqrt(widest), self._width_by_kind(self.draws.variance if self.draws else 0.0, tail))

    def claim_half_width(self, tail: float) -> float:
        """As ``half_width``, for claims: the kinds' draws by their upper estimate, so that many pairs of equal arms
        stay within the level even with two seeds."""
        return max(self.half_width(tail), self._width_by_kind(self.draws.square if self.draws else 0.0, tail))

    def _width_by_kind(self, draws: float, tail: float) -> float:
        """Half width with this variance of the seeds in place of the comparison's own."""
        if draws <= 0:
            return 0.0
        degrees = satterthwaite((draws, self.draws.degrees), (self.item_variance, max(1, self.groups - 1)))
        return float(special.stdtrit(degrees, 1 - tail)) * math.sqrt(draws + self.item_variance)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval (a difference of shares is never below -1)."""
        low = self.difference - self.half_width((1 - CONFIDENCE) / 2)
        return max(-1.0, low) if self.shares else low

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval (of shares never above 1)."""
        high = self.difference + self.half_width((1 - CONFIDENCE) / 2)
        return min(1.0, high) if self.shares else high

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference: the level at which ``claim_half_width`` just reaches 0."""
        size = abs(self.difference)
        if size <= self.claim_half_width(0.5 - 1e-9):
            return 1.0
        if size >= self.claim_half_width(1e-12):
            return 2e-12
        return 2 * float(optimize.brentq(lambda tail: self.claim_half_width(tail) - size, 1e-12, 0.5 - 1e-9))


def satterthwaite(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of independent variances, each given with its own (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / degrees for variance, degrees in parts if degrees > 0)
    return max(1.0, total**2 / spread) if spread > 0 else 1.0


def draw_weight(share: float, answers: int) -> float:
    """By how much a draw's variance on the logit scale moves an accuracy: the square of p (1 - p).

    An accuracy near 0 or 1 can't move far; ``answers`` keep one of none or all right half an answer from the end.
    """
    kept = min(max(share, 0.5 / answers), 1 - 0.5 / answers)
    return (kept * (1 - kept)) ** 2


def pooled(means: Sequence[Comparison]) -> Draws | None:
    """How much a draw moves the arms of one kind, from their accuracies; None where no arm has two seeds.

    On the logit scale, as the ratio of what was seen to what each arm's place on the scale lets be seen.
    """
    known = [m for m in means if m.seeds > 1]
    degrees = sum(m.seeds - 1 for m in known)
    if not degrees:
        return None
    weight = sum((m.seeds - 1) * draw_weight(m.difference, m.seeds * m.items) for m in known)
    excess = sum((m.seeds - 1) * m.seeds * m.seed_excess for m in known) / weight
    square = sum((m.seeds - 1) * m.seeds * m.seed_square for m in known) / weight
    return Draws(max(0.0, excess), degrees, square)


def beside(comparison: Comparison, draws: Sequence[tuple[Draws | None, float]]) -> Comparison:
    """The comparison with what draws of its arms' kinds add: each seeded arm's ``Draws`` and its ``draw_weight``.

    Two arms of one kind share one estimate, whose degrees of freedom count once.
    """
    known = [(d, weight) for d, weight in draws if d is not None]
    if not known:
        return comparison
    variance = sum(d.variance * weight for d, weight in known) / comparison.seeds
    square = sum(d.square * weight for d, weight in known) / comparison.seeds
    kinds = {id(d): d for d, _ in known}.values()
    parts = [
        (sum(max(d.variance, d.square) * weight for d, weight in known if d is kind), kind.degrees) for kind in kinds
    ]
    return replace(comparison, draws=Draws(variance, satterthwaite(*parts), square))


def share_interval(mean: Comparison, alone: bool) -> tuple[float, float]:
    """95 % interval of an accuracy on the logit scale, so that it holds near 0 and 1 as well.

    Items by Wilson's interval for as many independent answers as their variance is worth; seeds by t; both put together
    on each side (MOVER, Zou and Donner 2008). ``alone``: no other arm's draws stand beside, so that all that the seeds'
    means differ by counts as theirs.
    """
    answers = mean.seeds * mean.items
    share = min(max(mean.difference, 0.5 / answers), 1 - 0.5 / answers)
    weight, tail = share * (1 - share), (1 - CONFIDENCE) / 2
    worth = min(answers, weight / mean.item_square) if mean.item_square > 0 else answers
    low, high = wilson(share * worth, worth)
    seeds = 0.0
    if mean.seeds > 1:
        # Of a few answers that differ the seeds' means tell nothing beyond what items explain.
        enough = min(share, 1 - share) * answers >= ENOUGH_ANSWERS * mean.seeds
        own = mean.seed_square if alone and enough else SEED_WEIGHT * mean.seed_variance
        seeds = special.stdtrit(mean.seeds - 1, 1 - tail) * math.sqrt(own)
    if mean.draws is not None and not alone:
        seeds = max(seeds, special.stdtrit(mean.draws.degrees, 1 - tail) * math.sqrt(mean.draws.variance))
    middle, further = special.logit(share), seeds / weight
    below, above = middle - special.logit(max(low, 1e-12)), special.logit(min(high, 1 - 1e-12)) - middle
    return (
        float(special.expit(middle - math.hypot(below, further))),
        float(special.expit(middle + math.hypot(above, further))),
    )


def wilson(successes: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a rate (Wilson 1927); (nan, nan) of nothing."""
    if count == 0:
        return math.nan, math.nan
    z = stats.norm.ppf(0.5 + confidence / 2)
    rate = successes / count
    centre = rate + z * z / (2 * count)
    spread = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _cluster_sums(matrix: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, groups) sums of scores, and the groups' sizes."""
    names = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    index = np.array([names[g] for g in groups])
    sums = np.zeros((matrix.shape[0], len(names)))
    for seed in range(matrix.shape[0]):
        sums[seed] = np.bincount(index, weights=matrix[seed], minlength=len(names))
    return sums, np.bincount(index, minlength=len(names)).astype(float)


def mean_interval(
    matrix: Sequence[Sequence[float]] | np.ndarray,
    groups: Sequence[str] | None = None,
    *,
    strata: Sequence[str] | None = None,
    shares: bool = True,
) -> Comparison:
    """Mean of a (seeds, items) table, with items clustered by group and seeds crossed with items.

    ``strata`` names the part of a fixed mixture that each item was drawn for (a probe): parts that differ are no noise.
    ``shares`` says that the scores are 0 or 1 (or differences of such): few items without a disagreement then prove
    little, which is not so of seconds or nats.

    Two-way analysis of variance without replication on the clusters' influences: with MS_seed, MS_group and MS_rest
    the variance of the mean is (MS_seed + MS_group - MS_rest) / (S G), its degrees of freedom by Satterthwaite (1946);
    where seeds show no excess the group term stands alone. One seed: the group term only.
    """
    table = np.atleast_2d(np.asarray(matrix, dtype=float))
    seeds, items = table.shape
    groups = list(groups) if groups is not None else [str(i) for i in range(items)]
    sums, sizes = _cluster_sums(table, groups)
    count = len(sizes)
    mean = float(table.mean())
    # Influence of each (seed, group) cell on the mean: residuals of sums, in units of the mean (ratio estimator).
    influence = (sums - mean * sizes) * count / items
    group_means, seed_means = influence.mean(axis=0), influence.mean(axis=1)
    scale, free = seeds * count, max(1, count - 1)
    within = group_means
    if strata is not None:
        part_of = dict(zip(groups, strata))
        within, parts = _centred(group_means, [part_of[g] for g in dict.fromkeys(groups)])
        free = max(1, count - parts)
    ms_group = seeds * float(np.sum(within**2)) / free
    # One pseudo-item in each discordant cell (Bonett and Price 2012): no disagreement among few items proves little.
    item_variance = max(ms_group / scale, 2 / (count + 2) ** 2 if shares else 0.0)
    alone = Comparison(
        mean, item_variance, 0.0, item_variance, free, items, count, seeds, item_square=ms_group / scale, shares=shares
    )
    if seeds == 1 or count < 2:
        return alone
    ms_seed = count * float(np.sum(seed_means**2)) / (seeds - 1)
    rest = influence - group_means - seed_means[:, None]
    ms_rest = float(np.sum(rest**2)) / ((seeds - 1) * (count - 1))
    alone = replace(alone, seed_excess=(ms_seed - ms_rest) / scale, seed_square=ms_seed / scale)
    if alone.seed_excess <= 0:
        return alone
    total = ms_seed + ms_group - ms_rest
    spread = ms_seed**2 / (seeds - 1) + ms_group**2 / free + ms_rest**2 / ((seeds - 1) * (count - 1))
    return replace(
        alone,
        seed_variance=alone.seed_excess,
        total_variance=max(item_variance, total / scale),
        degrees=max(1.0, total**2 / spread),
    )


def _centred(means: np.ndarray, parts: Sequence[str]) -> tuple[np.ndarray, int]:
    """Group means less the mean of their part, and the number of parts."""
    found = means.copy()
    for part in set(parts):
        own = np.array([p == part for p in parts])
        found[own] -= found[own].mean()
    return found, len(set(parts))


def compare(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], groups: Sequence[str] | None = None
) -> Comparison:
    """Paired difference of two (seeds, items) tables; an arm without seeds (one row) stands against every seed of the
    other.

    Raises ValueError where the tables have different items, or different numbers of seeds above one.
    """
    a, b = np.atleast_2d(np.asarray(first, float)), np.atleast_2d(np.asarray(second, float))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape[1]} items against {b.shape[1]}: not the same test items")
    if a.shape[0] != b.shape[0] and 1 not in (a.shape[0], b.shape[0]):
        raise ValueError(f"{a.shape[0]} seeds against {b.shape[0]}")
    return mean_interval(a - b, groups)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        running = max(running, (len(p_values) - place) * p_values[i])
        adjusted[i] = min(1.0, running)
    return adjusted


def detectable_difference(
    items: int,
    groups: int | None = None,
    disagreement: float = 0.25,
    power: float = 0.80,
    correlation: float = 0.2,
    *,
    seeds: int | None = None,
    deviation: float = 0.0,
    arms: int = 2,
) -> float:
    """Smallest true difference between two of ``arms`` that a comparison on ``items`` items finds with this power.

    ``disagreement`` is the share of items on which exactly one arm is right; the variance of a paired difference is
    at most that (Miller 2024). Items of one of ``groups`` groups are taken to agree with this correlation (Kish's
    design effect). Each of ``seeds`` draws of the training sample moves an arm by ``deviation``; None where draws play
    no part. Claims between several arms share the level (Bonferroni, Holm's first step).
    """
    if items < 2:
        return 1.0
    effect = 1 + (items / (groups or items) - 1) * correlation
    pairs = max(1, arms * (arms - 1) // 2)
    tail = (1 - CONFIDENCE) / 2 / pairs
    by_items = disagreement * effect / items
    if not seeds or deviation == 0:
        return min(1.0, float((stats.norm.ppf(1 - tail) + stats.norm.ppf(power)) * math.sqrt(by_items)))
    if seeds < 2:
        return 1.0
    by_seeds = 2 * deviation**2 / seeds
    degrees = satterthwaite((by_seeds, (seeds - 1) * arms), (by_items, max(1, (groups or items) - 1)))
    quantiles = special.stdtrit(degrees, 1 - tail) + special.stdtrit(degrees, power)
    return min(1.0, float(quantiles * math.sqrt(by_items + by_seeds)))
