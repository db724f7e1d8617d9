"""Worlds whose truth is known, for simulations: right answers of arms on shared items, under several seeds.

Arm a is right on item i under seed s where mu_a + common_i + own_ai + seed_as + rest_asi > 0, all normal and of total
variance 1, so that its accuracy over items and seeds is Phi(mu_a) exactly; items may stand in groups, and a part of the
seeds' effect may be shared by the arms (they have one training sample).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from lab.study import Cell, Study

COMMON, OWN = 0.45, 0.20
"""Shares of the variance: of an item for all arms, of an item for one arm."""
GROUP = 0.5
"""Of an item's variance, what belongs to its group where there are groups."""


@lru_cache(maxsize=256)
def seed_share(accuracy: float, deviation: float) -> float:
    """Share of the variance at which the accuracy given the seed has this standard deviation; at most 0.6."""
    if deviation == 0:
        return 0.0
    mu, nodes = special.ndtri(accuracy), special.ndtri((np.arange(400) + 0.5) / 400)

    def excess(share: float) -> float:
        return float(np.std(special.ndtr((mu + math.sqrt(share) * nodes) / math.sqrt(1 - share)))) - deviation

    return 0.6 if excess(0.6) < 0 else float(optimize.brentq(excess, 1e-9, 0.6))


def answers(
    rng: np.random.Generator,
    accuracies: Sequence[float],
    deviation: float,
    seeds: int,
    items: int,
    cluster: int = 1,
    shared: float = 0.0,
) -> np.ndarray:
    """(arms, seeds, items) of True and False; ``deviation`` of an accuracy over seeds, ``shared`` of it by all arms."""
    groups, between = -(-items // cluster), GROUP if cluster > 1 else 0.0

    def item(share: float) -> np.ndarray:
        own = math.sqrt(share * (1 - between)) * rng.standard_normal(items)
        group = math.sqrt(share * between) * np.repeat(rng.standard_normal(groups), cluster)[:items]
        return own + group

    common, draw, found = item(COMMON), rng.standard_normal((seeds, 1)), []
    for accuracy in accuracies:
        share = seed_share(round(accuracy, 4), deviation)
        effect = math.sqrt(shared) * draw + math.sqrt(1 - shared) * rng.standard_normal((seeds, 1))
        rest = math.sqrt((1 - share) * (1 - COMMON - OWN)) * rng.standard_normal((seeds, items))
        fixed = math.sqrt(1 - share) * (common + item(OWN))
        found.append(special.ndtri(accuracy) + fixed + math.sqrt(share) * effect + rest > 0)
    return np.array(found)


def study_of_answers(tables: np.ndarray, cluster: int = 1, seconds: Sequence[float] | None = None) -> Study:
    """What the lab would have written down: trained arms a0, a1, ... that cost ``seconds`` a request."""
    arms, seeds, items = tables.shape
    cells = [
        Cell(
            f"a{a}",
            seed,
            400,
            outcomes="".join(np.where(tables[a, seed], "c", "w")),
            adaptation=f"a{a} {seed}",
            machine="m",
            usage={"seconds": float(seconds[a]) if seconds is not None else 0.01},
        )
        for a in range(arms)
        for seed in range(seeds)
    ]
    names = [str(i // cluster) for i in range(items)]
    return Study({}, {}, {}, [str(i) for i in range(items)], names, cells, made={"finished": "x"})
