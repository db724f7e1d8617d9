"""A race instead of a grid: arms that are clearly worse are dropped after few items and one draw, the rest get more.

``schedule(items, draws)`` is written into the study before the first look. ``dropped(arms, ...)`` says who goes at a
look: dropping spends no level, since the best arm would have to look worse by more than the margin; levels are spent
where an arm may be taken (``Look.alpha``). Simulated in ``tests/measure/test_racing.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lab.measure.arms import Arm
from lab.measure.shown import ALPHA
from lab.measure.statistics import Draws
from lab.measure.words import points

FIRST, SECOND, MOST = 60, 200, 600
"""Test items at the looks; the last is all that there are where they are fewer, or as many as were asked for."""
TAKE, LAST = 0.035, 0.015
"""Levels of the two looks at which one of several arms may be taken: together ALPHA."""
MORE_DRAWS = 2
"""Further draws of the last look."""
DRAW, DRAW_DEGREES = 0.05, 4.0
"""How much another draw may move an arm of which one was tried (standard deviation, share of 1; the committed studies
show a median of 4.2 points), and the degrees of freedom that this is worth."""
SEEDS_MISSING = 0.5
"""Seeds are what is missing where they add more than this part of what items add."""


@dataclass(frozen=True)
class Look:
    """A stage of the race: so many items and draws, and the level at which an arm may be taken (0: only dropped)."""

    items: int
    seeds: int
    alpha: float = 0.0


def schedule(items: int, seeds: int, most: int = MOST) -> list[Look]:
    """Looks for a test set of so many items and so many draws to begin with; one draw gives a leader and no verdict."""
    last = min(items, most)
    found = [Look(min(FIRST, last), 1), Look(min(SECOND, last), 1)]
    if seeds > 1:
        found += [Look(min(SECOND, last), seeds), Look(last, seeds, TAKE), Look(last, seeds + MORE_DRAWS, LAST)]
    else:
        found += [Look(last, 1, ALPHA)]
    # Of looks at the same items and draws the later one stands: it has the level.
    return [a for a, b in zip(found, [*found[1:], None]) if b is None or (a.items, a.seeds) != (b.items, b.seeds)]


@dataclass(frozen=True)
class Dropped:
    """Why an arm left the race."""

    items: int
    seeds: int
    behind: str
    """Label of the arm that it is clearly worse than."""
    difference: float
    """How much, share of 1."""
    at_least: float
    """The bound that lies beyond the margin."""

    @property
    def words(self) -> str:
        """``dropped after 60 items and 1 draw: 41.0 points behind lora r16, at least 22.4``"""
        draws = f"{self.seeds} draw{'s' if self.seeds > 1 else ''}"
        return (
            f"dropped after {self.items} items and {draws}: {points(self.difference)} behind {self.behind}, at least "
            f"{100 * self.at_least:.1f}"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def dropped(arms: Sequence[Arm], rivals: Collection[str], margin: float, opponents: int) -> dict[str, Dropped]:
    """The arms (by name) that are shown to be worse than one of the ``rivals`` by more than the margin.

    ``rivals`` are arms that may be taken; ``opponents`` is how many others an arm began against.
    """
    cautious = [replace(a, draws=Draws(DRAW**2 / a.draw_weight, DRAW_DEGREES)) if a.one_seed else a for a in arms]
    found: dict[str, Dropped] = {}
    for arm in cautious:
        beyond = []
        for rival in cautious:
            if rival is arm or rival.name not in rivals:
                continue
            pair = arm.against(rival)
            bound = pair.difference + pair.half_width(ALPHA / max(1, opponents))
            if bound < -margin:
                beyond.append(Dropped(pair.items, pair.seeds, rival.label, -pair.difference, -bound))
        if beyond:
            found[arm.name] = max(beyond, key=lambda d: d.at_least)
    return found


def seeds_are_missing(arms: Sequence[Arm]) -> bool:
    """Whether, between some two arms, draws add more to the error than items do in good part."""
    for n, arm in enumerate(arms):
        for other in arms[n + 1 :]:
            pair = arm.against(other)
            by_draws = max(pair.seed_variance, pair.draws.variance if pair.draws else 0.0)
            if by_draws > SEEDS_MISSING * pair.item_variance:
                return True
    return False
