"""Why did it win? What each arm gains or loses by form, by knowledge, by retrieval and by training.

``gains(study)`` gives one Gains an arm at the largest data size, ``in_words(gains, label)`` the sentences about the one
that is taken::

    rag_lora r16 is right on 60.1 points more than few_shot_rag, the best arm on the untrained model: 20.3 points by
    content, 39.8 by form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.measure.words import percent, points

if TYPE_CHECKING:
    from lab.measure.arms import Arm
    from lab.study import Study

TURNS, BLOCK = "turns", "block"
"""Layouts of a prompt: chat turns, or all of it in one message."""
SMALL = 0.01
"""Gains below a point are not spoken of."""


@dataclass(frozen=True)
class Gains:
    """What stands behind one arm's accuracy; shares of 1, None where it was not measured."""

    label: str
    accuracy: float
    content: float | None
    """Share of completions with the whole right content."""
    unreadable: float
    """Share of items that ended malformed or truncated: the most that constrained decoding can give."""
    turns: float | None
    """Chat turns against one block, both at their best on validation."""
    retrieval: float | None
    """Gold passages against retrieved ones: what the retriever loses."""
    passages: float | None
    """Retrieved passages against random ones: what reading gives."""
    training: float | None
    """Against the best arm on the untrained model that reads the same."""
    untrained: str = ""
    """That arm's label."""
    training_low: float = 0.0
    training_high: float = 0.0
    by_content: float | None = None
    """The part of ``training`` that is content; the rest is form."""

    @property
    def form(self) -> float | None:
        """Right content that is not counted as right."""
        return None if self.content is None else max(0.0, self.content - self.accuracy)


def gains(study: Study) -> list[Gains]:
    """One an arm that uses a model, at the largest data size, in the order of accuracy."""
    # The sentences below are told where there is no numpy as well: a page in the browser.
    from lab.measure.arms import arms_at

    arms = [a for a in arms_at(study) if a.model or not a.cells[0].control]
    frozen = [a for a in arms if not a.cells[0].adaptation and not a.cells[0].control]
    return sorted((_gains(study, a, frozen) for a in arms if not a.cells[0].control), key=lambda g: -g.accuracy)


def _gains(study: Study, arm: Arm, frozen: Sequence[Arm]) -> Gains:
    from lab.measure.arms import arm_of

    own = arm.cells[0]
    controls = {name: arm_of(study, arm.name, own.size, arm.rank, name) for name in ("oracle", "random")}
    gold, random = controls["oracle"], controls["random"]
    counts = arm.outcomes()
    twins = [a for a in frozen if own.adaptation and a.cells[0].needs_documents == own.needs_documents]
    twin = max(twins, key=lambda a: a.accuracy, default=None)
    against = arm.against(twin) if twin else None
    content, before = arm.share_whole("content"), twin.share_whole("content") if twin else None
    return Gains(
        arm.label,
        arm.accuracy,
        content,
        (counts.get("m", 0) + counts.get("t", 0)) / sum(counts.values()),
        _turns(study, arm),
        gold.accuracy - arm.accuracy if gold else None,
        arm.accuracy - random.accuracy if random else None,
        against.difference if against else None,
        twin.label if twin else "",
        against.low if against else 0.0,
        against.high if against else 0.0,
        _by_content(arm, content, twin, before) if twin else None,
    )


def _by_content(arm: Arm, content: float | None, twin: Arm, before: float | None) -> float | None:
    """How much more content; None where content was not scored apart from what counts as right."""
    if content is None or before is None:
        return None
    apart = max(abs(content - arm.accuracy), abs(before - twin.accuracy))
    return content - before if apart >= SMALL else None


def _turns(study: Study, arm: Arm) -> float | None:
    """Best validation accuracy with chat turns less that in one block; None where not both were tried."""
    best: dict[str, float] = {}
    for choice in study.choices_of(arm.name):
        if choice.size != arm.cells[0].size:
            continue
        for trial in choice.trials:
            layout = trial.settings["context"].get("layout", TURNS)
            if not trial.failed:
                best[layout] = max(best.get(layout, 0.0), trial.accuracy)
    return best[TURNS] - best[BLOCK] if {TURNS, BLOCK} <= best.keys() else None


def in_words(found: Sequence[Gains], label: str) -> list[str]:
    """Why the arm of this label is where it is: sentences, the weightiest first; empty for an arm without a model."""
    arm = next((g for g in found if g.label == label), None)
    if arm is None:
        return []
    told = [text for text in (_training(arm), _passages(arm), _form(arm)) if text]
    if arm.turns is not None and abs(arm.turns) >= SMALL:
        better, other = ("chat turns", "one block") if arm.turns > 0 else ("one block", "chat turns")
        told.append(f"On validation {better} gave {points(abs(arm.turns))} more than {other}.")
    return told


def _training(arm: Gains) -> str:
    if arm.training is None:
        return ""
    more = "more" if arm.training >= 0 else "less"
    parts = ""
    if arm.by_content is not None and arm.training > SMALL:
        by_form = arm.training - arm.by_content
        parts = f": {points(arm.by_content)} by content, {points(by_form)} by form"
    return (
        f"Training: {arm.label} is right on {points(abs(arm.training))} {more} than {arm.untrained}, the best arm on "
        f"the untrained model that reads the same{parts}."
    )


def _passages(arm: Gains) -> str:
    if arm.passages is None:
        return ""
    lost = f"; gold ones would give {points(arm.retrieval)} more" if (arm.retrieval or 0.0) >= SMALL else ""
    return f"Knowledge: retrieved passages give {points(arm.passages)} more than random ones{lost}."


def _form(arm: Gains) -> str:
    told = []
    if arm.form is not None and arm.form >= SMALL:
        told.append(f"{percent(arm.content)} of its completions hold the right content, {percent(arm.accuracy)} count")
    if arm.unreadable >= SMALL:
        told.append(f"constrained decoding could give at most {points(arm.unreadable)}")
    return f"Form: {'; '.join(told)}." if told else ""
