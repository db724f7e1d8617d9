"""From a Study and the user's settings to a Decision: a pure function, no model and no text needed.

Among arms within the limits, the cheapest that is shown to be no worse than every other by more than the margin.
Where none can be shown to be: undecided, with the number of items that would settle it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from lab.measure.arms import Arm, arms_at
from lab.measure.statistics import Comparison, holm, items_to_settle
from lab.schema import LabError
from lab.study import Study

ALPHA = 0.05
POOR = 0.5
"""Below this accuracy even the best arm is said not to do the task."""

NEEDS = {
    "zero_shot": ("instruction",), "few_shot": ("format_examples", "label_examples"), "few_shot_nearest": ("format_examples", "label_examples"),
    "rag": ("reading_5",), "few_shot_rag": ("reading_5", "format_examples"),
}
"""Probes of what a frozen arm asks of its base model; one passed is enough. Trained arms can learn what they need."""
PASSED = 0.3
"""A probe is failed where the upper end of its interval lies below."""


@dataclass(frozen=True)
class Settings:
    """What the user decides by."""

    margin: float = 0.05
    """Accuracy (share of 1) that a cheaper arm may lose."""
    monthly_requests: int = 10_000
    price_per_hour_usd: float = 1.0
    """Of the machine that trains and serves; an example to be replaced by the user's own."""
    months: int = 12
    """How long the system will run: the fixed cost is spread over them."""
    latency_limit_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("margin", "monthly_requests", "price_per_hour_usd", "months"):
            value = getattr(self, name)
            if not value >= 0 or (name in ("margin", "months") and value == 0):
                raise LabError(f"--{name.replace('_', '-')} {value}: a positive number is needed")
        if self.margin >= 1:
            raise LabError(f"--margin {self.margin:g}: a share of 1 is needed; 0.05 means 5 points")
        if self.latency_limit_seconds is not None and not self.latency_limit_seconds > 0:
            raise LabError(f"--latency-limit {self.latency_limit_seconds}: seconds above 0 are needed")


@dataclass(frozen=True)
class ArmResult:
    """What the decision knows of one arm."""

    name: str
    label: str
    accuracy: float
    low: float
    high: float
    seeds: int
    fixed_seconds: float
    """Training, all validation trials included."""
    seconds_per_request: float
    prompt_tokens: float
    completion_tokens: float
    monthly_usd: float
    parts: dict[str, float]
    recall: dict[str, float]
    outcomes: dict[str, int]
    elsewhere_seconds: float = 0.0
    """Of its search on another machine: told, but in no sum."""
    excluded: str = ""
    """Why it can't be chosen; empty where it can."""


@dataclass(frozen=True)
class Pair:
    """Two arms compared on the same items."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_holm: float
    """Holm over all pairs of this decision."""

    @property
    def words(self) -> str:
        """The result in plain English."""
        if self.p_holm < ALPHA:
            better, worse = (self.first, self.second) if self.difference > 0 else (self.second, self.first)
            return f"{better} is better than {worse}"
        return f"no difference shown between {self.first} and {self.second}"


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
    pairs: list[Pair] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def decide(study: Study, settings: Settings | None = None, size: int | None = None) -> Decision:
    """The decision at one data size (the largest by default)."""
    settings = settings or Settings()
    arms = arms_at(study, size)
    if not arms:
        raise LabError("the study has no finished cell; run lab decide")
    comparable = len({c.machine for a in arms for c in a.cells if c.machine}) <= 1
    results = {a.label: _result(study, a, settings) for a in arms}
    best = max(arms, key=lambda a: a.accuracy)
    results = {a.label: _exclude(study, a, best, results[a.label], settings) for a in arms}
    eligible = [a for a in arms if not results[a.label].excluded]
    pairs = _pairs(arms)
    finished = "finished" in study.made
    provisional = not finished or any(len(a.cells) < 2 for a in arms if a.cells[0].size is not None and not a.cells[0].control)
    if not eligible:
        reasons = [f"{r.label}: {r.excluded}" for r in results.values()]
        return Decision("", provisional, "No arm lies within the limits.", reasons, ["other limits"], None, settings, list(results.values()), pairs)
    ordered = sorted(eligible, key=lambda a: _cost_order(results[a.label], comparable))
    alpha = ALPHA / max(1, len(eligible) - 1)
    chosen = next((a for a in ordered if all(a.against(b).lower_bound(alpha) > -settings.margin for b in eligible if b is not a)), None)
    arm_results = sorted(results.values(), key=lambda r: -r.accuracy)
    if not finished:
        missing = [n for n in study.plan.get("methods", []) if n not in {a.name for a in arms}]
        left = f"{study.plan.get('cells', 0)} cells were planned, {sum(not c.control for c in study.cells)} are measured" + (f"; {', '.join(missing)} not at all" if missing else "")
        return Decision("", True, f"The run is not finished: {left}.", ["Run the same lab decide command again: it goes on where it stopped."], [], None, settings, arm_results, pairs)
    if chosen is None:
        return _undecided(study, eligible, results, arm_results, pairs, settings, alpha, provisional)
    reasons = _reasons(chosen, ordered, results, settings, alpha, comparable)
    top = results[chosen.label]
    sentence = f"Take {chosen.label}: right on {_percent(top.accuracy)} of the test items ({_percent(top.low)} to {_percent(top.high)})"
    cheaper = [a for a in ordered[:ordered.index(chosen)]]
    if len(eligible) == 1:
        sentence += ", the only arm within the limits."
    elif cheaper:
        sentence += f"; nothing cheaper is shown to come within {_points(settings.margin)} of the best."
    else:
        sentence += f", the cheapest arm, and no other is better by more than {_points(settings.margin)}."
    if max(r.high for r in arm_results) < POOR:
        sentence += f" But none does the task well: the best is right on {_percent(arm_results[0].accuracy)}."
    return Decision(chosen.label, provisional, sentence, reasons, _would_change(chosen, eligible, results, settings, comparable), None, settings, arm_results, pairs)


def _undecided(study: Study, eligible: list[Arm], results: dict[str, ArmResult], arm_results: list[ArmResult], pairs: list[Pair], settings: Settings,
               alpha: float, provisional: bool) -> Decision:
    """No arm is shown to be good enough: which come closest, and how many items would settle it."""
    def needed(arm: Arm) -> int | None:
        counts = [items_to_settle(arm.against(b), settings.margin, alpha) for b in eligible if b is not arm and arm.against(b).lower_bound(alpha) <= -settings.margin]
        return None if any(c is None for c in counts) else max(counts)

    found = [(n, a) for a in eligible if (n := needed(a)) is not None]
    best = max(eligible, key=lambda a: a.accuracy)
    close = [b for b in eligible if b is not best and best.against(b).lower_bound(alpha) <= -settings.margin]
    reasons = [_difference_in_words(best, b, best.against(b)) + f"; a loss of more than {_points(settings.margin)} can't be ruled out" for b in close]
    items = min(found, key=lambda f: f[0])[0] if found else None
    more = f"about {items:,} test items (there are {len(study.items):,}) would settle it if the differences stay as they are" if items else "no number of items would settle it if the differences stay as they are"
    change = [more[0].upper() + more[1:] + "."]
    if any(a.against(b).seed_variance > 0 for a, b in combinations(eligible, 2)):
        change.append("More seeds would narrow the intervals as well: the training sample makes a difference.")
    change.append(f"A margin above {_points(settings.margin)} would accept more arms.")
    labels = " and ".join(a.label for a in [best, *close])
    return Decision("", provisional, f"Undecided between {labels}: {more}.", reasons, change, items, settings, arm_results, pairs)


def _result(study: Study, arm: Arm, settings: Settings) -> ArmResult:
    fixed, elsewhere = _fixed_seconds(study, arm)
    seconds = arm.usage("seconds") + arm.usage("context_seconds")
    monthly = settings.price_per_hour_usd / 3600 * (fixed / settings.months + seconds * settings.monthly_requests)
    parts = {name: value for name in arm.cells[0].parts if (value := arm.part(name)) is not None}
    return ArmResult(arm.name, arm.label, arm.accuracy, *arm.interval, len(arm.cells), fixed, seconds, arm.usage("prompt_tokens"), arm.usage("completion_tokens"),
                     monthly, parts, arm.recall(), arm.outcomes(), elsewhere)


def _fixed_seconds(study: Study, arm: Arm) -> tuple[float, float]:
    """Seconds to make one such arm, and seconds of its search that another machine took (never added to the first).

    All trials of the search at this size, every study stage that they went on from, and a training of the arm's own
    where none of the trials was it.
    """
    size, own = arm.cells[0].size, arm.cells[0]
    made = [c for c in study.choices if c["method"] == arm.name]
    trials = [t for c in [c for c in made if c["size"] == size] or made[:1] for t in c["trials"]]
    here = [t for t in trials if t["machine"] == own.machine]
    stages = {t["study"]: t["study_seconds"] for t in here} | {own.study: own.usage.get("study_seconds", 0.0)}
    training = 0.0 if own.adaptation in {t["adaptation"] for t in here} else own.usage.get("training_seconds", 0.0)
    return sum(t["seconds"] for t in here) + sum(stages.values()) + training, sum(t["seconds"] + t["study_seconds"] for t in trials if t not in here)


def _exclude(study: Study, arm: Arm, best: Arm, result: ArmResult, settings: Settings) -> ArmResult:
    """Mark an arm that the limits or the base model rule out."""
    reason = ""
    latency = arm.usage("latency_seconds") or result.seconds_per_request
    if settings.latency_limit_seconds is not None and latency > settings.latency_limit_seconds:
        reason = f"takes {latency:.2f} s for one request alone, the limit is {settings.latency_limit_seconds:g} s"
    probes = [study.probes[n] for n in NEEDS.get(arm.name, ()) if n in study.probes]
    if probes and all(p["high"] < PASSED for p in probes) and arm is not best and best.against(arm).low > 0:
        names = ", ".join(f"{n} {_percent(study.probes[n]['accuracy'])}" for n in NEEDS[arm.name] if n in study.probes)
        reason = f"not evaluable on this base model, which can't do what the arm needs ({names})"
    return ArmResult(**(asdict(result) | {"excluded": reason}))


def _cost_order(result: ArmResult, comparable: bool) -> tuple[float, float]:
    """Dollars a month; where seconds come from several machines they can't be compared, and tokens a request stand in."""
    tokens = result.prompt_tokens + result.completion_tokens
    return (result.monthly_usd, tokens) if comparable else (tokens, 0.0)


def _pairs(arms: list[Arm]) -> list[Pair]:
    compared: list[tuple[Arm, Arm, Comparison]] = [(a, b, a.against(b)) for a, b in combinations(sorted(arms, key=lambda a: -a.accuracy), 2)]
    adjusted = holm([c.p for _, _, c in compared])
    return [Pair(a.label, b.label, c.difference, c.low, c.high, p) for (a, b, c), p in zip(compared, adjusted)]


def _reasons(chosen: Arm, ordered: list[Arm], results: dict[str, ArmResult], settings: Settings, alpha: float, comparable: bool) -> list[str]:
    reasons = []
    for other in ordered:
        if other is chosen:
            continue
        difference = _difference_in_words(chosen, other, chosen.against(other))
        place = "cheaper" if ordered.index(other) < ordered.index(chosen) else "dearer"
        if place == "cheaper":
            blockers = [b for b in ordered if b is not other and other.against(b).lower_bound(alpha) <= -settings.margin]
            worst = max(blockers, key=lambda b: b.accuracy)
            difference += f"; it is cheaper, but may be more than {_points(settings.margin)} worse than {worst.label}"
        else:
            difference += "; it costs more"
        reasons.append(difference + ".")
    reasons += [f"{r.label}: {r.excluded}." for r in results.values() if r.excluded]
    elsewhere = [f"{r.label} {r.elsewhere_seconds:.0f} s" for r in results.values() if r.elsewhere_seconds > 0]
    if elsewhere:
        reasons.append(f"Searched on another machine, and so not in the fixed cost: {', '.join(elsewhere)}.")
    if not comparable:
        reasons.append("Seconds come from several machines and are not compared; tokens a request stand in for cost.")
    return reasons


def _would_change(chosen: Arm, eligible: list[Arm], results: dict[str, ArmResult], settings: Settings, comparable: bool) -> list[str]:
    """Volumes at which an arm of no lower quality becomes the cheaper one."""
    if not comparable:
        return []
    mine, changes = results[chosen.label], []
    for other in eligible:
        theirs = results[other.label]
        if other is chosen or any(other.against(b).lower_bound(ALPHA / max(1, len(eligible) - 1)) <= -settings.margin for b in eligible if b is not other):
            continue
        volume = break_even(mine.fixed_seconds / settings.months, mine.seconds_per_request, theirs.fixed_seconds / settings.months, theirs.seconds_per_request)
        if volume is not None:
            changes.append(f"{'Above' if theirs.seconds_per_request < mine.seconds_per_request else 'Below'} {volume:,.0f} requests a month {other.label} becomes the cheaper one.")
    return changes


def break_even(fixed_first: float, each_first: float, fixed_second: float, each_second: float) -> float | None:
    """Requests at which two cost lines cross; None where they never do for a positive number."""
    if each_first == each_second:
        return None
    volume = (fixed_second - fixed_first) / (each_first - each_second)
    return volume if volume > 0 else None


def _difference_in_words(first: Arm, second: Arm, c: Comparison) -> str:
    word = "better" if c.difference >= 0 else "worse"
    return f"{first.label} is {_points(abs(c.difference))} {word} than {second.label} (95 % interval {100 * c.low:+.1f} to {100 * c.high:+.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
