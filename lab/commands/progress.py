"""Progress of long work: bars and lines with the time left on a terminal, and a file that notebooks read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from lab.files import write_json
from lab.flow.bench import Progress
from lab.flow.plan import Plan, PlannedCell
from lab.measure.words import minutes

LEAST_LEFT = 0.05
"""Share of what was to go that stays until a cell is really done."""
WRITE_EVERY = 0.3
"""Seconds between two writings of a job's progress."""


class Bars(Progress):
    """Two bars on a terminal: the whole, and the piece at hand; none elsewhere."""

    def __init__(self, console: Console, pieces: int) -> None:
        self.console, self.started = console, time.monotonic()
        self.bars = (
            RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            if console.is_terminal
            else None
        )
        self.whole = self.bars.add_task("all", total=max(1, pieces)) if self.bars else None
        self.piece = self.bars.add_task("", total=1) if self.bars else None

    def __enter__(self) -> Self:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars:
            self.bars.stop()

    def stage(self, text: str, total: int) -> None:
        """Begin the lower bar anew."""
        if self.bars:
            self.bars.reset(self.piece, total=total, description=text)

    def advance(self, count: int = 1) -> None:
        """Move the lower bar."""
        if self.bars:
            self.bars.advance(self.piece, count)

    def one_more(self) -> None:
        """Move the upper bar."""
        if self.bars:
            self.bars.advance(self.whole)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started


class TerminalProgress(Bars):
    """A plan's cells: a line a cell with the time left."""

    def __init__(self, console: Console, plan: Plan) -> None:
        super().__init__(console, len(plan.cells))
        self.plan, self.done_seconds, self.searched, self.at_cell = plan, 0.0, set(), 0.0

    def finished(self, cell: PlannedCell, accuracy: float) -> None:
        """A line for the cell, with the forecast of what is left in the measured pace."""
        self.done_seconds += self.plan.seconds.get(cell, 0.0)
        if cell.method not in self.searched:
            self.searched.add(cell.method)
            self.done_seconds += self.plan.searching(cell.method)
        if not self.at_cell:
            self.done_seconds += self.plan.fixed_seconds
        self.at_cell = self.elapsed
        left = f"{minutes(self.elapsed)} gone, about {minutes(self.left)} left"
        self.console.print(Text.assemble(f"  {cell.label:<40} {100 * accuracy:5.1f} %   ", (left, "dim")))
        self.one_more()

    def looked(self, words: str) -> None:
        """A line for a look of the race."""
        self.console.print(Text.assemble("  ", ("look", "bold"), f" {words}"))

    @property
    def left(self) -> float:
        """Seconds to go: the forecast of what is left, in the pace measured so far; it shrinks within a cell too."""
        pace = self.at_cell / self.done_seconds if self.done_seconds > 1 and self.at_cell else 1.0
        to_go = max(0.0, self.plan.total_seconds - self.done_seconds) * pace
        within = self.elapsed - self.at_cell
        # A piece that takes longer than was foreseen is not over because its time is.
        return max(to_go - within, to_go * LEAST_LEFT)


class PointProgress(Bars):
    """Points of a sweep: a line a point with the time left; ``forecasts`` say how the points' seconds relate."""

    def __init__(self, console: Console, forecasts: Sequence[float]) -> None:
        super().__init__(console, len(forecasts))
        self.forecasts, self.done = forecasts, 0

    def point(self, words: str) -> None:
        """A line for a finished point."""
        self.done += 1
        left = self.elapsed * sum(self.forecasts[self.done :]) / max(1e-9, sum(self.forecasts[: self.done]))
        told = f"{minutes(self.elapsed)} gone, about {minutes(left)} left"
        self.console.print(Text.assemble(f"  {self.done}/{len(self.forecasts)} {words}   ", (told, "dim")))
        self.one_more()


class JobProgress(TerminalProgress):
    """Progress lines for the log, and the same as a file for the notebooks."""

    def __init__(self, console, plan, folder: Path) -> None:
        super().__init__(console, plan)
        self.folder, self.cells_done, self.said, self.done, self.total, self.written = folder, 0, "", 0, 0, 0.0

    def __exit__(self, kind: object, *error: object) -> None:
        super().__exit__(kind, *error)
        self._write(True)

    def stage(self, text: str, total: int) -> None:
        """A piece of work begins."""
        self.said, self.done, self.total = text, 0, total
        self._write(True)

    def advance(self, count: int = 1) -> None:
        """So many more steps are done."""
        self.done += count
        self._write()

    def finished(self, cell, accuracy: float) -> None:
        """A cell has been measured."""
        super().finished(cell, accuracy)
        self.cells_done += 1
        self._write(True)

    def _write(self, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self.written < WRITE_EVERY:
            return
        self.written = time.monotonic()
        state = {
            "cells_done": self.cells_done,
            "cells": len(self.plan.cells),
            "stage": self.said,
            "done": self.done,
            "total": self.total,
            "elapsed_seconds": self.elapsed,
            "left_seconds": self.left,
            "share": self.elapsed / max(1e-9, self.elapsed + self.left),
            "written": time.time(),
        }
        write_json(self.folder / "progress.json", state)
