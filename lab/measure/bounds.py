"""One-sided bounds between arms at the level of a verdict, and how likely a larger study would reach them."""

from __future__ import annotations

from collections.abc import Sequence

from lab.measure.advice import DRAWS
from lab.measure.evidence import ArmEvidence, Evidence, PairEvidence
from lab.measure.settings import Settings
from lab.measure.words import points


class Bounds:
    """One-sided bounds between arms, each at ALPHA over the number of opponents."""

    def __init__(self, shown: Evidence, settings: Settings, eligible: int) -> None:
        self.shown, self.margin, self.level = shown, settings.margin, max(1, eligible - 1)
        self.pairs = {(p.first, p.second): p for p in shown.pairs}

    def difference(self, first: ArmEvidence, second: ArmEvidence) -> float:
        """First minus second."""
        pair, sign = self._pair(first, second)
        return sign * pair.difference

    def no_worse(self, first: ArmEvidence, second: ArmEvidence) -> bool:
        """Whether the first is shown to lose less than the margin against the second."""
        pair, sign = self._pair(first, second)
        return sign * pair.difference - pair.half_widths[self.level - 1] > -self.margin

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

    def in_words(self, first: ArmEvidence, second: ArmEvidence) -> str:
        """``a is 3.1 points better than b (95 % interval +1.0 to +5.2)``"""
        pair, sign = self._pair(first, second)
        low, high = (pair.low, pair.high) if sign > 0 else (-pair.high, -pair.low)
        word = "better" if sign * pair.difference >= 0 else "worse"
        return (
            f"{first.label} is {points(abs(pair.difference))} {word} than {second.label} (95 % interval "
            f"{100 * low:+.1f} to {100 * high:+.1f})"
        )

    def answers(self, first: ArmEvidence, second: ArmEvidence, requests: int) -> str:
        """``, 310 fewer right answers of 10,000`` of the second; empty where they differ by less than one."""
        lost = self.difference(first, second) * requests
        if abs(lost) < 1:
            return ""
        return f" and gives {abs(lost):,.0f} {'fewer' if lost > 0 else 'more'} right answers of {requests:,}"

    def _pair(self, first: ArmEvidence, second: ArmEvidence) -> tuple[PairEvidence, int]:
        if (first.label, second.label) in self.pairs:
            return self.pairs[first.label, second.label], 1
        return self.pairs[second.label, first.label], -1
