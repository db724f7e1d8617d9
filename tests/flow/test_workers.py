"""Workers: the same study as by one process, nothing done twice, and a killed one's piece done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from lab.context.base import Tools
from lab.flow.bench import Bench
from lab.flow.plan import expand
from lab.flow.race import Race
from lab.flow.runner import Runner
from lab.flow.workers import Measurement, Workers
from lab.live.serve import free_port
from lab.measure.settings import Settings
from lab.models.device import machine
from lab.models.loading import load_model
from lab.schema import LabError
from lab.store import Store
from tests.conftest import make_task

pytest.importorskip("ray")
METHODS = ["zero_shot", "few_shot", "lora"]


def opened(home: Path) -> Runner:
    """In a worker's process, as in this one."""
    task = make_task(48)
    store = Store(home, committed=None)
    return Runner(Bench(task, load_model("nano", machine("cpu")), store, Tools(cache=store.cache / "vectors")))


def short(steps: int = 4):
    """A plan of trainings of a few steps."""
    plan = expand(METHODS, [2], [30], 2, make_task(48))
    for n, m in enumerate(plan.methods):
        if m.trains:
            quick = [replace(c, weights=replace(c.weights, epochs=1, minimum_steps=steps)) for c in m.candidates[:2]]
            plan.methods[n] = replace(m, candidates=tuple(quick))
    return plan


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("lab.flow.workers.available_cores", lambda: 2)
    machine.cache_clear()
    yield
    monkeypatch.undo()
    machine.cache_clear()
    machine("cpu")


def said(study) -> list:
    return [(c.method, c.seed, c.size, c.control, c.outcomes, c.evaluation, c.adaptation) for c in study.cells]


def made_by(home: Path) -> dict[str, float]:
    """When each result was written."""
    return {str(p): p.stat().st_mtime for p in home.glob("results/*/*/record.json")}


def test_the_study_is_that_of_one_process_and_the_run_itself_does_nothing(tmp_path):
    alone = opened(tmp_path / "alone").run(short())
    with Workers(2, make=partial(opened, tmp_path / "shared")) as workers:
        runner = opened(tmp_path / "shared")
        runner.workers, here = workers, []
        work = runner.bench.model.complete
        runner.bench.model.complete = lambda *given, **more: here.append(given) or work(*given, **more)
        together = runner.run(short())
    assert said(together) == said(alone)
    assert [c.best.settings for c in together.choices] == [c.best.settings for c in alone.choices]
    # What is left to the run are the baselines of the task, which no model is asked for.
    assert here == []
    one, two = (len(list((tmp_path / n / "results").glob("*/*"))) for n in ("alone", "shared"))
    assert one == two


@pytest.mark.slow
def test_a_race_by_workers_ends_as_one_by_one_process(tmp_path):
    studies = []
    for home, workers in (
        (tmp_path / "alone", None),
        (tmp_path / "two", Workers(2, make=partial(opened, tmp_path / "two"))),
    ):
        runner, plan = opened(home), short()
        runner.workers = workers
        studies.append(runner.run(plan, course=Race(runner, plan, Settings()).run))
        if workers:
            workers.__exit__()
    alone, together = studies
    assert said(together) == said(alone)
    assert together.plan["race"]["log"] == alone.plan["race"]["log"]


@pytest.mark.slow
def test_a_killed_workers_piece_is_done_again(tmp_path):
    plan = short(steps=60)
    cells = [c for c in plan.in_order() if c.method == "lora"]
    killed = []

    def kill_one():
        while not killed:
            time.sleep(0.05)
            begun = list((tmp_path / "unfinished").glob("*"))
            busy = [p for p in psutil.Process().children(recursive=True) if "ray::_work" in " ".join(_words(p))]
            if begun and busy:
                killed.append(busy[0].pid)
                os.kill(busy[0].pid, signal.SIGKILL)

    with Workers(2, make=partial(opened, tmp_path)) as workers:
        thread = threading.Thread(target=kill_one, daemon=True)
        thread.start()
        done = []
        workers.do(plan, [Measurement(c) for c in cells], False, done.append)
        thread.join(timeout=1)
    assert killed and sum(done) == len(cells)
    runner = opened(tmp_path)
    assert all(runner.bench.is_stored(runner.chosen(c, plan)[0], "test") for c in cells)


@pytest.mark.slow
def test_a_cluster_at_an_address_does_the_work(tmp_path):
    """Begun as an operator would, with the token that it asks for; it is still there when the command is over."""
    ray, root = str(Path(sys.executable).with_name("ray")), Path(__file__).parents[2]
    address = f"{ray_address()}:{free_port(0)}"
    temporary = Path(tempfile.mkdtemp(prefix="ray"))
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_AUTH_MODE", None)
    begin = [ray, "start", "--head", f"--port={address.split(':')[1]}", "--num-cpus=2", "--include-dashboard=false"]
    asked = "--methods zero_shot,few_shot --items 30 --sizes 40 --seeds 1 --no-forgetting --full-grid --fresh --json"
    command = [sys.executable, "-m", "lab", "decide", str(root / "datasets" / "triage"), *asked.split()]

    def decided(name: str, *more: str) -> dict:
        own = environment | {"LAB_HOME": str(tmp_path / name)}
        done = subprocess.run([*command, *more, "--out", str(tmp_path / f"{name} report")], **told, env=own)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    told = {"capture_output": True, "text": True, "cwd": root, "timeout": 240}
    try:
        subprocess.run([*begin, f"--temp-dir={temporary}"], check=True, **told, env=environment)
        by_cluster = decided("cluster", "--ray", address)
        made = [json.loads(p.read_text()) for p in (tmp_path / "cluster" / "results").glob("evaluation/*/record.json")]
        still = subprocess.run(
            [ray, "status", f"--address={address}"], **told, env=environment | {"RAY_AUTH_MODE": "token"}
        )
        assert made and not still.returncode, still.stderr
    finally:
        subprocess.run([ray, "stop", "--force"], capture_output=True, env=environment)
        shutil.rmtree(temporary, ignore_errors=True)
    alone = decided("alone")
    right = [{a["name"]: a["accuracy"] for a in found["arms"]} for found in (by_cluster, alone)]
    assert right[0] == right[1] and len(right[0]) >= 2


def ray_address() -> str:
    """Where Ray listens on this machine: it takes the address that others would reach it by, never the loopback's."""
    import ray

    return ray.util.get_node_ip_address()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_an_error_of_a_worker_is_told_and_a_failed_training_is_left_to_the_run(tmp_path):
    def broken() -> Runner:
        raise LabError("datasets/x: no such task folder")

    with Workers(2, make=broken) as workers, pytest.raises(LabError, match="datasets/x: no such task folder"):
        workers.do(short(), [Measurement(c) for c in short().in_order()[:2]], False, lambda done: None)


def test_numbers_that_mean_nothing_are_refused():
    for count, says in ((1, "at least 2"), (-3, "at least 2"), (10**6, "more than this machine's 2 cores")):
        with pytest.raises(LabError, match=f"--workers {count}: {says}"):
            Workers(count)
    with pytest.raises(LabError, match="--ray 127.0.0.1:1: can't be reached"):
        Workers(0, "127.0.0.1:1").start()
