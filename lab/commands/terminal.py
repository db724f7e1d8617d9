"""What a person sees in the terminal: the plan, progress with time left, the table and the decision."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.decision import Decision
from lab.flow.plan import Plan
from lab.measure.settings import Settings
from lab.measure.standing import Standing
from lab.measure.words import minutes
from lab.study import Study


def dollars(plan: Plan, name: str, seconds: float, prices: Settings) -> float:
    """What an arm will cost: its tokens where the model is paid by them, else the machine's seconds."""
    if name not in plan.tokens:
        return seconds * prices.price_per_hour_usd / 3600
    prompts, written = plan.tokens[name]
    return (prompts * prices.usd_per_million_prompt_tokens + written * prices.usd_per_million_completion_tokens) / 1e6


def show_plan(console: Console, plan: Plan, prices: Settings, raced_items: int = 0) -> None:
    """What will be run, what it will take in time, money and memory, what a budget drops and what can be detected;
    ``raced_items``: test items of a race, 0 for a whole grid."""
    table = Table(title=None, box=None, pad_edge=False)
    for column in ("arm", "cells", "search", "cells take", "USD", "peak MB"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for m in plan.methods:
        cells = [c for c in plan.cells if c.method == m.name]
        search, take = plan.searching(m.name), sum(plan.seconds[c] for c in cells)
        peak = plan.peak_bytes(m.name)
        table.add_row(
            m.name,
            str(len(cells)),
            minutes(search),
            minutes(take),
            f"{dollars(plan, m.name, search + take, prices):.3f}",
            f"{peak / 1e6:.0f}" if peak else "",
        )
    console.print(table)
    if raced_items:
        low, high = (minutes(s) for s in plan.race_seconds(raced_items))
        told = f"{low} to {high} as a race (the whole grid of {len(plan.cells)} cells: {minutes(plan.total_seconds)})"
    else:
        told = f"about {minutes(plan.total_seconds)} for {len(plan.cells)} cells"
    console.print(f"Forecast: {told}; what is stored already takes no time.", highlight=False)
    between = sum(plan.middle_search_seconds.values())
    if between > 1:
        console.print(
            f"Up to {minutes(between)} more where smallest and largest size choose differently: the sizes between "
            "are then searched as well.",
            highlight=False,
        )
    if plan.tokens:
        prompts, written = (sum(t[n] for t in plan.tokens.values()) for n in (0, 1))
        usd = sum(dollars(plan, name, 0.0, prices) for name in plan.tokens)
        paid = f"about {usd:.2f} USD" if usd else "give its prices (lab prices, or --usd-per-million-...) for dollars"
        console.print(f"Tokens: {prompts:,.0f} of prompts and {written:,.0f} written, probes included: {paid}.")
    if plan.dropped:
        console.print(
            f"The budget drops {len(plan.dropped)} cells, dearest first: " + "; ".join(c.label for c in plan.dropped),
            highlight=False,
        )
    shown = f"about {100 * plan.detectable:.0f} points (80 % power)"
    if plan.detectable >= 1:
        shown = "none: one draw of the training sample makes no claim, it names a leader"
    console.print(f"Smallest difference that these items and seeds can show: {shown}.", highlight=False)


WIDE, MIDDLE = 135, 100
"""Columns of a terminal from which the table shows everything, and the dollars; a narrower one leaves to the report
what would wrap."""


def show_decision(console: Console, study: Study, decision: Decision) -> None:
    """The table of arms, why each is not taken, and the verdict."""
    table, shown = Table(box=None, pad_edge=False), console.width
    recalls = any(a.recall for a in decision.arms)
    more = ["difference", *(["recall"] if recalls else []), "prompt tokens", "s/request", "training s", "USD a month"]
    first = 0 if shown >= WIDE else -1 if shown >= MIDDLE else len(more)
    for column in ["arm", "right", "95 % interval", *more[first:], "why not taken"]:
        side = "left" if column in ("arm", "why not taken") else "right"
        table.add_column(column, justify=side, no_wrap=column != "why not taken")
    for arm, standing in zip(decision.arms, decision.standings or [None] * len(decision.arms)):
        apart = standing is None or standing.difference is None
        numbers = ["" if apart else f"{100 * standing.difference:+.1f}"]
        numbers += [", ".join(f"@{k} {100 * v:.0f} %" for k, v in arm.recall.items())] if recalls else []
        numbers += [f"{arm.prompt_tokens:.0f}", f"{arm.seconds_per_request:.3f}", f"{arm.fixed_seconds:.0f}"]
        numbers += [f"{arm.monthly_usd:.3g}"]
        table.add_row(
            f"{'*' if arm.label == decision.chosen else ' '} {arm.label}",
            f"{100 * arm.accuracy:.1f} %",
            f"{100 * arm.low:.1f} to {100 * arm.high:.1f}"
            + (", left" if arm.dropped else ", one seed" if arm.one_seed else ""),
            *numbers[first:],
            "" if standing is None else _why(standing),
        )
    console.print(table)
    console.print(Text.assemble(("Decision: ", "bold"), decision.sentence))
    for line in decision.would_change:
        console.print(Text.assemble(("What would change it: ", "bold"), line))
    _list(console, decision.reasons)
    _list(console, decision.notes, "dim")


def _list(console: Console, lines: Sequence[str], style: str = "") -> None:
    """Sentences, each beginning with a dash and wrapping beside it."""
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row("-", Text(line), style=style)
    if lines:
        console.print(table)


def _why(standing: Standing) -> str:
    """Why an arm is not taken, and the content that its form hides."""
    return standing.why + (f" ({100 * standing.content:.0f} % content)" if standing.content is not None else "")
