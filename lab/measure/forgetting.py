"""What a training took away: the same probes before and after, paired by item; positive is worse.

``forgetting(study, "lora", size, rank)`` gives one Change a probe; ``headline`` one number over the abilities that the
base has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lab.measure.statistics import Comparison, mean_interval, wilson
from lab.study import Probed, Study

ABLE = 0.2
"""A probe counts in the headline where the base is right on at least this share."""
OTHER_WAYS = ("public_facts", "facts_after_examples")
"""Further ways to ask for the facts that ``facts_by_choice`` asks for: shown, but not counted a second time."""
HEADLINE = (
    f"mean accuracy drop over the items of all probes that the base is right on at least {ABLE:.0%} of and clearly "
    "more often than by chance, facts counted once (by choice among candidates); "
    "95 % interval over items within their probes, and seeds"
)
MANNER = 0.1
"""Facts lost when asked freely, beyond those lost by choice:
from here on it is said that manner changed, not knowledge."""
CHANCE = 0.25
"""What guessing gives among the four candidates of ``facts_by_choice``."""


@dataclass(frozen=True)
class Change:
    """One probe before and after, over all seeds of an arm."""

    probe: str
    says: str
    before: float
    after: float
    drop: float
    """``accuracy_drop``: share of items; negative where the arm is better than the base."""
    low: float
    high: float
    lost: float
    """Items right before and wrong after, mean over seeds; a small drop can hide much churn."""
    gained: float
    items: int
    seeds: int


@dataclass(frozen=True)
class Likelihood:
    """General text before and after, in nats a token."""

    says: str
    before: float
    after: float
    increase: float
    """``nll_increase``."""
    low: float
    high: float
    kl: float
    """Mean KL(base || tuned) a token."""


@dataclass(frozen=True)
class Drop:
    """The headline: HEADLINE says what it is."""

    drop: float
    low: float
    high: float
    probes: tuple[str, ...]


@dataclass(frozen=True)
class Forgotten:
    """All of one arm."""

    method: str
    rank: int | None
    in_context: bool
    """The weights are the base's own; what changed is the prompt."""
    changes: list[Change] = field(default_factory=list)
    likelihood: Likelihood | None = None
    headline: Drop | None = None
    manner: str = ""
    """Whether facts are gone, or only the way of answering."""
    size: int | None = None
    """Labelled examples that the arm had; None for an arm that uses none."""

    @property
    def label(self) -> str:
        """``lora r16 at 400``, and whether only its context was tried."""
        return (
            self.method
            + (f" r{self.rank}" if self.rank else "")
            + (f" at {self.size:,}" if self.size else "")
            + (" (in the prompt)" if self.in_context else "")
        )


def forgotten(study: Study, arm: str, size: int | None = None, rank: int | None = None) -> Forgotten | None:
    """What an arm forgot, at one size (the largest probed one where None is given) and rank;
    None where it was not probed."""
    own = [
        p
        for p in study.probed
        if study.name_of(p) == arm and p.method and p.rank in (rank, None) and size in (None, p.size)
    ]
    base = {p.probe: p for p in study.probed if not p.method and own and p.model == own[0].model}
    own = [p for p in own if p.probe in base]
    if not own:
        return None
    largest = max(p.size or 0 for p in own)
    return compared(base, [p for p in own if (p.size or 0) == largest], arm, own[0].rank)


def compared(base: dict[str, Probed], own: list[Probed], method: str = "", rank: int | None = None) -> Forgotten:
    """The answers of one arm's seeds against the base's."""
    by_probe = {
        name: sorted((p for p in own if p.probe == name), key=lambda p: p.seed)
        for name in dict.fromkeys(p.probe for p in own)
    }
    changes = [_change(base[name], after) for name, after in by_probe.items() if base[name].outcomes]
    texts = [(base[name], after) for name, after in by_probe.items() if base[name].nats]
    return Forgotten(
        method,
        rank,
        own[0].in_context,
        changes,
        _likelihood(*texts[0]) if texts else None,
        _headline(base, by_probe),
        _manner(changes),
        own[0].size,
    )


def _drops(before: Probed, after: list[Probed]) -> np.ndarray:
    """(seeds, items) of right before minus right after."""
    return np.array([before.correct]) - np.array([p.correct for p in after])


def _change(before: Probed, after: list[Probed]) -> Change:
    table = _drops(before, after)
    found = mean_interval(table)
    was = float(np.mean(before.correct))
    low, high = _within(found, table)
    return Change(
        before.probe,
        before.says,
        was,
        was - found.difference,
        found.difference,
        low,
        high,
        float((table > 0).sum() / len(after)),
        float((table < 0).sum() / len(after)),
        table.shape[1],
        len(after),
    )


def _within(found: Comparison, table: np.ndarray) -> tuple[float, float]:
    """The interval; exactly nothing where no answer to any item changed in any seed."""
    return (found.low, found.high) if table.any() else (0.0, 0.0)


def _likelihood(before: Probed, after: list[Probed]) -> Likelihood:
    """A text counts by its tokens (ratio of sums), texts and seeds are the two sources of variance."""
    tokens = np.array(before.tokens, float)
    increase = (np.array([p.nats for p in after]) - np.array([before.nats])) / tokens.mean()
    found = mean_interval(increase, shares=False)
    was = sum(before.nats) / tokens.sum()
    return Likelihood(
        before.says,
        was,
        was + found.difference,
        found.difference,
        found.low,
        found.high,
        float(np.mean([sum(p.kl) for p in after]) / tokens.sum()),
    )


def _headline(base: dict[str, Probed], by_probe: dict[str, list[Probed]]) -> Drop | None:
    counted = [n for n in by_probe if base[n].outcomes and n not in OTHER_WAYS and _is_able(base[n])]
    if not counted:
        return None
    table = np.concatenate([_drops(base[n], by_probe[n]) for n in counted], axis=1)
    # The probes are fixed, their items were drawn: that one is lost and another is not is no noise.
    found = mean_interval(table, strata=[n for n in counted for _ in base[n].outcomes])
    return Drop(found.difference, *_within(found, table), tuple(counted))


def _is_able(before: Probed) -> bool:
    """Whether the base can do what a probe asks: often enough, and shown to be right more often than by guessing."""
    right, items = sum(before.correct), len(before.outcomes)
    # Studies from before chances were written down asked facts among four.
    chance = before.chance or (CHANCE if before.probe == "facts_by_choice" else 0.0)
    return right / items >= ABLE and wilson(right, items)[0] > chance


def _manner(changes: list[Change]) -> str:
    found = {c.probe: c for c in changes}
    if "facts_by_choice" not in found or "public_facts" not in found:
        return ""
    chosen, freely, shown = found["facts_by_choice"], found["public_facts"], found.get("facts_after_examples")
    if freely.low <= 0 and chosen.low <= 0 and max(freely.drop, chosen.drop) < MANNER:
        return "No fact is lost that can be shown, neither asked freely nor by choice."
    if chosen.low > 0 and freely.drop - chosen.drop < MANNER:
        return "Facts asked freely and facts by choice go together: what is lost is lost knowledge."
    recovered = (
        f" After worked examples it answers {100 * shown.after:.0f} % again."
        if shown and shown.after - freely.after >= MANNER
        else ""
    )
    told = (
        f"Asked freely it gives {100 * freely.after:.0f} % of the facts ({100 * freely.before:.0f} % before), by "
        f"choice {100 * chosen.after:.0f} % ({100 * chosen.before:.0f} % before, {100 * CHANCE:.0f} % by chance): "
    )
    half = (chosen.before - CHANCE) / 2
    if freely.low <= 0 and chosen.low <= 0:
        return f"{told}whether anything is lost can't be told, the trainings differ too much."
    if chosen.low <= 0 and chosen.high > half:
        return f"{told}whether knowledge is lost or the manner of answering can't be told from so few items.{recovered}"
    if chosen.low > 0 and chosen.drop > half:
        return f"{told}most of the knowledge itself is lost, not only the manner of answering.{recovered}"
    return f"{told}the manner of answering changed more than the knowledge.{recovered}"
