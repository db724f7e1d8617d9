"""Committed studies of three draws, raced again over random orders of their items.

    python reports/benchmarks/race.py --orders 100 --out reports/benchmarks/race.md

For each study: how often the race ends in the verdict of the whole grid, and its seconds and completions as a share of
the grid's (searches and trainings counted as they were measured; searches are the same for both). Draws beyond the
study's three are not made, so that the last look of the schedule has three as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lab.decision import Settings, decide
from lab.flow.race import Replay, replay
from lab.measure.arms import arms_at
from lab.study import Study

REPORTS = Path(__file__).parents[1]


def order_of(study: Study, rng: np.random.Generator) -> list[int]:
    """Places of the items in a random order, groups in one piece."""
    by_group: dict[str, list[int]] = {}
    for place, group in enumerate(study.groups):
        by_group.setdefault(group, []).append(place)
    groups = list(by_group.values())
    return [place for n in rng.permutation(len(groups)) for place in groups[n]]


def seconds_of(study: Study, asked: dict[tuple[str, int], int]) -> tuple[float, float]:
    """(seconds of trainings and completions, seconds of searches) of what was asked."""
    spent, searches = 0.0, 0.0
    for arm in arms_at(study):
        for cell in arm.cells:
            count = asked.get((arm.name, cell.seed), 0)
            if count:
                # The first draw is trained by the search.
                training = cell.usage.get("training_seconds", 0.0) if cell.seed else 0.0
                spent += training + count * cell.usage.get("seconds", 0.0)
        size = arm.cells[0].size
        made = [c for c in study.choices_of(arm.name) if c.size == size] or study.choices_of(arm.name)
        searches += sum(t.seconds + t.stage_seconds for c in made[:1] for t in c.trials)
    return spent, searches


def outcome(decision) -> str:
    """What a verdict comes to."""
    return decision.chosen or ("undecided" if decision.sentence.startswith("Undecided") else "none")


def row_of(name: str, study: Study, orders: int) -> str:
    """A line of the table."""
    settings, rng = Settings(), np.random.default_rng(1)
    wanted = outcome(decide(study, settings))
    whole = {(a.name, c.seed): len(study.items) for a in arms_at(study) for c in a.cells}
    grid, searches = seconds_of(study, whole)
    found: list[Replay] = [replay(study, settings, order_of(study, rng), 3, len(study.items)) for _ in range(orders)]
    same = np.mean([outcome(f.decision) == wanted for f in found])
    spent = np.mean([seconds_of(study, f.asked)[0] for f in found])
    asked = np.mean([sum(f.asked.values()) for f in found]) / sum(whole.values())
    others = sorted({outcome(f.decision) for f in found} - {wanted})
    return (
        f"| {name} | {wanted} | {100 * same:.0f} % | {', '.join(others)} | {spent / grid:.2f} | "
        f"{(spent + searches) / (grid + searches):.2f} | {asked:.2f} |"
    )


def main() -> None:
    """Race every committed study of three draws."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = [
        f"# The race on committed studies, {given.orders} item orders each",
        "",
        f"`python reports/benchmarks/race.py --orders {given.orders} --out reports/benchmarks/race.md`",
        "",
        "| study | the grid's verdict | same | else | seconds without searches | with searches | completions |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(REPORTS.rglob("study.json")):
        study = Study.load(path)
        if max(len(a.cells) for a in arms_at(study)) < 3:
            continue
        lines.append(row_of(str(path.parent.relative_to(REPORTS)), study, given.orders))
        print(lines[-1], flush=True)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
