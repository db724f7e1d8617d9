"""Pieces of a run done by several processes at once, through Ray (extra ``ray``).

Workers and the run itself share the store, and every result has a key and a lock: workers fill the store with what the
run will ask for next, and the run then goes its usual way and finds it. So it ends as one process would, nothing is
done twice, and what a killed worker was at is done again by another one::

    with Workers(2, make=make) as workers:
        Runner(bench, workers=workers).run(plan)

``make()`` opens a Runner in a worker; each worker does so once. A worker has one GPU, or its share of the cores.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lab.flow.bench import RunSpec
from lab.flow.plan import Plan, PlannedCell
from lab.models.device import available_cores
from lab.schema import LabError, TrainingFailed, extra, first_line

if TYPE_CHECKING:
    from lab.flow.runner import Runner

RETRIES = 3
"""How often a piece is begun again whose worker was killed."""
ANSWER_SECONDS = 5.0
"""How long a cluster is waited for."""
_opened: dict[str, Runner] = {}
"""Of a worker's process: the runner of each run that it works for."""


class Work(Protocol):
    """Something that leaves results in the store."""

    def work(self, runner: Runner, plan: Plan) -> None:
        """Do it."""


@dataclass(frozen=True)
class Trial:
    """One candidate of a search, scored on validation."""

    spec: RunSpec

    def work(self, runner: Runner, plan: Plan) -> None:
        """Train it and ask the validation items."""
        runner.bench.adapt(self.spec)
        runner.bench.evaluate(self.spec, "validation")


@dataclass(frozen=True)
class Measurement:
    """A cell with all that belongs to it, on all test items or so many of those drawn."""

    cell: PlannedCell
    items: int = 0

    def work(self, runner: Runner, plan: Plan) -> None:
        """Search, measure, controls and probes."""
        runner.piece(self.cell, plan, runner.bench.task.with_items(self.items).test if self.items else None)


@dataclass(frozen=True)
class Asking:
    """A cell as one look of a race asks it: so many items and nothing around them."""

    cell: PlannedCell
    items: int
    begun: str = ""
    """The evaluation of fewer items that is gone on with."""

    def work(self, runner: Runner, plan: Plan) -> None:
        """Search and measure."""
        spec, _, failed = runner.chosen(self.cell, plan)
        begun = self.begun or runner.bench.evaluation_key(spec, "test")
        runner.own(self.cell, spec, failed, runner.bench.task.with_items(self.items).test, begun)


class Workers:
    """So many processes on this machine, or those of a Ray cluster at ``address``; started with the first pieces."""

    def __init__(
        self, count: int = 0, address: str = "", make: Callable[[], Runner] | None = None, gpus: bool = False
    ) -> None:
        if count < (0 if address else 2):
            raise LabError(f"--workers {count}: at least 2, or leave it out")
        if not address and count > (cores := available_cores()):
            raise LabError(f"--workers {count}: more than this machine's {cores} cores; take at most so many")
        self.make, self.count, self.address, self.gpus = make, count, address, gpus
        self.threads = max(1, available_cores() // max(1, count))
        """Cores of each worker: the run itself takes as many, so that both are the same machine to the store."""
        self.name, self._ray = uuid.uuid4().hex, None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def do(self, plan: Plan, pieces: Sequence[Work], halving: bool, done: Callable[[int], None]) -> None:
        """Do all pieces, in any order; ``done`` is told how many more have ended.

        A training that fails is left to the run, which meets it again and says so. Raises LabError where a worker does.
        """
        ray = self.start()
        remote = ray.remote(num_cpus=self.threads, num_gpus=int(self.gpus), max_retries=RETRIES)(_work)
        make, shared = ray.put(self.make), ray.put(plan)
        waiting = [remote.remote(self.name, make, shared, piece, halving) for piece in pieces]
        try:
            while waiting:
                ended, waiting = ray.wait(waiting)
                if told := next((text for text in ray.get(ended) if text), ""):
                    raise LabError(told)
                done(len(ended))
        except ray.exceptions.RayError as error:
            raise LabError(f"--workers: {first_line(error)}") from None
        finally:
            for piece in waiting:
                ray.cancel(piece, force=True)

    def start(self):
        """Ray, with its workers waiting."""
        if self._ray is None:
            # Ray asks a server of its makers about its use unless it is told not to.
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
            if self.address and _token_at_hand():
                # A cluster begun by ``ray start`` asks for it; one that doesn't ask takes no notice.
                os.environ.setdefault("RAY_AUTH_MODE", "token")
            with extra("ray", "--workers and --ray"):
                import ray
            _require_answer(self.address)
            here = {"num_cpus": self.count * self.threads, "include_dashboard": False}
            variables = {"OMP_NUM_THREADS": str(self.threads)}
            try:
                ray.init(
                    **({"address": self.address} if self.address else here),
                    log_to_driver=False,
                    runtime_env={"env_vars": variables},
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                token = "" if _token_at_hand() else "; where it asks for a token: RAY_AUTH_TOKEN, or ~/.ray/auth_token"
                raise LabError(f"--ray {self.address}: can't be reached ({first_line(error)}){token}") from None
            self._ray = ray
        return self._ray


def _token_at_hand() -> bool:
    """Whether Ray would find a cluster's token, in the places that it names."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").is_file()


def _require_answer(address: str) -> None:
    """Raise LabError where nobody listens at ``host:port``: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise LabError(f"--ray {address}: can't be reached ({first_line(error)})") from None


def _work(name: str, make: Callable[[], Runner], plan: Plan, piece: Work, halving: bool) -> str:
    """In a worker: do a piece; what a person is told where it can't be done."""
    try:
        if name not in _opened:
            _opened.clear()
            _opened[name] = make()
        runner = _opened[name]
        runner.search.halving = halving
        piece.work(runner, plan)
    except TrainingFailed:
        return ""
    except LabError as error:
        return str(error)
    return ""
