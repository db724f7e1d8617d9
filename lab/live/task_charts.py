"""Charts of a task's data for the notebooks: splits, targets, lengths, what search finds, and an item's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

import lab.context
from lab.context.base import Tools
from lab.flow.families import member_from
from lab.models.prompts import render
from lab.report.charts.base import PERCENT_AXIS
from lab.report.looks import PALETTE
from lab.study import Cell
from lab.tasks.task import Task


def split_chart(task: Task) -> alt.Chart:
    """Items by split."""
    rows = [
        {"split": s, "items": len(task.split(s)), "order": n} for n, s in enumerate(("train", "validation", "test"))
    ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X("items:Q", title="items"),
            y=alt.Y("split:N", sort=alt.EncodingSortField("order"), title=None),
            tooltip=["split:N", "items:Q"],
        )
        .properties(height=alt.Step(28), width="container")
    )


def balance_rows(task: Task, most: int = 20) -> list[dict[str, Any]]:
    """The most frequent targets of train, and the rest as one row."""
    from collections import Counter

    counts = Counter(s.target for s in task.train).most_common()
    rows = [
        {"target": t if len(t) <= 40 else t[:40] + " ...", "items": n, "order": i}
        for i, (t, n) in enumerate(counts[:most])
    ]
    if len(counts) > most:
        rows.append(
            {"target": f"{len(counts) - most:,} others", "items": sum(n for _, n in counts[most:]), "order": most}
        )
    return rows


def balance_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """How often each target occurs in train."""
    return (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_bar(color=PALETTE[2])
        .encode(
            x=alt.X("items:Q", title="train items"),
            y=alt.Y("target:N", sort=alt.EncodingSortField("order"), title=None),
            tooltip=["target:N", "items:Q"],
        )
        .properties(height=alt.Step(20), width="container")
    )


def length_chart(task: Task) -> alt.Chart:
    """Words of inputs and targets, counted in bins."""
    rows = []
    for part in ("input", "target"):
        words = [len(getattr(s, part).split()) for s in (*task.labelled, *task.test)]
        # Texts of few lengths get a bar each; all of one length would else be one block over the whole width.
        few = len(set(words)) <= 20
        bins = np.arange(min(words) - 0.5, max(words) + 1.5) if few and max(words) - min(words) < 40 else 20
        counts, edges = np.histogram(words, bins=bins)
        rows += [
            {"part": part, "from": float(a), "to": float(b), "items": int(n)}
            for n, a, b in zip(counts, edges, edges[1:])
        ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", title="words", bin="binned", scale=alt.Scale(zero=True)),
            x2="to:Q",
            y=alt.Y("items:Q", title="items"),
            tooltip=["from:Q", "to:Q", "items:Q"],
            color=alt.Color(
                "part:N", scale=alt.Scale(domain=["input", "target"], range=[PALETTE[0], PALETTE[1]]), legend=None
            ),
            row=alt.Row("part:N", title=None),
        )
        .properties(height=90)
        .resolve_scale(y="independent", x="independent")
    )


def recall_rows(task: Task, searchers: dict[str, Any], limits: Sequence[int], most: int = 300) -> list[dict[str, Any]]:
    """Recall@k on validation items with known evidence, for each named (searcher, passages)."""
    from lab.context.retrieval.search import recall_at

    samples = [s for s in task.labelled if s.evidence][:most]
    rows = []
    for name, (searcher, passages) in searchers.items():
        found = (
            [
                [passages[i].document_id for i, _ in hits]
                for hits in searcher.search([s.input for s in samples], max(limits))
            ]
            if samples
            else []
        )
        rows += [
            {"search": name, "k": k, "recall": 100 * recall_at(found, [s.evidence for s in samples], k)}
            for k in limits
            if samples
        ]
    return rows


def recall_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Recall by number of passages."""
    return (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_line(point=True)
        .encode(
            x=alt.X("k:Q", title="passages in the prompt (k)", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y(
                "recall:Q",
                title="items whose document is among them",
                scale=alt.Scale(domain=[0, 100]),
                axis=PERCENT_AXIS,
            ),
            color=alt.Color(
                "search:N",
                title=None,
                scale=alt.Scale(range=list(PALETTE)),
                legend=alt.Legend(orient="bottom", columns=2),
            ),
            shape=alt.Shape("search:N", title=None),
            tooltip=["search:N", "k:Q", "recall:Q"],
        )
        .properties(height=260, width="container")
    )


def prompt_of(task: Task, cell: Cell, largest: int, sample_id: str, tools: Tools) -> str:
    """The prompt that an arm's first seed gives an item, before it is cut to the window."""
    context = member_from(lab.context, cell.context)
    scoped = task.scoped(cell.size or largest, cell.seed)
    sample = next(s for s in (*task.labelled, *task.test) if s.id == sample_id)
    return render(context.fit(scoped, tools).build(sample))
