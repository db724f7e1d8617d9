"""Does the grid of learning rates that follows a model's size hold the best rate? Rates over two decades, on one model.

    lab get smollm2-135m minilm
    python reports/rates/run.py TASK[:METHOD] ... --size 100

trains the method (lora by default) with its recipe at each rate and asks up to 200 labelled items that no training saw;
writes rates.json and rates.md beside this file. What was measured is stored, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from lab.context.base import Tools
from lab.experiments.chosen import spare_items
from lab.flow.bench import Bench, RunSpec
from lab.flow.methods import method, offer_of
from lab.measure.statistics import wilson
from lab.models.device import machine
from lab.models.loading import load_model
from lab.schema import TrainingFailed
from lab.store import Store
from lab.tasks.task import load_task

HERE = Path(__file__).parent
BEYOND = (1 / 12, 1 / 4, 8.0)
"""Rates outside the grid, as multiples of the formula's."""


def points(bench: Bench, name: str, size: int) -> list[dict]:
    """Each rate with the share of spare items that it gets right."""
    arm, model_size = method(name, offer_of(bench.model, bench.task)), bench.model.size
    first = arm.candidates[0]
    offered = first.weights.rates_for(model_size)
    further = [float(f"{f * first.weights.rate_for(model_size):.2g}") for f in BEYOND]
    found = []
    for rate in sorted({*offered, *further}):
        spec = RunSpec(replace(first, weights=replace(first.weights, learning_rate=rate)), size, 0)
        spare = spare_items(bench, spec)
        point = {"rate": rate, "in_grid": rate in offered, "items": len(spare)}
        try:
            entry = bench.evaluate(spec, "spare", items=spare)
        except TrainingFailed as error:
            found.append(point | {"failed": str(error)})
            continue
        log = bench.log_of(bench.adapt(spec))
        right = bench.right_of(spare, entry)
        low, high = map(float, wilson(right, len(spare)))
        told = {"right": right / len(spare), "low": low, "high": high}
        told |= {"validation_nll": round(log["validation_nll"], 4), "steps": log["steps"], "seconds": log["seconds"]}
        found.append(point | told)
        print(bench.task.name, name, found[-1], flush=True)
    return found


def table(found: dict) -> list[str]:
    """One task and method as Markdown."""
    measured = [p for p in found["points"] if "right" in p]
    best = max((p["right"] for p in measured), default=0.0)
    best_of_grid = max((p["right"] for p in measured if p["in_grid"]), default=0.0)
    lines = [f"## {found['task']}, {found['method']}, {found['size']} labelled examples, {found['model']}", ""]
    lines += [
        f"`python reports/rates/run.py {found['folder']}:{found['method']} --size {found['size']} --model "
        f"{found['model']}` ({found['precision']}, {found['machine']})",
        "",
    ]
    lines += ["| rate | in the grid | right | 95 % | nats a token on validation | steps |", "|---|---|---|---|---|---|"]
    for p in found["points"]:
        inside = "yes" if p["in_grid"] else ""
        if "right" not in p:
            lines.append(f"| {p['rate']:g} | {inside} | failed | | | |")
            continue
        lines.append(
            f"| {p['rate']:g} | {inside} | {p['right']:.1%} | {p['low']:.1%} to {p['high']:.1%} "
            f"| {p['validation_nll']:.3f} | {p['steps']} |"
        )
    return [*lines, "", f"Best of the grid {best_of_grid:.1%}, best of all {best:.1%}.", ""]


def page(known: list[dict]) -> str:
    """All of them."""
    lines = ["# Learning rates over two decades", ""]
    lines += ["One seed; right on labelled items that no training saw. The grid is what the formulas in", ""]
    lines[-1:] = ["`rate_for` of each method (`lab/weights/`) gives for the model's width, times 0.5, 1, 2 and 4.", ""]
    return "\n".join([*lines, *(line for k in known for line in table(k))])


def main() -> None:
    """Measure, and write both files again with what is new."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="+", help="a task folder, with :METHOD behind it where that is not lora")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--out", type=Path, default=HERE)
    asked = parser.parse_args()
    here = machine("auto")
    model, store, path = load_model(asked.model, here), Store(), asked.out / "rates.json"
    known = json.loads(path.read_text()) if path.exists() else []
    for text in asked.tasks:
        folder, _, name = text.partition(":")
        bench = Bench(load_task(folder), model, store, Tools(cache=store.cache / "vectors"))
        found = {"task": bench.task.name, "method": name or "lora", "size": asked.size, "model": model.name}
        found |= {
            "precision": model.precision,
            "machine": here.name,
            "folder": folder,
            "points": points(bench, name or "lora", asked.size),
        }
        same = ("task", "method", "size", "model", "precision")
        known = [k for k in known if any(k[s] != found[s] for s in same)] + [found]
        path.write_text(json.dumps(known, indent=1))
        (asked.out / "rates.md").write_text(page(known))


if __name__ == "__main__":
    main()
