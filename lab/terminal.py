"""What a person sees in the terminal: the plan, progress with time left, the table and the decision."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lab.decide import Decision
from lab.plan import Plan, RunCell
from lab.producing import Progress as Silent
from lab.study import Study
from lab.tasks.check import Finding

STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def minutes(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3.5 h``"""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Bars(Silent):
    """Two bars on a terminal: the whole, and the piece at hand; none elsewhere."""

    def __init__(self, console: Console, pieces: int) -> None:
        self.console, self.started = console, time.monotonic()
        self.bars = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TextColumn("left"), TimeRemainingColumn(),
                             console=console, transient=True) if console.is_terminal else None
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
        self.plan, self.done_seconds, self.searched = plan, plan.fixed_seconds, set()

    def finished(self, cell: RunCell, accuracy: float) -> None:
        """A line for the cell, with the forecast of what is left in the measured pace."""
        self.done_seconds += self.plan.seconds.get(cell, 0.0)
        if cell.method not in self.searched:
            self.searched.add(cell.method)
            self.done_seconds += self.plan.searching(cell.method)
        self.console.print(f"  {cell.label:<40} {100 * accuracy:5.1f} %   [dim]{minutes(self.elapsed)} gone, about {minutes(self.left)} left[/dim]", highlight=False)
        self.one_more()

    @property
    def left(self) -> float:
        """Seconds to go: the forecast of what is left, in the pace measured so far."""
        pace = self.elapsed / self.done_seconds if self.done_seconds > 1 else 1.0
        return max(0.0, self.plan.total_seconds - self.done_seconds) * pace


class PointProgress(Bars):
    """Points of a sweep: a line a point with the time left; ``forecasts`` say how the points' seconds relate."""

    def __init__(self, console: Console, forecasts: Sequence[float]) -> None:
        super().__init__(console, len(forecasts))
        self.forecasts, self.done = forecasts, 0

    def point(self, words: str) -> None:
        """A line for a finished point."""
        self.done += 1
        left = self.elapsed * sum(self.forecasts[self.done:]) / max(1e-9, sum(self.forecasts[:self.done]))
        self.console.print(f"  {self.done}/{len(self.forecasts)} {words}   [dim]{minutes(self.elapsed)} gone, about {minutes(left)} left[/dim]", highlight=False)
        self.one_more()


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """One line a finding, errors first."""
    for f in findings:
        console.print(f"[{STYLE[f.level]}]{f.level:<8}[/] {_plain(f.text)}", highlight=False)


def show_plan(console: Console, plan: Plan, price_per_hour_usd: float = 0.0) -> None:
    """What will be run, what it will take in time, money and memory, what a budget drops and what can be detected."""
    table = Table(title=None, box=None, pad_edge=False)
    for column in ("arm", "cells", "search", "cells take", "USD", "peak MB"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for m in plan.methods:
        cells = [c for c in plan.cells if c.method == m.name]
        search, take = plan.searching(m.name), sum(plan.seconds[c] for c in cells)
        peak = plan.peak_bytes(m.name)
        table.add_row(m.name, str(len(cells)), minutes(search), minutes(take), f"{(search + take) * price_per_hour_usd / 3600:.3f}", f"{peak / 1e6:.0f}" if peak else "")
    console.print(table)
    console.print(f"Forecast: about {minutes(plan.total_seconds)} for {len(plan.cells)} cells; what is stored already takes no time.", highlight=False)
    between = sum(plan.middle_search_seconds.values())
    if between > 1:
        console.print(f"Up to {minutes(between)} more where smallest and largest size choose differently: the sizes between are then searched as well.", highlight=False)
    if plan.dropped:
        console.print(f"The budget drops {len(plan.dropped)} cells, dearest first: " + "; ".join(c.label for c in plan.dropped), highlight=False)
    console.print(f"Smallest difference that the test items can detect: about {100 * plan.detectable:.0f} points (80 % power).", highlight=False)


WIDE = 110
"""Columns of a terminal from which the table shows everything; a narrower one leaves to the report what would wrap."""


def show_decision(console: Console, study: Study, decision: Decision) -> None:
    """The table of arms and the verdict with its reasons."""
    table, wide = Table(box=None, pad_edge=False), console.width >= WIDE
    parts = sorted({p for a in decision.arms for p in a.parts}) if wide else []
    recalls = wide and any(a.recall for a in decision.arms)
    more = ["training s"] if wide else []
    for column in ("arm", "right", "95 % interval", *parts, *(["recall"] if recalls else []), "prompt tokens", "s/request", *more):
        table.add_column(column, justify="left" if column == "arm" else "right", no_wrap=True)
    for arm in decision.arms:
        mark = "*" if arm.label == decision.chosen else " "
        values = [f"{100 * arm.parts[p]:.1f} %" if p in arm.parts else "" for p in parts]
        values += [", ".join(f"@{k} {100 * v:.0f} %" for k, v in arm.recall.items())] if recalls else []
        table.add_row(f"{mark} {arm.label}", f"{100 * arm.accuracy:.1f} %", f"{100 * arm.low:.1f} to {100 * arm.high:.1f}", *values,
                      f"{arm.prompt_tokens:.0f}", f"{arm.seconds_per_request:.3f}", *([f"{arm.fixed_seconds:.0f}"] if wide else []))
    console.print(table)
    if not wide:
        console.print("[dim]Format, recall and training seconds stand in the report.[/dim]", highlight=False)
    head = "[bold]Provisional: [/bold]" if decision.provisional else "[bold]Decision: [/bold]"
    console.print(head + _plain(decision.sentence), highlight=False)
    for line in decision.reasons:
        console.print("  " + _plain(line), highlight=False)
    for line in decision.would_change:
        console.print("  What would change it: " + _plain(line), highlight=False)


def _plain(text: str) -> str:
    """Task texts are data, never markup."""
    return text.replace("[", "\\[")
