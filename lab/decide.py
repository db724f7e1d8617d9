"""From what a study shows and the user's settings to a Decision: a pure function, no model and no text needed.

Among arms within the limits, the cheapest that is shown to be no worse than every other by more than the margin.
Where none can be shown to be: undecided, with the number of items that would settle it. The report's page holds the
same rules in JavaScript (``report/templates/verdict.js``); a browser test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.measure.cost import HOURS_A_MONTH, Priced, Z, break_even, monthly_usd
from lab.measure.evidence import ArmEvidence, Evidence, PairEvidence, evidence, percent, points
from lab.measure.settings import Settings
from lab.measure.statistics import items_needed
from lab.study import Study

USELESS = 0.1
"""Where no arm's interval reaches this accuracy, none is to be taken."""
POOR = 0.5
"""Below this accuracy even the best arm is said not to do the task."""


FORM = 0.1
"""Content beyond right answers (share of 1) from which it is the form that fails."""
CURES = (
    "ask for the form in the instruction, show it in examples, or constrain decoding to what the task allows "
    "(--decoding constrained)"
)
RULE = {"useless": USELESS, "poor": POOR, "form": FORM, "cures": CURES, "z": Z, "hours_a_month": HOURS_A_MONTH}
"""Constants of the rule, as the report's page gets them."""


@dataclass(frozen=True)
class ArmResult(ArmEvidence):
    """An arm with what the settings make of it."""

    monthly_usd: float = 0.0
    """Making, updates and requests; people are not in it."""
    making_usd: float = 0.0
    updates_usd: float = 0.0
    requests_usd: float = 0.0
    people_usd: float = 0.0
    excluded: str = ""
    """Why it can't be chosen; empty where it can."""


@dataclass(frozen=True)
class Decision:
    """The verdict and all that it rests on."""

    chosen: str
    """Label of the arm to take; empty where undecided."""
    provisional: bool
    sentence: str
    reasons: list[str]
    would_change: list[str]
    items_needed: int | None
    settings: Settings
    arms: list[ArmResult] = field(default_factory=list)
    pairs: list[PairEvidence] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def decide(
    study: Study, settings: Settings | None = None, size: int | None = None, rank: int | None = None
) -> Decision:
    """The decision at one data size (the largest by default) and rank (each arm's by validation by default)."""
    return verdict(evidence(study, size, rank), settings or Settings())


def verdict(shown: Evidence, settings: Settings) -> Decision:
    """The decision that the evidence and the settings give."""
    measured = [_result(a, settings) for a in shown.arms]
    arms = sorted(measured, key=lambda a: -a.accuracy)

    def decision(
        chosen: str, sentence: str, reasons: list[str], would_change: list[str], items: int | None = None
    ) -> Decision:
        return Decision(chosen, shown.provisional, sentence, reasons, would_change, items, settings, arms, shown.pairs)

    if shown.unfinished:
        return decision(
            "",
            f"The run is not finished: {shown.unfinished}.",
            ["Run the same lab decide command again: it goes on where it stopped."],
            [],
        )
    eligible = [a for a in measured if not a.excluded]
    if not eligible:
        return decision("", "No arm lies within the limits.", _left_out(arms), ["Other limits."])
    if max(a.high for a in arms) < USELESS:
        return decision("", *_useless(arms))
    bounds = Bounds(shown, settings, len(eligible))
    in_seconds = comparable(arms, settings)
    ordered = sorted(eligible, key=lambda a: _cost_order(a, in_seconds))
    close_enough = [a for a in ordered if all(bounds.no_worse(a, b) for b in eligible if b is not a)]
    # A wide margin, or few items, must not recommend what is of no use: an arm that is never right is cheap as well.
    chosen = next((a for a in close_enough if _of_use(a)), None)
    if chosen is None and close_enough:
        return decision("", *_useless(arms))
    if chosen is None:
        return decision("", *_undecided(eligible, arms, bounds, settings))
    sentence = (
        f"Take {chosen.label}: right on {percent(chosen.accuracy)} of the test items ({percent(chosen.low)} to "
        f"{percent(chosen.high)})"
    )
    if len(eligible) == 1:
        sentence += ", the only arm within the limits."
    elif chosen is not ordered[0]:
        sentence += f"; nothing cheaper is shown to come within {points(settings.margin)} of the best."
    else:
        sentence += f", the cheapest arm, and no other is better by more than {points(settings.margin)}."
    if max(a.high for a in arms) < POOR:
        sentence += f" But none does the task well: the best is right on {percent(arms[0].accuracy)}."
    return decision(
        chosen.label,
        sentence,
        _reasons(chosen, ordered, arms, bounds, settings, in_seconds),
        _would_change(chosen, eligible, bounds, settings, in_seconds),
    )


def priced(arm: ArmEvidence, settings: Settings) -> Priced:
    """An arm's costs at the prices that hold for it."""
    return Priced(arm.label, arm.used, settings.prices_of(arm))


class Bounds:
    """One-sided bounds between arms, each at ALPHA over the number of opponents."""

    def __init__(self, shown: Evidence, settings: Settings, eligible: int) -> None:
        self.margin, self.items, self.level = settings.margin, shown.items, max(1, eligible - 1)
        self.pairs = {(p.first, p.second): p for p in shown.pairs}

    def difference(self, first: ArmEvidence, second: ArmEvidence) -> float:
        """First minus second."""
        pair, sign = self._pair(first, second)
        return sign * pair.difference

    def no_worse(self, first: ArmEvidence, second: ArmEvidence) -> bool:
        """Whether the first is shown to lose less than the margin against the second."""
        pair, sign = self._pair(first, second)
        return sign * pair.difference - pair.half_widths[self.level - 1] > -self.margin

    def items_needed(self, first: ArmEvidence, second: ArmEvidence) -> int | None:
        """Items at which ``no_worse`` would hold if the difference stayed as it is;
        None where more items can't help."""
        pair, sign = self._pair(first, second)
        return items_needed(
            sign * pair.difference + self.margin,
            pair.half_widths[self.level - 1],
            pair.item_variance,
            pair.seed_variance,
            pair.total_variance,
            self.items,
        )

    def in_words(self, first: ArmEvidence, second: ArmEvidence) -> str:
        """``a is 3.1 points better than b (95 % interval +1.0 to +5.2)``"""
        pair, sign = self._pair(first, second)
        low, high = (pair.low, pair.high) if sign > 0 else (-pair.high, -pair.low)
        word = "better" if sign * pair.difference >= 0 else "worse"
        return (
            f"{first.label} is {points(abs(pair.difference))} {word} than {second.label} (95 % interval "
            f"{100 * low:+.1f} to {100 * high:+.1f})"
        )

    def seeds_matter(self, first: ArmEvidence, second: ArmEvidence) -> bool:
        """Whether seeds add variance to the pair's difference."""
        return self._pair(first, second)[0].seed_variance > 0

    def _pair(self, first: ArmEvidence, second: ArmEvidence) -> tuple[PairEvidence, int]:
        if (first.label, second.label) in self.pairs:
            return self.pairs[first.label, second.label], 1
        return self.pairs[second.label, first.label], -1


def _result(arm: ArmEvidence, settings: Settings) -> ArmResult:
    """The arm with its monthly cost, and marked where a limit or the base model rules it out."""
    cost = monthly_usd(arm.used, settings.prices_of(arm), settings.monthly_requests)
    excluded = arm.unfit
    if (
        not excluded
        and settings.latency_limit_seconds is not None
        and arm.latency_seconds > settings.latency_limit_seconds
    ):
        excluded = (
            f"takes {arm.latency_seconds:.2f} s for one request alone, the limit is "
            f"{settings.latency_limit_seconds:g} s"
        )
    if not excluded and settings.forgetting_limit is not None and arm.changes_weights:
        if arm.forgetting is None:
            excluded = "what it forgets was not measured, and there is a limit on it"
        elif arm.forgetting_high > settings.forgetting_limit:
            excluded = (
                f"may forget up to {points(arm.forgetting_high)} of what the base model could (measured "
                f"{points(arm.forgetting)}), the limit is {points(settings.forgetting_limit)}"
            )
    return ArmResult(
        **asdict(arm),
        monthly_usd=cost.total,
        making_usd=cost.making,
        updates_usd=cost.updates,
        requests_usd=cost.requests,
        people_usd=cost.people,
        excluded=excluded,
    )


def comparable(arms: Sequence[ArmEvidence], settings: Settings) -> bool:
    """Whether all arms that are paid by the second were timed on one machine."""
    paid = [a for a in arms if settings.prices_of(a).hosting != "api"]
    return len({m for a in paid for m in a.machines}) <= 1


def _cost_order(arm: ArmResult, in_seconds: bool) -> tuple[float, float]:
    """Dollars a month; where seconds come from several machines they can't be compared,
    and tokens a request stand in."""
    tokens = arm.prompt_tokens + arm.completion_tokens
    return (arm.monthly_usd, tokens) if in_seconds else (tokens, 0.0)


def _undecided(
    eligible: list[ArmResult], arms: list[ArmResult], bounds: Bounds, settings: Settings
) -> tuple[str, list[str], list[str], int | None]:
    """No arm is shown to be good enough: which come closest, and how many items would settle it."""

    def needed(arm: ArmResult) -> int | None:
        counts = [bounds.items_needed(arm, b) for b in eligible if b is not arm and not bounds.no_worse(arm, b)]
        return None if None in counts else max(counts)

    best = max(eligible, key=lambda a: a.accuracy)
    close = [b for b in eligible if b is not best and not bounds.no_worse(best, b)]
    reasons = [
        bounds.in_words(best, b) + f"; a loss of more than {points(settings.margin)} can't be ruled out" for b in close
    ]
    reasons += [_held_back_by_form(a) for a in eligible if _fails_by_form(a)] + _left_out(arms)
    items = min((n for a in eligible if (n := needed(a)) is not None), default=None)
    more = (
        f"about {items:,} test items (there are {bounds.items:,}) would settle it if the differences stay as they are"
        if items
        else "no number of items would settle it if the differences stay as they are"
    )
    change = [more[0].upper() + more[1:] + "."]
    if any(bounds.seeds_matter(a, b) for n, a in enumerate(eligible) for b in eligible[n + 1 :]):
        change.append("More seeds would narrow the intervals as well: the training sample makes a difference.")
    change.append(f"A margin above {points(settings.margin)} would accept more arms.")
    return f"Undecided between {' and '.join(a.label for a in [best, *close])}: {more}.", reasons, change, items


def _useless(arms: list[ArmResult]) -> tuple[str, list[str], list[str]]:
    """No arm is right often enough to be of use: is it the content that lacks, or the form?"""
    told = [f"{a.label} is right on {_share(a)}." for a in arms[1:]]
    formless = [a for a in arms if _fails_by_form(a)]
    if not formless:
        best = arms[0]
        change = "A larger base model or more labelled examples: with these no way of using the model is of use."
        sentence = f"None of the arms does this task: the best, {best.label}, is right on {percent(best.accuracy)}"
        return f"{sentence} of the test items ({percent(best.low)} to {percent(best.high)}).", told, [change]
    best = max(formless, key=lambda a: a.content)
    reasons = [
        f"{a.label} is right on {_share(a)}; {percent(a.content)} of its completions hold the right content."
        for a in formless
        if a is not best
    ] + [f"{a.label} is right on {_share(a)}." for a in arms if a not in formless]
    sentence = (
        f"No arm answers in the form that counts, but the content is there: {best.label} is right on "
        f"{percent(best.accuracy)} of the test items, and {percent(best.content)} of its completions hold the right "
        "content."
    )
    return sentence, reasons, [f"Cheaper than another model: {CURES}; or train on the form."]


def _share(arm: ArmResult) -> str:
    return f"{percent(arm.accuracy)} ({percent(arm.low)} to {percent(arm.high)})"


def _of_use(arm: ArmEvidence) -> bool:
    """Whether an arm is right at all, and often enough to be taken."""
    return arm.accuracy > 0 and arm.high >= USELESS


def _fails_by_form(arm: ArmEvidence) -> bool:
    """Whether an arm has the content and not the form: its completions hold clearly more than is counted as right."""
    return arm.content is not None and arm.content >= USELESS and arm.content - arm.accuracy >= FORM


def _held_back_by_form(arm: ArmResult) -> str:
    """An arm that knows more than is counted as right."""
    held = f"{percent(arm.content)} of the completions of {arm.label} hold the right content, and"
    return f"{held} {percent(arm.accuracy)} are counted as right. A cheaper cure may be to {CURES}."


def _form_alone(chosen: ArmResult, arms: list[ArmResult], margin: float) -> list[str]:
    """Whether the verdict rests on form: another arm has the content as well, or more of it, and only not the form."""
    rivals = [
        a
        for a in arms
        if a is not chosen
        and _fails_by_form(a)
        and chosen.content is not None
        and a.content >= chosen.content - margin
        and a.accuracy < chosen.accuracy - margin
    ]
    if not rivals:
        known = chosen.content or 0.0
        return [_held_back_by_form(a) for a in arms if _fails_by_form(a) and a.content > known + margin]
    rival = max(rivals, key=lambda a: a.content)
    return [
        f"It wins by form, not by knowledge: {percent(rival.content)} of the completions of {rival.label} hold the "
        f"right content, {percent(chosen.content)} of those of {chosen.label}. A cheaper cure may be to {CURES}."
    ]


def _left_out(arms: list[ArmResult]) -> list[str]:
    """Which arms a limit keeps out of the verdict, and why."""
    return [f"{a.label}: {a.excluded}." for a in arms if a.excluded]


def _reasons(
    chosen: ArmResult,
    ordered: list[ArmResult],
    arms: list[ArmResult],
    bounds: Bounds,
    settings: Settings,
    in_seconds: bool,
) -> list[str]:
    reasons = []
    for place, other in enumerate(ordered):
        if other is chosen:
            continue
        if place < ordered.index(chosen):
            above = [b for b in ordered if b is not other and not bounds.no_worse(other, b)]
            but = "is right too seldom to be of use"
            if above:
                best = max(above, key=lambda b: b.accuracy)
                but = f"may be more than {points(settings.margin)} worse than {best.label}"
            reasons.append(f"{bounds.in_words(chosen, other)}; it is cheaper, but {but}.")
        else:
            reasons.append(f"{bounds.in_words(chosen, other)}; it costs more.")
    reasons += _form_alone(chosen, arms, settings.margin) + _left_out(arms)
    elsewhere = [f"{a.label} {a.elsewhere_seconds:.0f} s" for a in arms if a.elsewhere_seconds > 0]
    if elsewhere:
        reasons.append(f"Searched on another machine, and so not in the fixed cost: {', '.join(elsewhere)}.")
    if not in_seconds:
        reasons.append("Seconds come from several machines and are not compared; tokens a request stand in for cost.")
    deployed = [a.label for a in arms if a.deployed]
    if deployed:
        reasons.append(
            f"Compared as deployed, not matched: {', '.join(deployed)} run on another model; what the model and what "
            "the method does is not told apart."
        )
    return reasons


def _would_change(
    chosen: ArmResult, eligible: list[ArmResult], bounds: Bounds, settings: Settings, in_seconds: bool
) -> list[str]:
    """Volumes at which an arm of no lower quality becomes the cheaper one."""
    if not in_seconds or settings.prices_of(chosen).hosting == "dedicated":
        return []
    changes = []
    for other in eligible:
        if other is chosen or not all(bounds.no_worse(other, b) for b in eligible if b is not other):
            continue
        if not _of_use(other) or settings.prices_of(other).hosting == "dedicated":
            continue
        found = break_even(priced(chosen, settings), priced(other, settings))
        if found.volume is not None:
            changes.append(
                f"{'Above' if found.cheaper_above == other.label else 'Below'} {found.volume:,.0f} requests a month "
                f"{other.label} becomes the cheaper one."
            )
    return changes
