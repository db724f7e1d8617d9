"""From what a study shows and the user's settings to a Decision: a pure function, no model and no text needed.

Among arms within the limits, the cheapest that is shown to be no worse than every other by more than the margin; of
those that cost the same within the error of their costs, the most accurate. Where none can be shown to be: undecided,
with what would settle it. One seed gives no verdict, it names the leader. The report's page holds the same rules in
JavaScript (``report/templates/verdict.js``); a browser test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.measure.advice import DRAWS, ENOUGH
from lab.measure.bounds import Bounds
from lab.measure.cost import HOURS_A_MONTH, Priced, Z, break_even, costs_alike, monthly_usd
from lab.measure.evidence import ArmEvidence, Evidence, PairEvidence, evidence
from lab.measure.settings import Settings
from lab.measure.settling import Advised, ways_to_settle
from lab.measure.words import percent, points, usd
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
RULE = {
    "useless": USELESS,
    "poor": POOR,
    "form": FORM,
    "cures": CURES,
    "z": Z,
    "hours_a_month": HOURS_A_MONTH,
    "enough": ENOUGH,
    "draws": DRAWS,
}
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
    """The run is not finished, or one draw of the training sample was tried: no arm is taken."""
    sentence: str
    reasons: list[str]
    would_change: list[str]
    items_needed: int | None
    """Test items that would settle an undecided verdict, where items are the cheaper way; None where seeds are, or
    nothing that was looked at is likely to."""
    settings: Settings
    arms: list[ArmResult] = field(default_factory=list)
    pairs: list[PairEvidence] = field(default_factory=list)
    leader: str = ""
    """Label of the arm that one seed would take; empty where several seeds were tried, or none leads."""
    notes: list[str] = field(default_factory=list)
    """What the numbers are of, and what they leave open."""

    def as_json(self) -> dict[str, Any]:
        """Plain data; what would come of larger studies stays with the evidence."""
        pairs = [{k: v for k, v in asdict(p).items() if k != "foreseen"} for p in self.pairs]
        return asdict(self) | {"pairs": pairs}


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
        chosen: str,
        sentence: str,
        reasons: list[str],
        would_change: list[str],
        items: int | None = None,
        leader: str = "",
    ) -> Decision:
        told = shown.provisional, sentence, reasons, would_change, items, settings, arms, shown.pairs
        return Decision(chosen, *told, leader, shown.notes)

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
    if max(a.high for a in eligible) < USELESS:
        return decision("", *_useless(arms))
    bounds = Bounds(shown, settings, len(eligible) + sum(bool(a.dropped) for a in arms))
    in_seconds = comparable(arms, settings)
    ordered = sorted(eligible, key=lambda a: _cost_order(a, in_seconds))
    close_enough = [a for a in ordered if all(bounds.no_worse(a, b) for b in eligible if b is not a)]
    # A wide margin, or few items, must not recommend what is of no use: an arm that is never right is cheap as well.
    useful = [a for a in close_enough if _of_use(a)]
    if close_enough and not useful:
        return decision("", *_useless(arms))
    one_seed = [a for a in eligible if a.one_seed]
    if not useful and not one_seed:
        return decision("", *_undecided(eligible, arms, bounds, settings))
    alike = [a for a in useful if in_seconds and _cost_alike(useful[0], a, settings)] or useful[:1]
    chosen = max(alike or eligible, key=lambda a: a.accuracy)
    raced = [a for a in arms if a.dropped]
    if len(eligible) == 1 and raced:
        why = f"; every other arm was shown to be more than {points(settings.margin)} worse and left the race."
    elif len(eligible) == 1:
        why = ", the only arm within the limits."
    elif chosen not in useful:
        why = f"; that no other is better by more than {points(settings.margin)} is not shown."
    elif chosen is not useful[0]:
        why = f"; {useful[0].label} costs the same within the error of the costs, and is right less often."
    elif chosen is not ordered[0]:
        why = f"; nothing cheaper is shown to come within {points(settings.margin)} of the best."
    else:
        why = f", the cheapest arm, and no other is better by more than {points(settings.margin)}."
    right = f"right on {percent(chosen.accuracy)} of the test items ({percent(chosen.low)} to {percent(chosen.high)})"
    poor = max(a.high for a in eligible) < POOR
    well = f" But none does the task well: the best is right on {percent(max(a.accuracy for a in eligible))}."
    sentence = f"{right}{why}{_answers_lost(chosen, eligible, settings, in_seconds)}{well if poor else ''}"
    reasons = _reasons(chosen, ordered, useful, arms, bounds, settings, in_seconds)
    if one_seed:
        return decision(
            "",
            f"{chosen.label} leads, with one seed, which is no verdict: {sentence}",
            reasons,
            [_confirm(one_seed)],
            leader=chosen.label,
        )
    return decision(
        chosen.label,
        f"Take {chosen.label}: {sentence}",
        reasons,
        _would_change(chosen, eligible, bounds, settings, in_seconds),
    )


def priced(arm: ArmEvidence, settings: Settings) -> Priced:
    """An arm's costs at the prices that hold for it."""
    return Priced(arm.label, arm.used, settings.prices_of(arm))


def _cost_alike(first: ArmResult, second: ArmResult, settings: Settings) -> bool:
    return costs_alike(priced(first, settings), priced(second, settings), settings.monthly_requests)


def _confirm(one_seed: list[ArmResult]) -> str:
    """What would make a verdict of a leader."""
    names = ", ".join(a.label for a in one_seed)
    return (
        f"Two more draws of the training sample for {names} (lab decide with --seeds 3): how much another draw moves "
        "them was not measured."
    )


def _answers_lost(chosen: ArmResult, eligible: list[ArmResult], settings: Settings, in_seconds: bool) -> str:
    """What the money that is saved against the most accurate arm costs in answers; empty where nothing is lost."""
    best = max(eligible, key=lambda a: a.accuracy)
    more = (best.accuracy - chosen.accuracy) * settings.monthly_requests
    if more < 1 or not in_seconds:
        return ""
    money = best.monthly_usd - chosen.monthly_usd
    return (
        f" {best.label} would answer {more:,.0f} more of {settings.monthly_requests:,} requests a month right, for "
        f"{usd(money)} more."
    )


def _result(arm: ArmEvidence, settings: Settings) -> ArmResult:
    """The arm with its monthly cost, and marked where a limit or the base model rules it out."""
    cost = monthly_usd(arm.used, settings.prices_of(arm), settings.monthly_requests)
    excluded = arm.unfit or arm.dropped
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
    """No arm is shown to be good enough: which come closest, and what would settle it, seeds or items."""
    best = max(eligible, key=lambda a: a.accuracy)
    close = [b for b in eligible if b is not best and not bounds.no_worse(best, b)]
    reasons = [
        bounds.in_words(best, b) + f"; a loss of more than {points(settings.margin)} can't be ruled out" for b in close
    ]
    reasons += [_held_back_by_form(a) for a in eligible if _fails_by_form(a)] + _left_out(arms)
    ways = ways_to_settle(eligible, bounds, settings)
    likely = [w for w in ways if w.chance >= ENOUGH]
    items = None
    if likely:
        more = f"{likely[0].words} would settle it {likely[0].likely}"
        items = likely[0].plan.items if likely[0].plan.items > bounds.shown.items else None
        change = [f"{w.words[0].upper()}{w.words[1:]} ({w.cost}): settles it {w.likely}." for w in _distinct(likely)]
    else:
        most = max(ways, key=lambda w: w.chance)
        more = f"even {most.words} would settle it only {most.likely}"
        change = [f"{more[0].upper()}{more[1:]} ({most.cost}): the arms lie too close to tell apart."]
    change.append(f"A margin above {points(settings.margin)} would accept more arms.")
    return f"Undecided between {' and '.join(a.label for a in [best, *close])}: {more}.", reasons, change, items


def _distinct(ways: list[Advised]) -> list[Advised]:
    """The cheapest way, and the cheapest of the other kind (seeds alone, or items alone) where there is one."""
    first = ways[0]
    kinds = ((w.plan.seeds > w.seeds, w.plan.items > w.items) for w in ways)
    others = [w for w, kind in zip(ways, kinds) if kind != (first.plan.seeds > first.seeds, first.plan.items > w.items)]
    return [first, *[w for w in others if (w.plan.seeds > w.seeds) != (w.plan.items > w.items)][:1]]


def _useless(measured: list[ArmResult]) -> tuple[str, list[str], list[str]]:
    """No arm is right often enough to be of use: is it the content that lacks, or the form?"""
    arms, left_out = [a for a in measured if not a.excluded], _left_out(measured)
    told = [f"{a.label} is right on {_share(a)}." for a in arms[1:]] + left_out
    formless = [a for a in arms if _fails_by_form(a)]
    if not formless:
        best = arms[0]
        change = "A larger base model or more labelled examples: with these no way of using the model is of use."
        limits = " within the limits" if left_out else ""
        sentence = f"None of the arms{limits} does this task: the best, {best.label}, is right on "
        sentence += f"{percent(best.accuracy)} of the test items ({percent(best.low)} to {percent(best.high)})."
        return sentence, told, [change]
    best = max(formless, key=lambda a: a.content)
    reasons = [
        f"{a.label} is right on {_share(a)}; {percent(a.content)} of its completions hold the right content."
        for a in formless
        if a is not best
    ] + [f"{a.label} is right on {_share(a)}." for a in arms if a not in formless]
    reasons += left_out
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
    useful: list[ArmResult],
    arms: list[ArmResult],
    bounds: Bounds,
    settings: Settings,
    in_seconds: bool,
) -> list[str]:
    """Why each other arm is not taken: what it costs, and what it would lose."""
    reasons, of_form = [], _form_alone(chosen, arms, settings.margin)
    for place, other in enumerate(ordered):
        if other is chosen:
            continue
        told = any(f"completions of {other.label} hold" in text for text in of_form) or not _fails_by_form(other)
        held = "" if told else f" Of its completions {percent(other.content)} hold the right content."
        saved = chosen.monthly_usd - other.monthly_usd
        if place < ordered.index(chosen) and chosen in useful and other in useful:
            reasons.append(f"{bounds.in_words(chosen, other)}; it costs the same within the error of the costs.{held}")
        elif place < ordered.index(chosen):
            above = [b for b in ordered if b is not other and not bounds.no_worse(other, b)]
            but = "is right too seldom to be of use"
            if above:
                best = max(above, key=lambda b: b.accuracy)
                but = f"may be more than {points(settings.margin)} worse than {best.label}"
            cheaper = f"it is cheaper by {usd(saved)} a month" if in_seconds else "it is cheaper"
            reasons.append(f"{bounds.in_words(chosen, other)}; {cheaper}, but {but}.{held}")
        elif in_seconds:
            answers = bounds.answers(chosen, other, settings.monthly_requests)
            reasons.append(f"{bounds.in_words(chosen, other)}; it costs {usd(-saved)} more a month{answers}.{held}")
        else:
            reasons.append(f"{bounds.in_words(chosen, other)}; it costs more.{held}")
    reasons += of_form + _left_out(arms)
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
