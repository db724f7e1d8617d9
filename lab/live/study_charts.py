"""Rows and charts of a study for the notebooks, from stored results alone: trials, ranks, losses, rates, spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from lab.measure.arms import arm_of
from lab.report.charts.base import PERCENT_AXIS, Rows, data_of
from lab.report.looks import PALETTE, Looks
from lab.store import Store
from lab.study import Study, Trial


def trial_rows(study: Study, axis: str) -> list[dict[str, Any]]:
    """Validation accuracy of every trial that differs in a context setting such as ``k`` or ``examples``,
    at the largest size searched."""
    return [
        {
            "method": study.name_of(choice),
            "size": choice.size,
            axis: trial.settings["context"][axis],
            "with": _others(trial, axis),
            "right on validation": round(100 * trial.accuracy, 1),
            "items": choice.validation_items,
            "chosen": "chosen" if trial.number == choice.chosen else "",
        }
        for choice in study.choices
        for trial in choice.trials
        if trial.settings["context"].get(axis) is not None and not trial.failed
    ]


def _others(trial: Trial, axis: str) -> str:
    """A trial's settings but for one axis."""
    both = (trial.settings[family].items() for family in ("context", "weights"))
    return ", ".join(f"{k} {v}" for part in both for k, v in part if k not in ("name", "version", axis)) or "defaults"


def heat_rows(study: Study, method: str) -> list[dict[str, Any]]:
    """Mean accuracy, its interval and the seeds for every rank and size of a method."""
    rows = []
    for rank in study.ranks(method):
        for size in study.sizes():
            arm = arm_of(study, method, size, rank)
            if arm and arm.rank == rank and all(c.rank == rank for c in arm.cells):
                low, high = arm.interval
                by_seed = [100 * c.accuracy for c in arm.cells]
                rows.append(
                    {
                        "rank": rank,
                        "size": size,
                        "accuracy": round(100 * arm.accuracy, 1),
                        "low": round(100 * low, 1),
                        "high": round(100 * high, 1),
                        "seeds": len(arm.cells),
                        "by seed": ", ".join(f"{v:.1f}" for v in by_seed),
                        "trained parameters": int(arm.usage("trained_parameters")),
                        "training seconds": round(arm.usage("training_seconds"), 1),
                    }
                )
    return rows


def heat_chart(rows: Rows) -> alt.LayerChart:
    """Accuracy over rank and data size, the number in each field."""
    base = alt.Chart(data_of(rows)).encode(
        x=alt.X("size:O", title="labelled examples (train + validation)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("rank:O", title="LoRA rank", sort="descending"),
    )
    return alt.layer(
        base.mark_rect().encode(
            color=alt.Color("accuracy:Q", scale=alt.Scale(scheme="blues", domain=[0, 100]), title="right, %"),
            tooltip=["rank:O", "size:O", "accuracy:Q", "low:Q", "high:Q", "by seed:N"],
        ),
        base.mark_text(fontSize=14).encode(
            text=alt.Text("accuracy:Q", format=".1f"),
            color=alt.condition("datum.accuracy > 55", alt.value("white"), alt.value("black")),
        ),
    ).properties(height=alt.Step(48), width="container")


def training_of(store: Store, adaptation: str) -> dict[str, Any]:
    """The training log of an adaptation; empty where it is not at hand."""
    entry = store.find("adaptation", adaptation) if adaptation else None
    return entry.record["result"]["log"] if entry else {}


def loss_rows(study: Study, store: Store, method: str, size: int) -> list[dict[str, Any]]:
    """Training loss and validation accuracy by step, for every rank and seed at a size."""
    rows = []
    for cell in study.cells:
        if (study.name_of(cell), cell.size, cell.control) == (method, size, ""):
            for point in training_of(store, cell.adaptation).get("curve", []):
                rows.append(
                    {
                        "step": point["step"],
                        "loss": point["loss"],
                        "right on validation": 100 * point.get("validation_accuracy", 0.0),
                        "rank": str(cell.rank),
                        "seed": cell.seed,
                        "run": f"rank {cell.rank}, seed {cell.seed}",
                    }
                )
    return rows


def loss_chart(rows: Rows, field: str, title: str) -> alt.Chart:
    """One line a run, coloured by rank."""
    return (
        alt.Chart(data_of(rows))
        .mark_line(point=True, strokeWidth=1.5)
        .encode(
            x=alt.X("step:Q", title="optimizer steps"),
            y=alt.Y(f"{field}:Q", title=title),
            color=alt.Color("rank:N", title="rank", sort=None, scale=alt.Scale(range=list(PALETTE))),
            strokeDash=alt.StrokeDash("seed:N", title="seed", legend=alt.Legend(symbolType="stroke", symbolOpacity=1)),
            detail="run:N",
            tooltip=["run:N", "step:Q", f"{field}:Q"],
        )
        .properties(height=260, width="container")
    )


def ranked_cells(study: Study) -> int:
    """How many cells of a study have a rank: what there is to see of rank and data."""
    return sum(c.rank is not None for c in study.cells)


def rate_rows(study: Study) -> list[dict[str, Any]]:
    """Validation accuracy by learning rate, for each searched method and size."""
    looks = Looks.of(study)
    return [
        {
            "method": study.name_of(choice),
            "size": choice.size,
            "learning rate": trial.settings["weights"]["learning_rate"],
            "accuracy": 100 * max(0.0, trial.accuracy),
            "nll": trial.nll,
            "search": f"{study.name_of(choice)}, {choice.size} examples" + (f", r{choice.rank}" if choice.rank else ""),
            "rank": choice.rank,
            "colour": looks.colour(study.name_of(choice)),
        }
        for choice in study.choices
        for trial in choice.trials
        if "learning_rate" in trial.settings["weights"]
    ]


def rate_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """How sensitive is each method to its learning rate? One colour a method, one dash a data size."""
    colours = {r["method"]: r["colour"] for r in rows}
    return (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_line(point=True)
        .encode(
            x=alt.X("learning rate:Q", scale=alt.Scale(type="log"), axis=alt.Axis(format="~g")),
            y=alt.Y("accuracy:Q", title="right on validation", scale=alt.Scale(domain=[0, 100]), axis=PERCENT_AXIS),
            color=alt.Color(
                "method:N",
                title=None,
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=alt.Legend(orient="bottom", columns=4),
            ),
            strokeDash=alt.StrokeDash(
                "size:N",
                title="labelled examples",
                legend=alt.Legend(orient="bottom", columns=4, symbolType="stroke", symbolOpacity=1),
            ),
            # Searches of two ranks are two lines.
            detail="search:N",
            tooltip=["search:N", "learning rate:Q", "accuracy:Q"],
        )
        .properties(height=260, width="container")
    )


def spectrum_rows(logs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """{name: training log} to share of the update's energy within its first directions,
    mean and range over matrices."""
    rows = []
    for name, log in logs.items():
        whole = log.get("energy", {})
        curves = [
            np.cumsum(np.square(v)) / max(1e-30, whole.get(matrix, np.sum(np.square(v))))
            for matrix, v in log.get("spectrum", {}).items()
            if v
        ]
        if not curves:
            continue
        for direction in range(max(len(c) for c in curves)):
            values = [100 * c[min(direction, len(c) - 1)] for c in curves]
            rows.append(
                {
                    "update": name,
                    "directions": direction + 1,
                    "energy": float(np.mean(values)),
                    "low": float(min(values)),
                    "high": float(max(values)),
                }
            )
    return rows


def spectrum_chart(rows: Rows) -> alt.LayerChart:
    """Energy of the update (squared singular values) within its first k directions; the band spans the matrices."""
    base = alt.Chart(data_of(rows)).encode(
        x=alt.X(
            "directions:Q",
            scale=alt.Scale(type="log", base=2, domainMin=1, nice=False),
            title="directions (singular vectors), largest first",
        ),
        color=alt.Color(
            "update:N",
            title=None,
            scale=alt.Scale(range=list(PALETTE)),
            legend=alt.Legend(orient="bottom", columns=4, labelLimit=300, symbolOpacity=1),
        ),
    )
    y_scale = alt.Scale(domain=[0, 100])
    return alt.layer(
        base.mark_area(opacity=0.15).encode(
            y=alt.Y("low:Q", scale=y_scale, title="share of the update's energy", axis=PERCENT_AXIS), y2="high:Q"
        ),
        base.mark_line(strokeWidth=2).encode(
            y=alt.Y("energy:Q", scale=y_scale),
            strokeDash=alt.StrokeDash("update:N", legend=None),
            tooltip=["update:N", "directions:Q", "energy:Q"],
        ),
    ).properties(height=280, width="container")
