"""A decision as a notebook shows it: the verdict in one sentence, and the arms beside the one that is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import marimo as mo

from lab.decision import Decision
from lab.measure.winning import Gains, in_words
from lab.report.rendering import template


def verdict_box(decision: Decision, notes: Sequence[str] = ()) -> mo.Html:
    """The sentence, coloured by whether an arm does the task, with one line on what would change it; ``notes`` in
    small letters below."""
    return mo.Html(template("lab.live", "verdict.html").render(decision=decision, notes=notes))


def standing_table(
    decision: Decision, gains: Sequence[Gains] = (), words: Mapping[str, str] = MappingProxyType({})
) -> mo.Html:
    """One row an arm: difference with interval, cost, content where the form fails, why it is not taken; then what
    stands behind the verdict beside the rows. ``words``: what each arm is, for who asks."""
    shown = {
        "decision": decision,
        "rows": list(zip(decision.arms, decision.standings)),
        "contents": decision.tells_content,
        "words": words,
        "won": in_words(gains, decision.chosen or decision.leader),
    }
    return mo.Html(template("lab.live", "standings.html").render(shown))
