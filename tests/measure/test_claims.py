"""Claims by simulation: worlds whose truth is known, through the lab's own code."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from lab.decision import Settings, decide, verdict
from lab.measure.arms import arms_at
from lab.measure.bounds import Bounds
from lab.measure.evidence import evidence
from lab.measure.settling import ENOUGH, ways_to_settle
from lab.measure.statistics import Draws, beside, mean_interval, pooled
from tests.measure.judging import cheap_ones_beyond_the_margin, coverage, false_claims
from tests.measure.worlds import answers, study_of_answers

GAPS = (0, 0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15)


def most(share: float, repeats: int) -> float:
    """The share and two Monte Carlo errors."""
    return share + 2 * math.sqrt(share * (1 - share) / repeats)


def test_draws_of_a_kind_by_hand():
    """On the logit scale: what two arms of two seeds show, over what their places on the scale let be seen."""
    means = [mean_interval(answers(np.random.default_rng(n), [p], 0.05, 2, 300)[0]) for n, p in ((1, 0.7), (2, 0.9))]
    seen = sum(2 * m.seed_excess for m in means)
    possible = sum((m.difference * (1 - m.difference)) ** 2 for m in means)
    draws = pooled(means)
    assert (draws.variance, draws.degrees) == pytest.approx((max(0.0, seen / possible), 2))
    assert draws.square == pytest.approx(sum(2 * m.seed_square for m in means) / possible)
    assert pooled([mean_interval([[1.0, 0.0]])]) is None


def test_a_pair_is_no_narrower_than_its_kinds_give():
    """Seeds that look alike by chance: the pair's own seed variance is 0, its kinds' is not. By hand: 2 x 0.0009 / 3
    from seeds with 6 degrees (one estimate, counted once), the items' variance with 199."""
    table = np.tile((np.arange(200) % 2).astype(float), (3, 1)) - 0.5
    alone = mean_interval(table)
    assert alone.seed_variance == 0
    kind = Draws(0.0144, 6)
    both = beside(alone, [(kind, 0.0625), (kind, 0.0625)])
    seeds, item = 0.0006, alone.item_variance
    degrees = (seeds + item) ** 2 / (seeds**2 / 6 + item**2 / 199)
    assert both.half_width(0.025) == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(seeds + item))
    other = beside(alone, [(kind, 0.0625), (Draws(0.0048, 4), 0.0625)])
    seeds = (0.0009 + 0.0003) / 3
    between = 0.0012**2 / (0.0009**2 / 6 + 0.0003**2 / 4)
    degrees = (seeds + item) ** 2 / (seeds**2 / between + item**2 / 199)
    assert other.half_width(0.025) == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(seeds + item))
    assert beside(alone, []).half_width(0.025) == alone.half_width(0.025)


def test_an_arm_near_the_end_is_not_widened_by_arms_in_the_middle():
    """99.9 % under three seeds beside an arm whose draws differ by 10 points: what moves that one hardly moves this."""
    rng = np.random.default_rng(3)
    good = rng.random((1, 3, 600)) < 0.998
    middle = answers(rng, [0.6], 0.1, 3, 600)
    low, high = arms_at(study_of_answers(np.concatenate([good, middle])))[0].interval
    assert low > 0.98 and high < 1
    never = rng.random((1, 3, 600)) < 0.001
    low, high = arms_at(study_of_answers(np.concatenate([never, middle])))[0].interval
    assert high < 0.03, "an arm that is hardly ever right must not look useful"


@pytest.mark.parametrize(("arms", "seeds"), ((2, 2), (8, 2), (4, 3)))
def test_equal_arms_are_seldom_told_apart(arms, seeds):
    """Before draws were pooled 11, 60 and 13 % of such worlds held a false claim."""
    assert false_claims(np.random.default_rng(5), 80, arms, seeds, 0.03) <= most(0.05, 80)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arms", "seeds", "deviation"), list(product((2, 4, 8), (2, 3, 5), (0.0, 0.03, 0.06))), ids=lambda v: f"{v}"
)
def test_equal_arms_are_seldom_told_apart_anywhere(arms, seeds, deviation):
    worlds = {2: 600, 4: 300, 8: 150}[arms]
    rng = np.random.default_rng(arms + 10 * seeds)
    for cluster, shared, accuracy in ((1, 0.0, 0.8), (5, 0.0, 0.6), (1, 0.5, 0.9)):
        told = false_claims(rng, worlds, arms, seeds, deviation, 200, accuracy, cluster, shared)
        assert told <= most(0.05, worlds), (cluster, shared, accuracy)


@pytest.mark.parametrize(("arms", "accuracy"), ((1, 0.95), (2, 0.95), (1, 0.05)))
def test_intervals_near_the_ends_hold_the_truth(arms, accuracy):
    """Symmetric intervals held it in 84 %."""
    assert coverage(np.random.default_rng(6), 300, arms, 3, accuracy, 0.05) >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / 300)


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "seeds"), list(product((1, 2, 4), (2, 3, 5))))
def test_intervals_of_single_arms_hold_the_truth_anywhere(arms, seeds):
    rng = np.random.default_rng(arms + 10 * seeds)
    for accuracy, deviation in product((0.05, 0.5, 0.8, 0.95), (0.0, 0.03, 0.05)):
        found = coverage(rng, 1000, arms, seeds, accuracy, deviation)
        assert found >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / 1000), (accuracy, deviation)


def test_a_cheap_arm_beyond_the_margin_is_seldom_taken():
    rng = np.random.default_rng(7)
    for arms, seeds, deviation, best in ((2, 2, 0.05, 0.5), (3, 3, 0.1, 0.95)):
        found = cheap_ones_beyond_the_margin(rng, 80, arms, seeds, deviation, 300, best)
        assert found.share("wrong") <= most(0.05, 80)
    assert cheap_ones_beyond_the_margin(rng, 40, 3, 1, 0.05, 300, 0.5).decided == 0, "one seed gives no verdict"


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "seeds", "deviation"), list(product((2, 5), (2, 3, 5), (0.0, 0.02, 0.05, 0.1))))
def test_wrong_verdicts_are_rare_in_every_corner(arms, seeds, deviation):
    rng = np.random.default_rng(arms + 10 * seeds)
    for best, items, cluster, shared in (
        (0.5, 100, 1, 0.0),
        (0.95, 600, 1, 0.0),
        (0.8, 300, 5, 0.0),
        (0.8, 300, 1, 0.5),
    ):
        found = cheap_ones_beyond_the_margin(rng, 250, arms, seeds, deviation, items, best, cluster, shared)
        assert found.share("wrong") <= most(0.05, 250), (best, items, cluster, shared)


def advised(rng, wanted: int) -> list[bool]:
    """Undecided worlds in which something was likely to settle it, followed: the same arms, items and draws, grown as
    advised; did it settle?"""
    settled = []
    while len(settled) < wanted:
        arms, seeds, items = (int(rng.choice(v)) for v in ((2, 3, 4), (2, 3), (60, 100, 200)))
        deviation, best, gap = (float(rng.choice(v)) for v in ((0, 0.01, 0.03, 0.06), (0.4, 0.6, 0.8, 0.93), GAPS))
        truth = [best, *(max(0.01, best - gap - rng.uniform(0, 0.1)) for _ in range(arms - 1))]
        tables = answers(rng, truth, deviation, 8, 10 * items)
        shown = evidence(study_of_answers(tables[:, :seeds, :items]))
        settings = Settings(minutes_a_label=1, people_usd_per_hour=float(rng.choice((0, 30))))
        found = verdict(shown, settings)
        if not found.sentence.startswith("Undecided"):
            continue
        ways = ways_to_settle(found.arms, Bounds(shown, settings, arms), settings)
        likely = [w for w in ways if w.chance >= ENOUGH]
        if likely:
            grown = tables[:, : likely[0].plan.seeds, : likely[0].plan.items]
            settled.append(bool(decide(study_of_answers(grown), settings).chosen))
    return settled


def test_advice_that_is_followed_settles_it_mostly():
    """70 to 90 % of such studies settle; before, 58 % did."""
    settled = advised(np.random.default_rng(11), 60)
    noise = 2 * math.sqrt(0.8 * 0.2 / len(settled))
    assert 0.7 - noise <= np.mean(settled) <= 0.9 + noise


@pytest.mark.slow
def test_advice_settles_it_in_seven_to_nine_of_ten():
    settled = advised(np.random.default_rng(12), 500)
    assert 0.7 <= np.mean(settled) <= 0.9
