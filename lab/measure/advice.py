"""What would settle an undecided verdict: more draws of the training sample, more test items, or both.

A plan extends the study at hand: the seeds and items that are there stay. Of a pair's difference it is known how far
it will move (normal around what it is, since only the new items and seeds can move it) and how wide its interval will
be: ``foreseen(comparison, plans, tails)`` gives both. The chance of settling is the share of such moves (those of
``lab.measure.draws``) after which some arm is shown to be no worse than every other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

from lab.measure.shown import Extension
from lab.measure.statistics import SEED_WEIGHT, Comparison

MORE_SEEDS = (3, 5, 8)
MORE_ITEMS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""Times the test items at hand."""
DRAW, DRAW_DEGREES = 0.025, 1.1
"""How much a draw moves an arm (standard deviation, share of 1) by the lab's earlier studies, and the degrees of
freedom that this is worth: two seeds that look alike must not promise that items alone will settle it."""


def extensions(seeds: int, items: int, seeded: bool) -> list[Extension]:
    """Plans to choose from: more seeds, more items, or both.

    Two seeds of arms that learn (``seeded``) are never enough: with more items it shows how little two can tell.
    """
    further = [s for s in MORE_SEEDS if s > seeds] if seeded else []
    grown = [round(items * times) for times in MORE_ITEMS]
    by_items = [Extension(seeds, n) for n in grown] if seeds >= MORE_SEEDS[0] or not seeded else []
    return [Extension(s, items) for s in further] + by_items + [Extension(s, n) for s in further for n in grown[1:4:2]]


def foreseen(
    comparison: Comparison, plans: Sequence[Extension], tails: Sequence[float], seeded: int
) -> tuple[list[float], list[list[float]]]:
    """(standard deviation of how far the difference will move, half widths by tail), a plan each.

    ``seeded``: how many of the two learn from labels; of none more seeds change nothing.
    """
    c, tail = comparison, np.asarray(tails, float)
    own = c.seed_variance * c.seeds
    known, free = (c.draws.variance * c.seeds, c.draws.degrees) if c.draws is not None else (0.0, 0.0)
    kind = (free * known + DRAW_DEGREES * seeded * DRAW**2) / (free + DRAW_DEGREES)
    # Seeds of one pair that look alike now will not stay so: its own estimate grows towards that of its kind.
    own = max(own, kind)
    moved, widths = [], []
    for plan in plans:
        seeds = max(plan.seeds, c.seeds) if seeded else c.seeds
        groups = max(2.0, c.groups * plan.items / c.items)
        item = c.item_variance * c.items / plan.items
        new_items = c.item_variance * max(0.0, 1 - c.items / plan.items)
        moved.append(float(np.sqrt(new_items + own / c.seeds * (1 - c.seeds / seeds))))
        by_items = special.stdtrit(groups - 1, 1 - tail) ** 2 * item
        widest = by_items
        if own > 0 and seeds > 1:
            total = own / seeds + item
            degrees = max(1.0, total**2 / ((own / seeds) ** 2 / (seeds - 1) + item**2 / (groups - 1)))
            by_seeds = SEED_WEIGHT * special.stdtrit(seeds - 1, 1 - tail) ** 2 * own / seeds
            widest = np.maximum(special.stdtrit(degrees, 1 - tail) ** 2 * total, by_seeds + by_items)
        if kind > 0:
            total = kind / seeds + item
            later = max(1.0, free * (seeds - 1) / max(1, c.seeds - 1))
            degrees = max(1.0, total**2 / ((kind / seeds) ** 2 / later + item**2 / (groups - 1)))
            widest = np.maximum(widest, special.stdtrit(degrees, 1 - tail) ** 2 * total)
        widths.append([float(f"{w:.5g}") for w in np.sqrt(widest)])
    return moved, widths


def moves_of_arms(moved: dict[tuple[int, int], float], arms: int) -> list[float]:
    """Standard deviations of single arms' moves that give those of the pairs, as well as least squares can.

    ``moved``: by places of two arms, how far their difference will move.
    """
    if not moved:
        return [0.0] * arms
    rows = np.zeros((len(moved), arms))
    for row, pair in zip(rows, moved):
        row[list(pair)] = 1.0
    # Two arms leave one equation for two unknowns: the small ridge shares it evenly.
    ridge = 1e-6 * np.eye(arms)
    wanted = np.concatenate([np.square(list(moved.values())), np.zeros(arms)])
    found, _ = optimize.nnls(np.concatenate([rows, ridge]), wanted)
    return [float(v) for v in np.sqrt(found)]
