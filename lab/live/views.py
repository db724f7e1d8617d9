"""Rows and charts that the notebooks show, from stored results alone: nothing here trains or completes."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

import lab.context
from lab.context.base import Tools
from lab.families import member_from
from lab.measure.arms import arm_of
from lab.measure.flops import Shape
from lab.measure.ledger import Account
from lab.measure.memory import forecast_training
from lab.models.prompts import render
from lab.report.charts import PALETTE, Rows, colour_of, data_of
from lab.schema import LabError
from lab.store import Store
from lab.study import Cell, Study
from lab.tasks.task import Task, load_task

REPOSITORY = Path(__file__).resolve().parents[2]
LLAMA_8B = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}
"""The shape of Llama-3.1-8B, from its config.json."""
PERCENT_AXIS = alt.Axis(labelExpr="datum.value + ' %'", tickCount=5)


def task_folders() -> dict[str, str]:
    """{label: folder} of the tasks at hand: here, under ``datasets/`` here, and the bundled ones."""
    places = [Path("."), Path("datasets"), REPOSITORY / "datasets"]
    found = {}
    for place in places:
        for path in sorted(place.glob("*/task.toml")):
            found.setdefault(path.parent.name, str(path.parent))
    return found


def load(folder: str) -> tuple[Task | None, str]:
    """A task, or why it can't be read."""
    try:
        return load_task(folder), ""
    except LabError as error:
        return None, str(error)


def trial_rows(study: Study, axis: str) -> list[dict[str, Any]]:
    """Validation accuracy of every trial that differs in a context setting such as ``k`` or ``examples``, at the largest size searched."""
    rows = []
    for choice in study.choices:
        for trial in choice["trials"]:
            value = trial["settings"]["context"].get(axis)
            if value is not None and trial["accuracy"] >= 0:
                others = ", ".join(f"{k} {v}" for f in ("context", "weights") for k, v in trial["settings"][f].items() if k not in ("name", "version", axis))
                rows.append({"method": choice["method"], "size": choice["size"], axis: value, "with": others or "defaults", "right on validation": round(100 * trial["accuracy"], 1),
                             "items": choice["validation_items"], "chosen": "chosen" if trial["number"] == choice["chosen"] else ""})
    return rows


def heat_rows(study: Study, method: str) -> list[dict[str, Any]]:
    """Mean accuracy, its interval and the seeds for every rank and size of a method."""
    rows = []
    for rank in study.ranks(method):
        for size in study.sizes():
            arm = arm_of(study, method, size, rank)
            if arm and arm.rank == rank and all(c.rank == rank for c in arm.cells):
                low, high = arm.interval
                by_seed = [100 * c.accuracy for c in arm.cells]
                rows.append({"rank": rank, "size": size, "accuracy": round(100 * arm.accuracy, 1), "low": round(100 * low, 1), "high": round(100 * high, 1), "seeds": len(arm.cells),
                             "by seed": ", ".join(f"{v:.1f}" for v in by_seed), "trained parameters": int(arm.usage("trained_parameters")), "training seconds": round(arm.usage("training_seconds"), 1)})
    return rows


def heat_chart(rows: Rows) -> alt.LayerChart:
    """Accuracy over rank and data size, the number in each field."""
    base = alt.Chart(data_of(rows)).encode(x=alt.X("size:O", title="labelled examples (train + validation)", axis=alt.Axis(labelAngle=0)),
                                                              y=alt.Y("rank:O", title="LoRA rank", sort="descending"))
    return alt.layer(
        base.mark_rect().encode(color=alt.Color("accuracy:Q", scale=alt.Scale(scheme="blues", domain=[0, 100]), title="right, %"), tooltip=["rank:O", "size:O", "accuracy:Q", "low:Q", "high:Q", "by seed:N"]),
        base.mark_text(fontSize=14).encode(text=alt.Text("accuracy:Q", format=".1f"), color=alt.condition("datum.accuracy > 55", alt.value("white"), alt.value("black"))),
    ).properties(height=alt.Step(48), width="container")


def training_of(store: Store, adaptation: str) -> dict[str, Any]:
    """The training log of an adaptation; empty where it is not at hand."""
    entry = store.find("adaptation", adaptation) if adaptation else None
    return entry.record["result"]["log"] if entry else {}


def loss_rows(study: Study, store: Store, method: str, size: int) -> list[dict[str, Any]]:
    """Training loss and validation accuracy by step, for every rank and seed at a size."""
    rows = []
    for cell in study.cells:
        if (cell.method, cell.size, cell.control) == (method, size, ""):
            for point in training_of(store, cell.adaptation).get("curve", []):
                rows.append({"step": point["step"], "loss": point["loss"], "right on validation": 100 * point.get("validation_accuracy", 0.0), "rank": str(cell.rank), "seed": cell.seed,
                             "run": f"rank {cell.rank}, seed {cell.seed}"})
    return rows


def loss_chart(rows: Rows, field: str, title: str) -> alt.Chart:
    """One line a run, coloured by rank."""
    return alt.Chart(data_of(rows)).mark_line(point=True, strokeWidth=1.5).encode(
        x=alt.X("step:Q", title="optimizer steps"), y=alt.Y(f"{field}:Q", title=title), color=alt.Color("rank:N", title="rank", sort=None, scale=alt.Scale(range=list(PALETTE))),
        strokeDash=alt.StrokeDash("seed:N", title="seed"), detail="run:N", tooltip=["run:N", "step:Q", f"{field}:Q"]).properties(height=260, width="container")


def ranked_cells(study: Study) -> int:
    """How many cells of a study have a rank: what there is to see of rank and data."""
    return sum(c.rank is not None for c in study.cells)


def rate_rows(study: Study) -> list[dict[str, Any]]:
    """Validation accuracy by learning rate, for each searched method and size."""
    rows = []
    for choice in study.choices:
        for trial in choice["trials"]:
            rate = trial["settings"]["weights"].get("learning_rate")
            if rate is not None:
                rows.append({"method": choice["method"], "size": choice["size"], "learning rate": rate, "accuracy": 100 * max(0.0, trial["accuracy"]), "nll": trial["nll"],
                             "search": f"{choice['method']}, {choice['size']} examples", "colour": colour_of(choice["method"])})
    return rows


def rate_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """How sensitive is each method to its learning rate? One colour a method, one dash a data size."""
    colours = {r["method"]: r["colour"] for r in rows}
    return alt.Chart(alt.InlineData(values=list(rows))).mark_line(point=True).encode(
        x=alt.X("learning rate:Q", scale=alt.Scale(type="log"), axis=alt.Axis(format="~g")), y=alt.Y("accuracy:Q", title="right on validation", scale=alt.Scale(domain=[0, 100]), axis=PERCENT_AXIS),
        color=alt.Color("method:N", title=None, scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=alt.Legend(orient="bottom", columns=4)),
        strokeDash=alt.StrokeDash("size:N", title="labelled examples", legend=alt.Legend(orient="bottom", columns=4)), tooltip=["search:N", "learning rate:Q", "accuracy:Q"]).properties(height=260, width="container")


def spectrum_rows(logs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """{name: training log} to share of the update's energy within its first directions, mean and range over matrices."""
    rows = []
    for name, log in logs.items():
        whole = log.get("energy", {})
        curves = [np.cumsum(np.square(v)) / max(1e-30, whole.get(matrix, np.sum(np.square(v)))) for matrix, v in log.get("spectrum", {}).items() if v]
        if not curves:
            continue
        for direction in range(max(len(c) for c in curves)):
            values = [100 * c[min(direction, len(c) - 1)] for c in curves]
            rows.append({"update": name, "directions": direction + 1, "energy": float(np.mean(values)), "low": float(min(values)), "high": float(max(values))})
    return rows


def spectrum_chart(rows: Rows) -> alt.LayerChart:
    """Energy of the update (squared singular values) within its first k directions; the band spans the matrices."""
    base = alt.Chart(data_of(rows)).encode(x=alt.X("directions:Q", scale=alt.Scale(type="log", base=2, domainMin=1, nice=False), title="directions (singular vectors), largest first"),
                                                              color=alt.Color("update:N", title=None, scale=alt.Scale(range=list(PALETTE)), legend=alt.Legend(orient="bottom", columns=4, labelLimit=300, symbolOpacity=1)))
    y_scale = alt.Scale(domain=[0, 100])
    return alt.layer(base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", scale=y_scale, title="share of the update's energy", axis=PERCENT_AXIS), y2="high:Q"),
                     base.mark_line(strokeWidth=2).encode(y=alt.Y("energy:Q", scale=y_scale), strokeDash=alt.StrokeDash("update:N", legend=None), tooltip=["update:N", "directions:Q", "energy:Q"])).properties(height=280, width="container")


def split_chart(task: Task) -> alt.Chart:
    """Items by split."""
    rows = [{"split": s, "items": len(task.split(s)), "order": n} for n, s in enumerate(("train", "validation", "test"))]
    return alt.Chart(alt.InlineData(values=rows)).mark_bar(color=PALETTE[0]).encode(x=alt.X("items:Q", title="items"), y=alt.Y("split:N", sort=alt.EncodingSortField("order"), title=None),
                                                                                    tooltip=["split:N", "items:Q"]).properties(height=alt.Step(28), width="container")


def balance_rows(task: Task, most: int = 20) -> list[dict[str, Any]]:
    """The most frequent targets of train, and the rest as one row."""
    from collections import Counter

    counts = Counter(s.target for s in task.train).most_common()
    rows = [{"target": t if len(t) <= 40 else t[:40] + " ...", "items": n, "order": i} for i, (t, n) in enumerate(counts[:most])]
    if len(counts) > most:
        rows.append({"target": f"{len(counts) - most:,} others", "items": sum(n for _, n in counts[most:]), "order": most})
    return rows


def balance_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """How often each target occurs in train."""
    return alt.Chart(alt.InlineData(values=list(rows))).mark_bar(color=PALETTE[2]).encode(x=alt.X("items:Q", title="train items"), y=alt.Y("target:N", sort=alt.EncodingSortField("order"), title=None),
                                                                                          tooltip=["target:N", "items:Q"]).properties(height=alt.Step(20), width="container")


def length_chart(task: Task) -> alt.Chart:
    """Words of inputs and targets, counted in bins."""
    rows = []
    for part in ("input", "target"):
        words = [len(getattr(s, part).split()) for s in (*task.labelled, *task.test)]
        counts, edges = np.histogram(words, bins=min(20, max(1, len(set(words)))))
        rows += [{"part": part, "from": float(a), "to": float(b), "items": int(n)} for n, a, b in zip(counts, edges, edges[1:])]
    return alt.Chart(alt.InlineData(values=rows)).mark_bar().encode(x=alt.X("from:Q", title="words", bin="binned"), x2="to:Q", y=alt.Y("items:Q", title="items"), tooltip=["from:Q", "to:Q", "items:Q"],
                                                                    color=alt.Color("part:N", scale=alt.Scale(domain=["input", "target"], range=[PALETTE[0], PALETTE[1]]), legend=None),
                                                                    row=alt.Row("part:N", title=None)).properties(height=90).resolve_scale(y="independent", x="independent")


def recall_rows(task: Task, searchers: dict[str, Any], limits: Sequence[int], most: int = 300) -> list[dict[str, Any]]:
    """Recall@k on validation items with known evidence, for each named (searcher, passages)."""
    from lab.context.retrieval.search import recall_at

    samples = [s for s in task.labelled if s.evidence][:most]
    rows = []
    for name, (searcher, passages) in searchers.items():
        found = [[passages[i].document_id for i, _ in hits] for hits in searcher.search([s.input for s in samples], max(limits))] if samples else []
        rows += [{"search": name, "k": k, "recall": 100 * recall_at(found, [s.evidence for s in samples], k)} for k in limits if samples]
    return rows


def recall_chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    """Recall by number of passages."""
    return alt.Chart(alt.InlineData(values=list(rows))).mark_line(point=True).encode(x=alt.X("k:Q", title="passages in the prompt (k)", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("recall:Q", title="items whose document is among them", scale=alt.Scale(domain=[0, 100]), axis=PERCENT_AXIS),
        color=alt.Color("search:N", title=None, scale=alt.Scale(range=list(PALETTE)), legend=alt.Legend(orient="bottom", columns=2)), shape=alt.Shape("search:N", title=None), tooltip=["search:N", "k:Q", "recall:Q"]).properties(height=260, width="container")


def prompt_of(task: Task, cell: Cell, largest: int, sample_id: str, tools: Tools) -> str:
    """The prompt that an arm's first seed gives an item, before it is cut to the window."""
    context = member_from(lab.context, cell.context)
    scoped = task.scoped(cell.size or largest, cell.seed)
    sample = next(s for s in (*task.labelled, *task.test) if s.id == sample_id)
    return render(context.fit(scoped, tools).build(sample))


def memory_rows(config: bytes | None, methods: Sequence[str], batch: int, sequence: int, rank: int, checkpointing: bool) -> tuple[list[dict[str, Any]], str]:
    """Training memory in GiB by method, of an uploaded ``config.json`` (Llama-3.1-8B's shape without one); or what is wrong with it."""
    try:
        shape = Shape.of(json.loads(config) if config else LLAMA_8B)
    except (ValueError, LabError) as error:
        return [], str(error)
    found = {m: forecast_training(shape, m, batch=batch, sequence=sequence, rank=rank, checkpointing=checkpointing) for m in methods}
    return [{"method": m, "model": f"{shape.parameters / 1e9:.2f} B parameters", **{part: round(value / 2**30, 2) for part, value in asdict(memory).items()}, "GiB in all": round(memory.total / 2**30, 1)} for m, memory in found.items()], ""


def scaled_account(account: Account, epochs: int, rank: int) -> Account:
    """A measured training at other epochs and rank, by arithmetic: tokens, steps, FLOPs and seconds with the epochs, trained parameters and optimizer state with the rank."""
    times = epochs / account.settings.get("epochs", 10)
    wider = rank / account.settings.get("rank", 16) if account.name == "lora" else 1.0
    return replace(account, tokens=round(account.tokens * times), steps=round(account.steps * times), flops=account.flops * times, counted_flops=account.counted_flops * times, seconds=account.seconds * times,
                   trained_parameters=round(account.trained_parameters * wider), optimizer_bytes=round(account.optimizer_bytes * wider))


def own_case(billions: float, trillions: float, examples: float, tokens_each: float, epochs: float, percent: float) -> dict[str, float]:
    """FLOPs by 6 N D and 4 N D + 6 P D, memory by 16 N and 2 N + 16 P bytes."""
    n, before, tokens, adapter = billions * 1e9, trillions * 1e12, examples * tokens_each * epochs, billions * 1e9 * percent / 100
    full, lora = 6 * n * tokens, (4 * n + 6 * adapter) * tokens
    return {"times less": 6 * n * before / lora, "by tokens": before / tokens, "by gradients": full / lora, "full GiB": 16 * n / 2**30, "lora GiB": (2 * n + 16 * adapter) / 2**30}


def words(text: str) -> str:
    """A text that came from outside as Markdown that shows it and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~:$@-])", lambda m: f"&#{ord(m.group())};", html.escape(text)).replace("\n", " ")


def note_test_look(home: Path, task: Task, what: str) -> int:
    """Write down that a person looked at test items; how many such looks there have been."""
    path = home / "looks" / f"{task.digest[:16]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"date": datetime.now(UTC).isoformat(timespec="seconds"), "what": what}) + "\n")
    return len(path.read_text(encoding="utf-8").splitlines())
