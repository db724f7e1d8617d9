"""What an arm did without: what was too long for the window, and examples that have no rejected answer.

``words(arm)`` says it in one sentence; an item that was not asked counts as not right, and costs nothing.
"""

from __future__ import annotations

from lab.measure.arms import Arm
from lab.study import LETTERS


def words(arm: Arm) -> str:
    """Means a draw of the training sample; empty where everything fitted."""
    asked, draws = len(arm.asked), len(arm.cells)
    cut = [
        f"{arm.usage(name):,.0f} {what}"
        for name, what in (("cut_passages", "passages"), ("cut_examples", "examples"))
        if arm.usage(name) >= 0.5
    ]
    told = [f"{' and '.join(cut)} were cut from the prompts of {asked:,} items"] if cut else []
    # A training that failed makes errors of all its items, and says so itself.
    errors = sum(c.outcomes.count(LETTERS["error"]) for c in arm.cells if not c.failed) / draws
    told += [f"{errors:,.0f} of {asked:,} items were not asked and count as not right"] if errors >= 0.5 else []
    untaught = arm.usage("training_left_out")
    told += [f"{untaught:,.0f} examples were not trained on"] if untaught >= 0.5 else []
    said = f"Too long for the model's window, {arm.label}: {'; '.join(told)}." if told else ""
    unrejected = arm.usage("training_unrejected")
    if unrejected >= 0.5:
        said += (
            f" {arm.label} had no rejected answer to {unrejected:,.0f} examples, and its preferences leave them out."
        )
    return said.strip()
