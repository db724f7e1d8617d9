"""What the lab's claims are worth, in simulated worlds whose truth is known; writes claims.md beside this file.

    python -m reports.benchmarks.claims --worlds 300

An arm is right on an item under a draw where a sum of normal parts is above its mark: what the item is to all arms, to
this arm, what the draw does, and the rest (tests/measure/worlds.py). Every table goes through `lab.decision`, race and
grid alike (tests/measure/judging.py). About seven seconds a world on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from lab.measure.statistics import wilson
from tests.measure.judging import Verdicts, cheap_ones_beyond_the_margin, coverage, false_claims, grids, races

HERE = Path(__file__).parent
KINDS = {
    "far": "most far behind, some within 12 points",
    "clear": "the best leads by 10 points or more",
    "close": "all within 12 points",
    "boundary": "five cheap ones, 5.5 points worse",
}
WAYS = {"independent": (0.0, 1), "groups of five items": (0.0, 5), "draws that move all arms alike by half": (0.5, 1)}


def rng_for(*place: int) -> np.random.Generator:
    """A generator of its own for each place of a table."""
    return np.random.default_rng(list(place))


def equal_arms(worlds: int) -> Iterator[str]:
    """Share of studies of equal arms that hold a claim."""
    yield "| arms | draws | a draw moves an arm by | " + " | ".join(WAYS) + " |"
    yield "|---|---|---|" + "---|" * len(WAYS)
    for arms, seeds, points in product((2, 4, 8), (2, 3, 5), (0, 3, 6)):
        found = [
            false_claims(rng_for(1, arms, seeds, points), worlds, arms, seeds, points / 100, cluster=c, shared=s)
            for s, c in WAYS.values()
        ]
        yield f"| {arms} | {seeds} | {points} points | " + " | ".join(f"{f:.1%}" for f in found) + " |"


def single_arms(worlds: int) -> Iterator[str]:
    """Share of 95 % intervals that hold the truth."""
    accuracies = (0.03, 0.05, 0.5, 0.8, 0.95)
    yield "| arms in the study | draws | a draw moves an arm by | " + " | ".join(f"{a:.0%}" for a in accuracies) + " |"
    yield "|---|---|---|" + "---|" * len(accuracies)
    for arms, seeds, points in product((1, 4), (2, 3, 5), (0, 3, 6)):
        found = [
            coverage(rng_for(2, arms, seeds, points), worlds, arms, seeds, a, points / 100, items=600)
            for a in accuracies
        ]
        yield f"| {arms} | {seeds} | {points} points | " + " | ".join(f"{f:.1%}" for f in found) + " |"


def cheap_arms(worlds: int) -> Iterator[str]:
    """Verdicts where every other arm is cheaper, and worse by 5.5 points."""
    corners = {"50 %, 100 items": (100, 0.5), "80 %, 300 items": (300, 0.8), "95 %, 600 items": (600, 0.95)}
    yield "| arms | draws | a draw moves an arm by | " + " | ".join(f"{c}: wrong, decided" for c in corners) + " |"
    yield "|---|---|---|" + "---|" * len(corners)
    for arms, seeds, points in product((2, 5), (2, 3, 5), (0, 2, 5, 10)):
        rng = rng_for(3, arms, seeds, points)
        found = [
            cheap_ones_beyond_the_margin(rng, worlds, arms, seeds, points / 100, items, best)
            for items, best in corners.values()
        ]
        shown = " | ".join(f"{v.share('wrong'):.1%}, {v.share('decided'):.0%}" for v in found)
        yield f"| {arms} | {seeds} | {points} points | {shown} |"


def races_beside_grids(worlds: int) -> Iterator[str]:
    """The same worlds, raced and measured whole."""
    yield "| worlds of six arms | items and draws | | decided | wrong | points lost a world | completions |"
    yield "|---|---|---|---|---|---|---|"
    total = {"race": Verdicts(), "grid": Verdicts()}
    for place, (kind, (way, (shared, cluster))) in enumerate(product(KINDS, WAYS.items())):
        for name, played in (("race", races), ("grid", grids)):
            found = played(rng_for(4, place), worlds, kind, shared, cluster)
            for field in vars(found):
                setattr(total[name], field, getattr(total[name], field) + getattr(found, field))
            yield f"| {KINDS[kind]} | {way} | {name} | {_verdicts(found)} |"
    for name, found in total.items():
        low, high = wilson(found.wrong, found.worlds)
        yield f"| all | | {name} | {_verdicts(found)} (wrong {low:.1%} to {high:.1%}) |"


def _verdicts(found: Verdicts) -> str:
    return (
        f"{found.share('decided'):.0%} | {found.share('wrong'):.1%} | {100 * found.share('lost'):.2f} | "
        f"{found.share('completions'):.2f}"
    )


SECTIONS = {
    "Equal arms: studies with a claim that one is better (at most 5 % wanted)": equal_arms,
    "Single arms: intervals that hold the truth, by the true accuracy (95 % meant, 92 % wanted)": single_arms,
    "Cheaper arms that are 5.5 points worse: taken, and decided at all (wrong in at most 5 % wanted)": cheap_arms,
    "The race beside the grid (three draws, 600 items; its completions are 1)": races_beside_grids,
}


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", type=int, default=300, help="of each corner")
    parser.add_argument("--out", type=Path, default=HERE / "claims.md")
    given = parser.parse_args()
    error = 100 * (0.05 * 0.95 / given.worlds) ** 0.5
    lines = [
        "# What claims are worth, in worlds whose truth is known",
        "",
        f"`python -m reports.benchmarks.claims --worlds {given.worlds}`: so many worlds in each place of a table, each "
        f"place with random numbers of its own. A share of 5 % has a Monte Carlo error of {error:.1f} points.",
        "",
    ]
    for title, table in SECTIONS.items():
        lines += [f"## {title}", ""]
        for line in table(given.worlds):
            lines.append(line)
            print(line, flush=True)
        lines.append("")
    given.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
