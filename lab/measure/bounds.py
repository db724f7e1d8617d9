"""One-sided bounds between arms at the level of a verdict, and how likely a larger study would reach them."""

from __future__ import annotations

from collections.abc import Sequence

from lab.measure.draws import DRAWS
from lab.measure.settings import Settings
from lab.measure.shown import ArmEvidence, Evidence, PairEvidence


class Bounds:
    """One-sided bounds between arms, each at ALPHA over the number of opponents."""

    def __init__(self, shown: Evidence, settings: Settings, eligible: int) -> None:
        self.shown, self.margin, self.level = shown, settings.margin, max(1, eligible - 1)
        self.pairs = {(p.first, p.second): p for p in shown.pairs}

    def no_worse(self, first: ArmEvidence, second: ArmEvidence) -> bool:
        """Whether the first is shown to lose less than the margin against the second."""
        return self._lost(first, second) < self.margin

    def margin_needed(self, arm: ArmEvidence, others: Sequence[ArmEvidence]) -> float:
        """The margin above which an arm is shown to be no worse than every other one of these; 0 where any would do."""
        return max((self._lost(arm, other) for other in others if other is not arm), default=0.0)

    def _lost(self, first: ArmEvidence, second: ArmEvidence) -> float:
        """How much the first may lose against the second, by its one-sided bound."""
        pair, sign = self._pair(first, second)
        return pair.half_widths[self.level - 1] - sign * pair.difference

    def settles(self, eligible: Sequence[ArmEvidence], plan: int) -> float:
        """Chance that after a plan of ``Evidence.plans`` some arm is shown to be no worse than every other."""
        steps, settled = self.shown.moves[plan], 0
        rooms = [[None if a is b else self._room(a, b, plan) for b in eligible] for a in eligible]
        for draw in DRAWS:
            moved = [draw[n % len(draw)] * steps[a.label] for n, a in enumerate(eligible)]
            settled += any(
                all(room is None or room + mine - other > 0 for room, other in zip(row, moved))
                for row, mine in zip(rooms, moved)
            )
        return settled / len(DRAWS)

    def _room(self, first: ArmEvidence, second: ArmEvidence, plan: int) -> float:
        """How far above the margin the bound would lie after a plan if nothing moved."""
        pair, sign = self._pair(first, second)
        return sign * pair.difference + self.margin - pair.foreseen[plan][self.level - 1]

    def against(self, first: ArmEvidence, second: ArmEvidence) -> tuple[float, float, float]:
        """First minus second with its 95 % interval: (difference, low, high)."""
        pair, sign = self._pair(first, second)
        low, high = (pair.low, pair.high) if sign > 0 else (-pair.high, -pair.low)
        return sign * pair.difference, low, high

    def is_one_seed(self, first: ArmEvidence, second: ArmEvidence) -> bool:
        """Whether one of the two was tried with one draw of the labels, so that nothing is claimed."""
        return self._pair(first, second)[0].one_seed

    def _pair(self, first: ArmEvidence, second: ArmEvidence) -> tuple[PairEvidence, int]:
        if (first.label, second.label) in self.pairs:
            return self.pairs[first.label, second.label], 1
        return self.pairs[second.label, first.label], -1
