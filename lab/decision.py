"""From what a study shows and the user's settings to a Decision: a pure function, no model and no text needed.

Among arms within the limits, the cheapest that is shown to be no worse than every other by more than the margin; of
those that cost the same within the error of their costs, the most accurate. Where none can be shown to be: undecided,
with what would settle it. One seed gives no verdict, it names the leader. The report's page holds the same rules in
JavaScript (``report/templates/verdict.js``); a browser test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lab.measure.bounds import Bounds
from lab.measure.cost import HOURS_A_MONTH, Priced, Z, break_even, costs_alike, monthly_usd
from lab.measure.draws import DRAWS
from lab.measure.form import CURES, FORM, USELESS, fails_by_form, form_alone, held_back_by_form, of_use
from lab.measure.settings import Settings
from lab.measure.settling import ENOUGH, Advised, ways_to_settle
from lab.measure.shown import ArmEvidence, Evidence, PairEvidence
from lab.measure.standing import WHY, ArmResult, Standing, standings
from lab.measure.words import percent, points, usd

if TYPE_CHECKING:
    from lab.study import Study

POOR = 0.5
"""Below this accuracy even the best arm is said not to do the task."""
FAR = 0.3
"""A margin (share of 1) beyond which nobody's answers count as near enough."""
RULE = {
    "far": FAR,
    "useless": USELESS,
    "poor": POOR,
    "form": FORM,
    "cures": CURES,
    "z": Z,
    "hours_a_month": HOURS_A_MONTH,
    "enough": ENOUGH,
    "draws": DRAWS,
    "why": WHY,
}
"""Constants of the rule, as the report's page gets them."""


@dataclass(frozen=True)
class Decision:
    """The verdict and all that it rests on."""

    chosen: str
    """Label of the arm to take; empty where undecided."""
    provisional: bool
    """The run is not finished, or one draw of the training sample was tried: no arm is taken."""
    sentence: str
    reasons: list[str]
    """What stands behind it beside ``standings``: form and knowledge, limits, machines, other models."""
    would_change: list[str]
    """What would change it, the nearest first."""
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
    standings: list[Standing] = field(default_factory=list)
    """Each arm beside the one that is taken, leads or comes closest, and why it is not taken; in the order of
    ``arms``."""

    @property
    def tone(self) -> str:
        """``good``: an arm that does the task is taken; ``weak``: one is taken that does not do it well; ``open``: none
        is."""
        taken = next((a for a in self.arms if a.label == self.chosen), None)
        return "open" if taken is None else "good" if taken.accuracy >= POOR else "weak"

    @property
    def tells_content(self) -> bool:
        """Whether any arm holds clearly more right content than is counted as right."""
        return any(s.content is not None for s in self.standings)

    @property
    def price(self) -> str:
        """What the arm that is taken, or leads, costs and forgets, in a sentence or two; empty where there is none. The
        report's page says the same (``priceOf``, tested)."""
        arm = next((a for a in self.arms if a.label in (self.chosen, self.leader)), None)
        if arm is None:
            return ""
        prices = self.settings.prices_of(arm)
        paid = "the API's prices" if prices.hosting == "api" else f"{usd(prices.price_per_hour_usd)} a machine hour"
        told = f"It costs {usd(arm.monthly_usd)} a month at {self.settings.monthly_requests:,} requests and {paid}."
        return told if arm.forgetting is None else f"{told} {_forgetting(arm)}"

    def as_json(self) -> dict[str, Any]:
        """Plain data; what would come of larger studies stays with the evidence."""
        pairs = [{k: v for k, v in asdict(p).items() if k != "foreseen"} for p in self.pairs]
        return asdict(self) | {"pairs": pairs}


def _forgetting(arm: ArmResult) -> str:
    """What a training took away, as far as it is shown."""
    between = f"({points(arm.forgetting_low)} to {points(arm.forgetting_high)})"
    if arm.forgetting_low > 0:
        lost = f"It forgets {points(arm.forgetting)} of what the base could do {between}"
        return f"{lost}: look at that where the weights serve other tasks as well."
    if arm.forgetting_high < 0:
        return f"It does what the base could do better by {points(-arm.forgetting)}."
    return f"That it forgets anything of what the base could do is not shown {between}."


def decide(
    study: Study, settings: Settings | None = None, size: int | None = None, rank: int | None = None
) -> Decision:
    """The decision at one data size (the largest by default) and rank (each arm's by validation by default)."""
    # Numbers of a study need numpy; a verdict from evidence that is there does not (a page in the browser).
    from lab.measure.evidence import evidence

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
        rows: Sequence[Standing] = (),
    ) -> Decision:
        told = shown.provisional, sentence, reasons, would_change, items, settings, arms, shown.pairs
        return Decision(chosen, *told, leader, shown.notes, list(rows))

    if shown.unfinished:
        return decision(
            "",
            f"The run is not finished: {shown.unfinished}.",
            ["Run the same lab decide command again: it goes on where it stopped."],
            [],
        )
    eligible = [a for a in measured if not a.excluded]
    bounds = Bounds(shown, settings, len(eligible) + sum(bool(a.dropped) for a in arms))
    in_seconds = comparable(arms, settings)
    ordered = sorted(eligible, key=lambda a: _cost_order(a, in_seconds))

    def rows(reference: ArmResult, role: str, useful: Sequence[ArmResult] = ()) -> list[Standing]:
        return standings(arms, reference, role, bounds, ordered, useful, in_seconds, settings)

    def of_no_use() -> Decision:
        reference, role = _closest(arms)
        return decision("", *_useless(arms), rows=rows(reference, role))

    if not eligible:
        said = "No arm lies within the limits.", _left_out(arms), ["Other limits."]
        return decision("", *said, rows=rows(arms[0], ""))
    if max(a.high for a in eligible) < USELESS:
        return of_no_use()
    close_enough = [a for a in ordered if all(bounds.no_worse(a, b) for b in eligible if b is not a)]
    # A wide margin, or few items, must not recommend what is of no use: an arm that is never right is cheap as well.
    useful = [a for a in close_enough if of_use(a)]
    if close_enough and not useful:
        return of_no_use()
    one_seed = [a for a in eligible if a.one_seed]
    if not useful and not one_seed:
        best = max(eligible, key=lambda a: a.accuracy)
        return decision("", *_undecided(eligible, arms, bounds, settings), rows=rows(best, "ahead"))
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
    reasons = _facts(chosen, arms, settings, in_seconds)
    if one_seed:
        return decision(
            "",
            f"{chosen.label} leads, with one seed, which is no verdict: {sentence}",
            reasons,
            [_confirm(one_seed)],
            leader=chosen.label,
            rows=rows(chosen, "leads", useful),
        )
    changes = _would_change(chosen, eligible, bounds, settings, in_seconds)
    changes.append(_other_margin(chosen, ordered, bounds))
    taken = rows(chosen, "taken", useful)
    return decision(chosen.label, f"Take {chosen.label}: {sentence}", reasons, changes, rows=taken)


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
    reasons = [held_back_by_form(a) for a in eligible if fails_by_form(a)] + _left_out(arms)
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
    change += _wider_margin([a for a in eligible if of_use(a)], eligible, bounds)
    return f"Undecided between {' and '.join(a.label for a in [best, *close])}: {more}.", reasons, change, items


def _wider_margin(arms: Sequence[ArmResult], eligible: Sequence[ArmResult], bounds: Bounds) -> list[str]:
    """The smallest margin that would take one of these arms; empty without any."""
    if not arms:
        return []
    needed = {a.label: bounds.margin_needed(a, eligible) for a in arms}
    nearest = min(needed, key=needed.get)
    if needed[nearest] > FAR:
        worse = points(min(1.0, needed[nearest]))
        return [f"No margin within reach takes another arm: {nearest}, the nearest, may be {worse} worse."]
    return [f"A margin above {points(needed[nearest])} would take {nearest}."]


def _other_margin(chosen: ArmResult, ordered: Sequence[ArmResult], bounds: Bounds) -> str:
    """The margin at which another arm would be taken: a wider one takes a cheaper arm, a narrower one this no more."""
    wider = _wider_margin([a for a in ordered[: ordered.index(chosen)] if of_use(a)], ordered, bounds)
    least = bounds.margin_needed(chosen, ordered)
    if wider:
        return wider[0]
    if least > 0:
        return f"A margin below {points(least)} would no longer take it."
    return "No margin would: every cheaper arm fails at the task, and no other one may be better."


def _closest(arms: Sequence[ArmResult]) -> tuple[ArmResult, str]:
    """Where no arm is of use: the one that comes closest, and whether it is the form that it lacks."""
    within = [a for a in arms if not a.excluded]
    formless = [a for a in within if fails_by_form(a)]
    return (max(formless, key=lambda a: a.content), "form") if formless else (within[0], "best")


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
    formless = [a for a in arms if fails_by_form(a)]
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


def _left_out(arms: list[ArmResult]) -> list[str]:
    """Which arms a limit keeps out of the verdict, and why."""
    return [f"{a.label}: {a.excluded}." for a in arms if a.excluded]


def _facts(chosen: ArmResult, arms: list[ArmResult], settings: Settings, in_seconds: bool) -> list[str]:
    """What the rows of the arms do not say: form and knowledge, limits, machines, other models."""
    facts = [*form_alone(chosen, arms, settings.margin), *_left_out(arms)]
    elsewhere = [f"{a.label} {a.elsewhere_seconds:.0f} s" for a in arms if a.elsewhere_seconds > 0]
    if elsewhere:
        facts.append(f"Searched on another machine, and so not in the fixed cost: {', '.join(elsewhere)}.")
    if not in_seconds:
        facts.append("Seconds come from several machines and are not compared; tokens a request stand in for cost.")
    deployed = [a.label for a in arms if a.deployed]
    if deployed:
        facts.append(
            f"Compared as deployed, not matched: {', '.join(deployed)} run on another model; what the model and what "
            "the method does is not told apart."
        )
    return facts


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
        if not of_use(other) or settings.prices_of(other).hosting == "dedicated":
            continue
        found = break_even(priced(chosen, settings), priced(other, settings))
        if found.volume is not None:
            changes.append(
                f"{'Above' if found.cheaper_above == other.label else 'Below'} {found.volume:,.0f} requests a month "
                f"{other.label} becomes the cheaper one."
            )
    return changes
