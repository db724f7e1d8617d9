"""How each arm stands beside the one that is taken, one row an arm: difference, cost, and why it is not taken, in at
most six words.

``standings(...)`` gives the rows in the order of accuracy; the report's page makes the same (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.measure.bounds import Bounds
from lab.measure.form import fails_by_form, of_use
from lab.measure.settings import Settings
from lab.measure.shown import ArmEvidence

WHY = {
    "taken": "taken",
    "leads": "leads, with one seed",
    "ahead": "ahead, but not by enough",
    "best": "right most often, too seldom",
    "alike": "costs the same, right less often",
    "cheap_worse": "{cheaper}, clearly worse",
    "cheap_maybe": "{cheaper}, may be worse",
    "dear_worse": "{dearer}, clearly worse",
    "dear_better": "{dearer}, better within the margin",
    "dear": "{dearer}, not shown better",
    "behind": "behind, with one seed",
    "open": "not told apart from the best",
    "worse": "clearly worse than the best",
    "no_better": "not better than the best",
    "seldom": "right too seldom to be used",
    "form": "content right, form wrong",
    "latency": "slower than the limit",
    "forgets": "may forget beyond the limit",
    "unknown": "what it forgets isn't measured",
    "unfit": "base model can't do it",
    "dropped": "left the race, clearly worse",
}
"""Why an arm is not taken, by a code; the page gets them as data."""


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
    """Why it can't be chosen, in a sentence; empty where it can."""


@dataclass(frozen=True)
class Standing:
    """An arm beside the one of reference: the arm that is taken, else the leader, else the best within the limits."""

    label: str
    difference: float | None
    """This arm minus the reference, share of 1, paired by item; None for the reference itself."""
    low: float | None
    high: float | None
    usd: float | None
    """Dollars a month more than the reference; None for itself, and where seconds can't be compared."""
    content: float | None
    """Share of completions that hold the right content, where that is clearly more than is counted as right."""
    why: str
    """Why it is not taken, in at most six words."""


def standings(
    arms: Sequence[ArmResult],
    reference: ArmResult,
    role: str,
    bounds: Bounds,
    ordered: Sequence[ArmResult],
    useful: Sequence[ArmResult],
    in_seconds: bool,
    settings: Settings,
) -> list[Standing]:
    """A row an arm; ``role`` is the reference's code in WHY, ``ordered`` the arms within the limits by cost, ``useful``
    those that are shown to be no worse than every other."""
    cheaper, dearer = ("cheaper", "dearer") if in_seconds else ("fewer tokens", "more tokens")
    rows = []
    for arm in arms:
        itself = arm is reference
        difference, low, high = (None, None, None) if itself else bounds.against(arm, reference)
        code = _why(arm, reference, role, bounds, ordered, useful, settings)
        rows.append(
            Standing(
                arm.label,
                difference,
                low,
                high,
                None if itself or not in_seconds else arm.monthly_usd - reference.monthly_usd,
                arm.content if fails_by_form(arm) else None,
                WHY[code].format(cheaper=cheaper, dearer=dearer),
            )
        )
    return rows


def _why(
    arm: ArmResult,
    reference: ArmResult,
    role: str,
    bounds: Bounds,
    ordered: Sequence[ArmResult],
    useful: Sequence[ArmResult],
    settings: Settings,
) -> str:
    """The code of why an arm is not taken."""
    if arm.excluded:
        return _limit(arm, settings)
    if arm is reference:
        return role
    difference, _, high = bounds.against(arm, reference)
    clearly = high < -settings.margin
    known = reference.accuracy if reference.content is None else reference.content
    if fails_by_form(arm) and arm.content >= known - settings.margin:
        return "form"
    if role in ("best", "form"):
        return "seldom"
    if role == "ahead":
        return "open" if not bounds.no_worse(reference, arm) else "worse" if clearly else "no_better"
    if bounds.is_one_seed(arm, reference) and difference < 0:
        return "behind"
    if arm in useful and reference in useful and ordered.index(arm) < ordered.index(reference):
        return "alike"
    if ordered.index(arm) < ordered.index(reference):
        return "cheap_worse" if clearly else "cheap_maybe" if of_use(arm) else "seldom"
    return "dear_worse" if clearly else "dear_better" if difference > 0 else "dear"


def _limit(arm: ArmResult, settings: Settings) -> str:
    """Which limit keeps an arm out."""
    if arm.unfit or arm.dropped:
        return "unfit" if arm.unfit else "dropped"
    if settings.latency_limit_seconds is not None and arm.latency_seconds > settings.latency_limit_seconds:
        return "latency"
    return "unknown" if arm.forgetting is None else "forgets"
