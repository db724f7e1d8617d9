"""`lab decide` as a race and as a whole grid, one after the other on each bundled task, all measured anew; writes
race_beside_grid.md beside this file.

    python reports/benchmarks/race_beside_grid.py

Each run has a store of its own, and a data size that no committed study holds, so that searches and trainings are made
in both. About half an hour on two idle cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab.models.device import machine
from lab.study import Study

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIZE, SEEDS = "150", "3"
METHODS = {
    "triage": "zero_shot,few_shot,few_shot_nearest,lora",
    "handbook": "zero_shot,few_shot,rag,few_shot_rag,lora",
    "reply": "zero_shot,few_shot,rag,few_shot_rag,lora",
}
WAYS = ("--full-grid", "--race")


def command(task: str, way: str) -> list[str]:
    """What a user would type, but for the folder of the report."""
    methods = ["--methods", METHODS[task], "--sizes", SIZE, "--seeds", SEEDS]
    return ["decide", f"datasets/{task}", *methods, "--no-forgetting", way]


def decided(task: str, way: str) -> tuple[Study, dict, float]:
    """(study, decision, seconds of the whole command, loading included)."""
    with tempfile.TemporaryDirectory() as home:
        out, started = Path(home) / "report", time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "lab", *command(task, way), "--out", str(out)],
            cwd=ROOT,
            env=os.environ | {"LAB_HOME": home, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.perf_counter() - started
        return Study.load(out / "study.json"), json.loads((out / "decision.json").read_text()), seconds


def row(task: str, way: str) -> tuple[str, float, int]:
    """A line of the table, with its seconds and completions."""
    study, decision, seconds = decided(task, way)
    arms = [c for c in study.cells if c.control == ""]
    completions = sum(c.asked for c in study.cells if c.control != "baseline")
    trained = len({c.adaptation for c in arms if c.adaptation} | _tried(study))
    gone = ", ".join(study.plan.get("race", {}).get("dropped", {}))
    said = decision["chosen"] or decision["sentence"].split(":")[0]
    line = f"| {task} | `{way}` | {said} | {seconds:.0f} | {completions:,} | {trained} | {gone} |"
    print(line, flush=True)
    return line, seconds, completions


def _tried(study: Study) -> set[str]:
    """Trainings of searches, those that left halfway by their settings."""
    trials = [t for c in study.choices for t in c.trials if t.settings["weights"]["name"] != "frozen"]
    return {t.adaptation or json.dumps(t.settings) for t in trials}


def main() -> None:
    """All tasks, both ways."""
    here = machine("cpu")
    lines, shares = [], []
    for task in METHODS:
        (grid, whole, all_of_it), (race, seconds, some) = (row(task, way) for way in WAYS)
        lines += [grid, race]
        shares.append(f"- {task}: {seconds / whole:.2f} of the seconds, {some / all_of_it:.2f} of the completions.")
    text = [
        "# The race beside the grid, three `lab decide` each way",
        "",
        f"`python reports/benchmarks/race_beside_grid.py` on {here.name}, `nano`, {SIZE} labelled examples, up to "
        f"{SEEDS} draws; seconds of the whole command, searches and trainings included.",
        "",
        "| task | | verdict | seconds | completions | trainings begun | left the race |",
        "|---|---|---|---|---|---|---|",
        *lines,
        "",
        "The race takes:",
        "",
        *shares,
        "",
    ]
    (HERE / "race_beside_grid.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
