"""Two workers beside one process, in the same run: eight equal cells (LoRA, one thread each) on a bundled task.

    python reports/benchmarks/workers.py [--workers 2] [--cells 8]

prints seconds of both, with the time that workers take to start, and whether the studies are the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from lab.context.base import Tools  # noqa: E402
from lab.flow.bench import Bench  # noqa: E402
from lab.flow.plan import Plan, expand  # noqa: E402
from lab.flow.runner import Runner  # noqa: E402
from lab.flow.workers import Workers  # noqa: E402
from lab.models.device import machine  # noqa: E402
from lab.models.loading import load_model  # noqa: E402
from lab.store import Store  # noqa: E402
from lab.tasks.task import load_task  # noqa: E402

TASK = Path(__file__).resolve().parents[2] / "datasets" / "triage"
SIZE, ITEMS, STEPS = 100, 100, 40


def opened(home: Path) -> Runner:
    """A runner on the task, in this process or in a worker's."""
    store = Store(home, committed=None)
    tools = Tools(cache=store.cache / "vectors")
    return Runner(Bench(load_task(TASK).with_items(ITEMS), load_model("nano", machine("cpu")), store, tools))


def plan_of(cells: int) -> Plan:
    """One arm with one candidate, so that its search is small, and so many draws."""
    plan = expand(["lora"], [16], [SIZE], cells, load_task(TASK))
    (m,) = plan.methods
    one = replace(m.candidates[2], weights=replace(m.candidates[2].weights, epochs=1, minimum_steps=STEPS))
    plan.methods = [replace(m, candidates=(one,))]
    return plan


def main() -> None:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cells", type=int, default=8)
    asked = parser.parse_args()
    # The cores that there are, not the one that each may use.
    cores = len(os.sched_getaffinity(0))
    seconds, outcomes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("one process", 0), (f"{asked.workers} workers", asked.workers)):
            home = Path(folder) / str(count)
            runner, plan = opened(home), plan_of(asked.cells)
            del os.environ["OMP_NUM_THREADS"]
            runner.workers = Workers(count, make=partial(opened, home)) if count else None
            os.environ["OMP_NUM_THREADS"] = "1"
            if count:
                assert runner.workers.threads == 1, f"{cores} cores are not one for each of {count} workers"
                started = time.perf_counter()
                runner.workers.start()
                print(f"starting {count} workers: {time.perf_counter() - started:.1f} s")
            started = time.perf_counter()
            study = runner.run(plan)
            seconds[name] = time.perf_counter() - started
            outcomes[name] = [c.outcomes for c in study.cells]
            print(f"{name}: {seconds[name]:.1f} s for {asked.cells} cells and their search")
            if count:
                runner.workers.__exit__()
    alone, together = seconds.values()
    same = len({str(o) for o in outcomes.values()}) == 1
    print(f"{alone / together:.2f} times as fast, the answers are {'the same' if same else 'NOT the same'}")


if __name__ == "__main__":
    main()
