"""Statistics against hand-computed values, scipy, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lab.measure.statistics import compare, detectable_difference, holm, mean_interval, wilson


def test_wilson_against_scipy():
    for successes, count in ((0, 10), (3, 10), (50, 50), (123, 500)):
        expected = stats.binomtest(successes, count).proportion_ci(method="wilson")
        assert wilson(successes, count) == pytest.approx((expected.low, expected.high))
    assert all(math.isnan(v) for v in wilson(0, 0))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_one_seed_is_the_paired_t_interval():
    rng = np.random.default_rng(0)
    a, b = rng.random(60) < 0.7, rng.random(60) < 0.5
    ours = compare([a.astype(float)], [b.astype(float)])
    theirs = stats.ttest_rel(a.astype(float), b.astype(float))
    expected = theirs.confidence_interval()
    assert (ours.low, ours.high, ours.p) == pytest.approx((expected.low, expected.high, theirs.pvalue), rel=1e-6)


def test_groups_of_copies_count_once():
    """Every item four times in its group: the interval must be that of the groups, not of four times the items."""
    rng = np.random.default_rng(1)
    single = (rng.random(40) < 0.5).astype(float)[None]
    copies = np.repeat(single, 4, axis=1)
    clustered = mean_interval(copies, [str(i // 4) for i in range(160)])
    assert clustered.high - clustered.low == pytest.approx((lambda c: c.high - c.low)(mean_interval(single)), rel=1e-6)
    naive = mean_interval(copies)
    assert naive.high - naive.low < 0.6 * (clustered.high - clustered.low)


def test_seeds_that_differ_widen_the_interval():
    base = np.tile((np.arange(100) % 2).astype(float), (3, 1))
    shifted = base.copy()
    shifted[0, :20], shifted[2, :20] = 1.0, 0.0
    assert mean_interval(shifted).half_width(0.025) > 1.5 * mean_interval(base).half_width(0.025)


def test_different_items_are_refused():
    with pytest.raises(ValueError, match="test items"):
        compare([[1, 0]], [[1, 0, 1]])
    with pytest.raises(ValueError, match="seeds"):
        compare([[1, 0]] * 2, [[1, 0]] * 3)


def test_detectable_difference_by_hand():
    # (1.95996 + 0.84162) * sqrt(0.25 / 970)
    assert detectable_difference(970) == pytest.approx(0.04498, abs=1e-4)
    assert detectable_difference(600, 120) > detectable_difference(600)
    assert detectable_difference(1) == 1.0
    # Three arms: three pairs, 2.39398 in place of 1.95996.
    assert detectable_difference(970, arms=3) == pytest.approx((2.39398 + 0.84162) * math.sqrt(0.25 / 970), abs=1e-5)
    # Seeds: 2 * 0.03^2 / 3 beside 0.25 / 970, with (3 - 1) * 2 and 969 degrees of freedom.
    seeds, item = 2 * 0.03**2 / 3, 0.25 / 970
    degrees = (seeds + item) ** 2 / (seeds**2 / 4 + item**2 / 969)
    expected = (stats.t.ppf(0.975, degrees) + stats.t.ppf(0.8, degrees)) * math.sqrt(seeds + item)
    assert detectable_difference(970, seeds=3, deviation=0.03) == pytest.approx(expected)
    assert detectable_difference(970, seeds=1, deviation=0.03) == 1.0, "one seed makes no claim"


def simulate(rng, seeds, groups, size, seed_sd, item_sd, shift=0.0):
    """Right or wrong of two arms on the same items: latent abilities with item, group and seed effects."""
    shape = (seeds, groups * size)
    difficulty = np.repeat(rng.normal(0, item_sd, groups), size) + rng.normal(0, item_sd, groups * size)

    def arm(offset):
        latent = (
            difficulty
            + rng.normal(0, seed_sd, (seeds, 1))
            + np.repeat(rng.normal(0, item_sd, groups), size)
            + rng.normal(0, 1, shape)
        )
        return (latent > offset).astype(float)

    return arm(0.0), arm(shift), [str(i // size) for i in range(groups * size)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "groups", "size", "seed_sd"),
    [(1, 200, 1, 0.0), (3, 200, 1, 0.0), (3, 200, 1, 0.05), (3, 60, 4, 0.0), (3, 60, 4, 0.1), (3, 100, 2, 0.3)],
)
def test_intervals_cover_and_the_same_arm_seldom_wins(seeds, groups, size, seed_sd):
    """95 % intervals of a true difference of zero cover it in 93 to 97 % (plus simulation noise),
    so false winners stay at 5 %."""
    rng = np.random.default_rng(7)
    repeats = 2000
    covered = 0
    for _ in range(repeats):
        a, b, names = simulate(rng, seeds, groups, size, seed_sd, 0.7)
        c = compare(a, b, names)
        covered += c.low <= 0 <= c.high
    noise = 2 * math.sqrt(0.05 * 0.95 / repeats)
    assert 0.93 - noise <= covered / repeats <= 0.97 + noise


def test_coverage_quickly():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(400):
        a, b, names = simulate(rng, 3, 60, 4, 0.05, 0.7)
        c = compare(a, b, names)
        covered += c.low <= 0 <= c.high
    assert 0.92 <= covered / 400 <= 0.985


@pytest.mark.slow
def test_wrong_non_inferiority_is_rare():
    """An arm that is worse by exactly the margin is called non-inferior in at most 5 % of repeats (plus noise)."""
    rng = np.random.default_rng(9)
    margin, repeats, wrong = 0.05, 2000, 0
    for _ in range(repeats):
        truth = rng.random((3, 300))
        good = (truth < 0.70).astype(float)
        worse = (rng.random((3, 300)) < 0.65).astype(float)
        found = compare(worse, good)
        wrong += found.difference - found.half_width(0.05) > -margin
    assert wrong / repeats <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)
