"""What training LoRA cells of one base together could give at most: tokens a second in larger batches.

    python reports/benchmarks/together.py [--model nano]

Adapters that are trained in one process share the base's products and nothing else: two of them with batches of 16 are
at best as fast as one with batches of 32, and their own low-rank products come on top. So the pace at 2 and 4 times
the batch bounds what a batch over adapters can win. Best of three rounds each, in the lab's own loop.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from lab.models.device import machine
from lab.models.loading import load_model
from lab.schema import Prompt
from lab.tasks.task import load_task
from lab.weights.account import training_pace
from lab.weights.lora import Lora
from lab.weights.training import encode_pairs

TASK = Path(__file__).resolve().parents[2] / "datasets" / "triage"
BATCH, STEPS, ROUNDS = 16, 12, 3


def main() -> None:
    """The pace at one, two and four times the batch, interleaved."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    task, model = load_task(TASK), load_model(asked.model, machine(asked.device))
    pairs = tuple((Prompt(task.instruction, s.input), s.target) for s in task.train)
    items = encode_pairs(model, pairs)
    paces: dict[int, list[float]] = {}
    for _ in range(ROUNDS):
        for times in (1, 2, 4):
            weights = replace(Lora(), batch_size=times * BATCH)
            some = items[: BATCH * STEPS]
            paces.setdefault(times, []).append(training_pace(model, some, weights))
    alone = max(paces[1])
    here = model.machine
    print(f"{model.name} on {here.name}, {model.precision}, LoRA of rank 16, {BATCH * STEPS} items of `triage`")
    for times, found in paces.items():
        best = max(found)
        print(f"batches of {times * BATCH}: {best:,.0f} tokens a second, {best / alone:.2f} times those of {BATCH}")


if __name__ == "__main__":
    main()
