"""Why is fine-tuning so cheap? One HTML page, and the charts that the notebook shares.

``write_why(why, Path("reports/why"))`` gives the path of ``why_cheap.html``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
from markupsafe import Markup

from lab.experiments.why.ledger import Account, Figure, Why, factors, public_figures, worth_in_examples
from lab.report.charts.base import svg
from lab.report.looks import MARKS, PALETTE
from lab.report.rendering import script_hashes, template

NAMES = ("lora", "full", "scratch")
SAYS = {"lora": "LoRA, rank 16", "full": "full fine-tuning", "scratch": "from scratch"}


def start_rows(found: Why) -> list[dict[str, Any]]:
    """One row a method and size."""
    return [
        {
            "method": SAYS.get(a.name, a.name),
            "size": a.size,
            "tokens": a.tokens,
            "right": 100 * a.accuracy,
            "low": 100 * a.interval[0],
            "high": 100 * a.interval[1],
            "colour": PALETTE[n],
            "mark": MARKS[n],
        }
        for n, name in enumerate(NAMES)
        for a in found.of(name)
    ]


def start_chart(rows: Sequence[dict[str, Any]], x_field: str = "size") -> alt.LayerChart:
    """Right answers by labelled examples (or by tokens trained on), for each start."""
    titles = {"size": "labelled examples (logarithmic)", "tokens": "tokens trained on (logarithmic)"}
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        x=alt.X(
            f"{x_field}:Q",
            scale=alt.Scale(type="log", nice=True),
            title=titles[x_field],
            axis=alt.Axis(format="~s", tickCount=5),
        )
    )
    names = list(dict.fromkeys(r["method"] for r in rows))
    colours = alt.Color(
        "method:N",
        title=None,
        scale=alt.Scale(domain=names, range=[next(r["colour"] for r in rows if r["method"] == n) for n in names]),
        legend=alt.Legend(orient="bottom"),
    )
    shapes = alt.Shape(
        "method:N",
        title=None,
        scale=alt.Scale(domain=names, range=[next(r["mark"] for r in rows if r["method"] == n) for n in names]),
        legend=alt.Legend(orient="bottom"),
    )
    y = alt.Y(
        "right:Q",
        title="right on items that no training saw",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(labelExpr="datum.value + ' %'", tickCount=5),
    )
    return alt.layer(
        base.mark_line().encode(y=y, color=colours),
        base.mark_rule(opacity=0.6).encode(y="low:Q", y2="high:Q", color=colours),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y=y,
            color=colours,
            shape=shapes,
            tooltip=["method:N", "size:Q", "tokens:Q", alt.Tooltip("right:Q", format=".1f")],
        ),
    ).properties(height=280, width="container")


def share_rows(points: Sequence[tuple[Any, int, int]]) -> list[dict[str, Any]]:
    """(place, right, items) as percent with Wilson's interval."""
    from lab.measure.statistics import wilson

    rows = []
    for n, (place, right, items) in enumerate(points):
        low, high = wilson(right, items)
        rows.append(
            {"place": str(place), "order": n, "right": 100 * right / items, "low": 100 * low, "high": 100 * high}
        )
    return rows


def share_chart(rows: Sequence[dict[str, Any]], title: str, colour: str = PALETTE[0]) -> alt.LayerChart:
    """Right answers by an ordered place, with intervals."""
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        x=alt.X("place:N", sort=alt.EncodingSortField("order"), title=title, axis=alt.Axis(labelAngle=0))
    )
    y = alt.Y(
        "right:Q",
        title="right",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(labelExpr="datum.value + ' %'", tickCount=5),
    )
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.6, color=colour).encode(y="low:Q", y2="high:Q"),
        base.mark_line(color=colour).encode(y=y),
        base.mark_point(filled=True, size=70, color=colour, opacity=1).encode(
            y=y, tooltip=["place:N", alt.Tooltip("right:Q", format=".1f")]
        ),
    ).properties(height=240, width="container")


def layer_chart(found: Why) -> alt.FacetChart:
    """What a linear probe finds in each layer; the dashed line is the most frequent label."""
    rows = [
        r
        | share_rows([(r["layer"], r["right"], r["items"])])[0]
        | {"majority": 100 * r["majority"], "right": 100 * r["right"] / r["items"]}
        for r in found.layers
    ]
    base = alt.Chart().encode(x=alt.X("layer:O", title="after layer (0: embeddings)", axis=alt.Axis(labelAngle=0)))
    y = alt.Y(
        "right:Q",
        title="right",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(labelExpr="datum.value + ' %'", tickCount=5),
    )
    return (
        alt.layer(
            base.mark_line(strokeDash=[4, 3], color="#888888").encode(y="majority:Q"),
            base.mark_rule(opacity=0.6, color=PALETTE[2]).encode(y="low:Q", y2="high:Q"),
            base.mark_line(color=PALETTE[2]).encode(y=y),
            base.mark_point(filled=True, color=PALETTE[2], size=60).encode(y=y),
            data=alt.InlineData(values=rows),
        )
        .properties(width=210, height=200)
        .facet(facet=alt.Facet("says:N", title=None, sort=None, header=alt.Header(labelLimit=230)), columns=3)
    )


def figure_rows(found: Why | None, figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Published GPU hours and the lab's own hours, on one scale and never compared by number:
    other machines, other models."""
    rows = [{"name": f.name, "what": f.what, "hours": f.gpu_hours, "source": f.source} for f in figures if f.gpu_hours]
    if found and found.pretraining.tokens_per_second:
        rows.append(
            {
                "name": f"{found.model['name']} (this lab, CPU)",
                "what": "pretraining",
                "hours": found.pretraining.seconds_here / 3600,
                "source": "measured pace here",
            }
        )
        rows += [
            {
                "name": f"{found.model['name']}, {SAYS[a.name]} (this lab, CPU)",
                "what": "fine-tuning",
                "hours": a.seconds_here / 3600,
                "source": "measured pace here",
            }
            for a in found.of("lora")[-1:]
        ]
    return rows


def figure_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Hours of one device, logarithmic."""
    return (
        alt.Chart(alt.InlineData(values=sorted(rows, key=lambda r: -r["hours"])))
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=alt.X(
                "hours:Q",
                scale=alt.Scale(type="log"),
                title="hours of one device (GPU hours of the source's GPU; logarithmic)",
                axis=alt.Axis(format="~g", tickCount=6),
            ),
            y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(domain=["pretraining", "fine-tuning"], range=[PALETTE[1], PALETTE[0]]),
            ),
            shape=alt.Shape("what:N", title=None),
            tooltip=["name:N", alt.Tooltip("hours:Q", format=",.3g"), "source:N"],
        )
        .properties(height=alt.Step(26), width="container")
    )


def account_rows(found: Why) -> list[dict[str, Any]]:
    """Pretraining and every training as plain columns."""

    def row(a: Account) -> dict[str, Any]:
        pre = a.name == "pretraining"
        return {
            "training": SAYS.get(a.name, a.name),
            "examples": a.size,
            "tokens": a.tokens,
            "steps": a.steps,
            "trained parameters": a.trained_parameters,
            "optimizer state, MB": a.optimizer_bytes / 1e6,
            "FLOPs by formula": a.flops,
            "FLOPs counted": a.counted_flops or None,
            "tokens a second": a.tokens_per_second or None,
            "seconds here": a.seconds_here,
            "seconds by the clock": None if pre else a.seconds,
            "right": None if pre else 100 * a.accuracy,
        }

    return [row(found.pretraining), *(row(a) for name in NAMES for a in found.of(name))]


def factor_rows(found: Why) -> list[dict[str, Any]]:
    """The decomposition for the largest training of each method."""
    rows = []
    for name in NAMES:
        if own := found.of(name):
            f = factors(found, own[-1])
            rows.append(
                {
                    "training": f"{SAYS[name]}, {own[-1].size} examples",
                    "tokens": f.tokens,
                    "FLOPs a token": f.flops_a_token,
                    "utilisation": f.utilisation,
                    "seconds": f.seconds,
                    "memory": f.memory,
                    "double": f.double_counted,
                }
            )
    return rows


def write_why(found: Why, out: Path) -> Path:
    """why_cheap.html beside why.json."""
    out.mkdir(parents=True, exist_ok=True)
    frozen = [("0", a.right, a.items) for a in found.of("full")[-1:]] + [
        (a.settings["frozen_layers"], a.right, a.items) for a in found.frozen
    ]
    cut = [("whole" if t["rank"] is None else t["rank"], t["right"], t["items"]) for t in found.truncated]
    pictures = {
        "starts": start_chart(start_rows(found)) if found.trainings else None,
        "tokens": start_chart(start_rows(found), "tokens") if found.trainings else None,
        "frozen": share_chart(share_rows(frozen), "frozen first layers", PALETTE[1]) if found.frozen else None,
        "cut": share_chart(share_rows(cut), "rank that the update is cut to") if cut else None,
        "layers": layer_chart(found) if found.layers else None,
        "figures": figure_chart(figure_rows(found, public_figures())),
    }
    script = Markup(template("lab.experiments", "calculator.js").render())
    page = template("lab.experiments", "why.html").render(
        why=found,
        accounts=account_rows(found),
        factors=factor_rows(found),
        worth=worth_in_examples(found),
        figures=public_figures(),
        script=script,
        pictures={n: Markup(svg(c)) for n, c in pictures.items() if c is not None},
        hash=script_hashes([script]),
        title=json.dumps(found.task["name"])[1:-1],
    )
    path = out / "why_cheap.html"
    path.write_text(page, encoding="utf-8")
    return path
