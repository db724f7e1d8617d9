"""Form and knowledge told apart: arms whose completions hold the right content and are not counted as right.

``fails_by_form(arm)``: 61 % of the completions of retrieval hold the answer, in sentences, and none equals it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.measure.shown import ArmEvidence
from lab.measure.words import percent

USELESS = 0.1
"""Where an arm's interval does not reach this accuracy, it is not to be taken."""
FORM = 0.1
"""Content beyond right answers (share of 1) from which it is the form that fails."""
CURES = (
    "ask for the form in the instruction, show it in examples, or constrain decoding to what the task allows "
    "(--decoding constrained)"
)


def of_use(arm: ArmEvidence) -> bool:
    """Whether an arm is right at all, and often enough to be taken."""
    return arm.accuracy > 0 and arm.high >= USELESS


def fails_by_form(arm: ArmEvidence) -> bool:
    """Whether an arm has the content and not the form: its completions hold clearly more than is counted as right."""
    return arm.content is not None and arm.content >= USELESS and arm.content - arm.accuracy >= FORM


def held_back_by_form(arm: ArmEvidence) -> str:
    """An arm that knows more than is counted as right."""
    held = f"{percent(arm.content)} of the completions of {arm.label} hold the right content, and"
    return f"{held} {percent(arm.accuracy)} are counted as right. A cheaper cure may be to {CURES}."


def form_alone(chosen: ArmEvidence, arms: Sequence[ArmEvidence], margin: float) -> list[str]:
    """Whether the verdict rests on form: another arm has the content as well, or more of it, and only not the form."""
    rivals = [
        a
        for a in arms
        if a is not chosen
        and fails_by_form(a)
        and chosen.content is not None
        and a.content >= chosen.content - margin
        and a.accuracy < chosen.accuracy - margin
    ]
    if not rivals:
        known = chosen.content or 0.0
        return [held_back_by_form(a) for a in arms if fails_by_form(a) and a.content > known + margin]
    rival = max(rivals, key=lambda a: a.content)
    return [
        f"It wins by form, not by knowledge: {percent(rival.content)} of the completions of {rival.label} hold the "
        f"right content, {percent(chosen.content)} of those of {chosen.label}. A cheaper cure may be to {CURES}."
    ]
