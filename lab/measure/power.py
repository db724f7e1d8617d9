"""What a test set of this size can and can't show."""

from __future__ import annotations

from lab.measure.statistics import detectable_difference
from lab.tasks.check import Finding
from lab.tasks.task import Task


def power_findings(task: Task) -> list[Finding]:
    """The smallest difference that the test items can detect, with a warning where they are few."""
    difference = detectable_difference(len(task.test), len({s.group or s.id for s in task.test}))
    points = f"{100 * difference:.0f} points"
    shown = f"a difference of about {points} can" if difference < 1 else "no difference, however large, can"
    findings = [
        Finding(
            "note",
            "power",
            f"with {len(task.test)} test items {shown} be detected (80 % power, answers differing on a quarter of the "
            "items)",
        )
    ]
    if len(task.test) < 50:
        findings.append(
            Finding(
                "warning",
                "small_test",
                f"only {len(task.test)} test items: differences below {points} will stay undecided",
            )
        )
    return findings
