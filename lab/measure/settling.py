"""Ways to settle an undecided verdict: seeds or items, each with its chance and its price.

``ways_to_settle(eligible, bounds, settings)`` gives them, the cheapest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.measure.bounds import Bounds
from lab.measure.settings import Settings
from lab.measure.shown import ArmEvidence, Extension
from lab.measure.words import minutes, usd

ENOUGH = 0.8
"""Chance of settling from which on a plan is advised."""


@dataclass(frozen=True)
class Advised:
    """A way to settle an undecided verdict."""

    plan: Extension
    chance: float
    usd: float
    seconds: float
    seeds: int
    """Draws that there are."""
    items: int
    """Test items that there are."""

    @property
    def words(self) -> str:
        """``5 draws of the training sample instead of 3``"""
        told = []
        if self.plan.seeds > self.seeds:
            told.append(f"{self.plan.seeds} draws of the training sample instead of {self.seeds}")
        if self.plan.items > self.items:
            told.append(f"{self.plan.items:,} test items instead of {self.items:,}")
        return " and ".join(told)

    @property
    def likely(self) -> str:
        """``with a chance of about 85 %``"""
        return f"with a chance of about {5 * round(20 * self.chance)} %"

    @property
    def cost(self) -> str:
        """``about 12 min, 0.20 USD``"""
        return f"about {minutes(self.seconds)}, {usd(self.usd)}"


def ways_to_settle(eligible: Sequence[ArmEvidence], bounds: Bounds, settings: Settings) -> list[Advised]:
    """The plans that the study could grow to, each with its chance of settling and its price; the cheapest first."""
    shown, found = bounds.shown, []
    for place, plan in enumerate(shown.plans):
        seconds = 0.0
        for arm in eligible:
            rows = plan.seeds if arm.seeded else 1
            before = shown.seeds if arm.seeded else 1
            seconds += (rows - before) * arm.training_seconds
            seconds += (rows * plan.items - before * shown.items) * arm.seconds_per_request
        labels = max(0, plan.items - shown.items_at_hand)
        people = labels * settings.minutes_a_label / 60 * settings.people_usd_per_hour
        money = seconds * settings.price_per_hour_usd / 3600 + people
        found.append(Advised(plan, bounds.settles(eligible, place), money, seconds, shown.seeds, shown.items))
    return sorted(found, key=lambda way: (way.usd, way.seconds))
