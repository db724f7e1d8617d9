"""Runs in the background: a ``lab decide`` in a process of its own, which survives a closed tab and is seen by every
tab.

``start(home, ["datasets/triage", "--sizes", "100"])`` gives its Job; the same command started twice runs once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
from filelock import FileLock

from lab.store import key_of

RETRY_SECONDS = 30.0
"""How long a plan that failed is left alone."""
NICE = 10
"""How far a run in the background stands back (POSIX: 0 not at all, 19 most)."""
_children: dict[int, subprocess.Popen] = {}


@dataclass(frozen=True)
class Job:
    """A background run by its folder under ``LAB_HOME/jobs``."""

    folder: Path

    @property
    def arguments(self) -> list[str]:
        """What follows ``lab decide``."""
        return self._read("job.json").get("arguments", [])

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        made = self._read("job.json")
        return bool(made) and _alive(made["pid"], made["created"])

    @property
    def progress(self) -> dict[str, Any]:
        """``cells_done``, ``cells``, ``stage``, ``done``, ``total``, ``elapsed_seconds``, ``left_seconds``;
        empty before it is known."""
        return self._read("progress.json")

    @property
    def left_seconds(self) -> float:
        """Seconds to go now: as it was last written, less what has passed since."""
        told = self.progress
        return max(0.0, told.get("left_seconds", 0.0) - (time.time() - told.get("written", time.time())))

    @property
    def ended_well(self) -> bool:
        """Whether it came to its decision."""
        return (self.folder / "finished").exists()

    @property
    def last_words(self) -> str:
        """The last line of its output: the decision's path, or the error."""
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def stop(self) -> None:
        """Interrupt it; what is finished is kept, and the same command goes on from there."""
        if self.running:
            os.kill(self._read("job.json")["pid"], signal.SIGINT)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def start(home: Path, arguments: list[str]) -> Job:
    """Start ``lab decide`` with these arguments, or find the one that runs already."""
    job = Job(home / "jobs" / key_of({"arguments": arguments, "cwd": os.getcwd()})[:16])
    job.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(job.folder / "lock"):
        if job.running:
            return job
        for name in ("progress.json", "finished"):
            (job.folder / name).unlink(missing_ok=True)
        with open(job.folder / "log.txt", "w", encoding="utf-8") as log:
            process = _decide_behind(
                home, [*arguments, "--job", str(job.folder), "--out", str(job.folder / "report")], log
            )
        made = {"arguments": arguments, **process, "started": time.time()}
        (job.folder / "job.json").write_text(json.dumps(made), encoding="utf-8")
    return job


def jobs(home: Path) -> list[Job]:
    """All jobs that were ever started, the newest first."""
    found = [Job(p.parent) for p in (home / "jobs").glob("*/job.json")]
    return sorted(found, key=lambda j: j._read("job.json").get("started", 0.0), reverse=True)


def of_task(home: Path, folder: str) -> list[Job]:
    """The jobs that were started for a task's folder, the newest first."""
    return [j for j in jobs(home) if j.arguments and j.arguments[0] == folder]


def planned(home: Path, arguments: list[str], state: str = "") -> dict[str, Any]:
    """The plan of ``lab decide`` with these arguments: ``cells`` and ``searches`` in seconds, or ``error``; empty while
    it is being made.

    It is made in a process of its own and kept for this ``state`` (of the data and of what is measured). One is made at
    a time: a slider that is drawn over ten sizes must not start ten of them. An error is told for RETRY_SECONDS, then
    the plan is tried again.
    """
    folder = home / "forecasts" / key_of({"arguments": arguments, "cwd": os.getcwd(), "state": state})[:16]
    folder.mkdir(parents=True, exist_ok=True)
    at_work = home / "forecasts" / "process.json"
    with FileLock(home / "forecasts" / "lock"):
        plan, made, output = folder / "plan.json", folder / "process.json", folder / "output.txt"
        if plan.exists():
            return json.loads(plan.read_text(encoding="utf-8"))
        if made.exists():
            process = json.loads(made.read_text())
            if _alive(**process):
                return {}
            lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            found = next((line for line in reversed(lines) if line.startswith("{")), "")
            if found:
                plan.write_text(found, encoding="utf-8")
                return json.loads(found)
            if time.time() - output.stat().st_mtime < RETRY_SECONDS:
                return {"error": lines[-1].removeprefix("lab: ") if lines else "the plan could not be made"}
        if at_work.exists() and _alive(**json.loads(at_work.read_text())):
            return {}
        with open(output, "w", encoding="utf-8") as file:
            process = json.dumps(_decide_behind(home, [*arguments, "--plan-json"], file))
        for path in (made, at_work):
            path.write_text(process)
    return {}


def _decide_behind(home: Path, arguments: list[str], output: IO[str]) -> dict[str, Any]:
    """Start ``lab decide`` beside the notebooks, which go first wherever both want the processor;
    its ``pid`` and when it was ``created``."""
    child = subprocess.Popen(
        [sys.executable, "-m", "lab", "decide", *arguments],
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"LAB_HOME": str(home)},
    )
    _children[child.pid] = child
    process = psutil.Process(child.pid)
    process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else NICE)
    return {"pid": child.pid, "created": process.create_time()}


def _alive(pid: int, created: float) -> bool:
    """Whether this very process (not another with its number) is alive."""
    _reap()
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _reap() -> None:
    """Collect ended children, which would else stay as zombies until the server ends."""
    for pid, process in list(_children.items()):
        if process.poll() is not None:
            _children.pop(pid, None)
