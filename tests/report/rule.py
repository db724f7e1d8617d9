"""Studies and settings on which the page's rule must say what ``lab.decision`` says;
for the engine and for the browser."""

from __future__ import annotations

import itertools
from dataclasses import replace

from lab.decision import Settings
from lab.measure.joining import beside
from lab.report.tables import margins, volumes
from lab.study import Cell, Choice, Probed, Study, Trial
from tests.test_decision import outcomes, study_of

SIZES, RANKS = (100, 400), (None, 4, 16)


def rich_study() -> Study:
    """Three trained arms with ranks and sizes, two prompted ones; costs that cross; one near tie."""
    study = study_of(
        {"rag": [outcomes(0.72, 400, 0)], "zero_shot": [outcomes(0.1, 400, 9)]},
        {"rag": {"seconds": 0.4, "latency_seconds": 0.5}, "zero_shot": {"seconds": 0.02}},
    )
    for cell in study.cells:
        cell.asks = ["reading_5"] if cell.method == "rag" else ["instruction"]
    for name, rate in (("lora", 0.6), ("rag_lora", 0.74)):
        for rank, size, seed in itertools.product((4, 16), SIZES, (0, 1, 2)):
            study.cells.append(_trained(name, rate, rank, size, seed))
            right = outcomes(0.8 if name == "lora" else 0.5, 200, seed + rank)
            study.probed.append(Probed("word_operations", "words", name, seed, 400, rank, outcomes=right))
    study.probed.append(Probed("word_operations", "words", outcomes=outcomes(0.9, 200, 77)))
    for measured in (*study.cells, *study.probed):
        measured.model = study.model["name"]
    study.plan = {"dropped": []}
    study.settings = {
        "seeds": 3,
        "embedder": "embedder",
        "decoding": {},
        "conventions": {"lora": "alpha = 2 x rank"},
        "command": "lab decide x",
    }
    study.model |= {"parameters": 5, "revision": "r" * 20}
    study.task |= {"digest": "d" * 20, "instruction": "Write the record."}
    study.made |= {"date": "today", "machine": {"name": "m", "dtype": "float32"}, "versions": {"torch": "2"}}
    return study


def _trained(name: str, rate: float, rank: int, size: int, seed: int) -> Cell:
    better = (0.08 if size == 400 else 0) + (0.05 if rank == 16 else 0)
    return Cell(
        name,
        seed,
        size,
        rank,
        machine="m",
        validation=0.5 + better,
        outcomes=outcomes(rate + better, 400, 10 * seed + rank + size),
        adaptation=f"{name} {rank} {size} {seed}",
        needs_documents=name != "lora",
        adapter=True,
        usage={
            "seconds": 0.05 if name == "lora" else 0.2,
            "seconds_error": 0.004,
            "latency_seconds": 0.1,
            "prompt_tokens": 90,
            "cached_tokens": 20,
            "completion_tokens": 5,
            "training_seconds": 3000.0 + 50 * seed,
            "index_seconds": 40.0,
        },
    )


def rare_studies() -> dict[str, tuple[Study, str]]:
    """Several machines, a search elsewhere, an arm that the base can't serve, a run unfinished, nothing of use, content
    without form, one seed, equal costs, another model beside: each with a piece of what must be said."""
    names = (
        "elsewhere",
        "unfit",
        "unfinished",
        "useless",
        "formless",
        "form",
        "held",
        "one seed",
        "one seed, close",
        "alike",
        "raced",
    )
    studies = {name: rich_study() for name in names}
    studies["elsewhere"].cells[0].machine = "another"
    settings = {"context": {"name": "none"}, "weights": {"name": "lora"}}
    trial = Trial(0, settings, 0.5, adaptation="a", seconds=70.0, machine="third")
    studies["elsewhere"].choices = [Choice("k", "lora", 400, 16, [trial], 0)]
    failed = {"says": "x", "accuracy": 0.02, "low": 0.0, "high": 0.05, "items": 200}
    studies["unfit"].probes = {"instruction": failed}
    del studies["unfinished"].made["finished"]
    studies["unfinished"].plan |= {"methods": ["rag", "full"], "cells": 99}
    for cell in studies["useless"].cells:
        cell.outcomes = "w" * 399 + "c"
    for cell in studies["formless"].cells:
        cell.outcomes = "w" * 400
        held = {"rag": 0.61, "zero_shot": 0.01}.get(cell.method, 0.3)
        cell.parts = {"content": [float(n < 400 * held) for n in range(400)]}
    for cell in studies["held"].cells:
        # Passages are read, and the form is missed: less content than the winner's, far more than is counted.
        held = cell.method == "rag"
        cell.parts = {"content": [float(n < 240) for n in range(400)] if held else cell.correct}
        cell.outcomes = "w" * 400 if held else cell.outcomes
    for cell in studies["form"].cells:
        # What is right holds the content; retrieval's answers hold as much and are seldom right.
        rag = cell.method == "rag"
        cell.parts = {"content": [1.0] * 399 + [0.5] if rag else cell.correct}
        cell.outcomes = "w" * 300 + "c" * 100 if rag else cell.outcomes
    for name in ("one seed", "one seed, close"):
        studies[name].cells = [c for c in studies[name].cells if c.seed == 0]
    studies["one seed, close"].items = studies["one seed, close"].items[:40]
    studies["one seed, close"].groups = studies["one seed, close"].groups[:40]
    for n, cell in enumerate(studies["one seed, close"].cells):
        cell.outcomes = outcomes(0.6, 40, n)
    for cell in studies["alike"].cells:
        # Two arms with the same seconds but for what a repeat would change; the dearer one is right more often.
        cell.usage["seconds"] = {"rag": 0.195, "rag_lora": 0.2}.get(cell.method, 0.9) * (1 + 0.05 * cell.seed)
        cell.usage["training_seconds"] = 0.0
        if cell.method in ("rag", "rag_lora"):
            cell.outcomes = outcomes(0.8 if cell.method == "rag" else 0.82, 400, 5)
    for cell in studies["raced"].cells:
        if cell.method in ("zero_shot", "lora"):
            cell.outcomes = cell.outcomes[:60] + "-" * 340
    why = {"words": "dropped after 60 items and 1 draw: 41.0 points behind rag, at least 22.4"}
    studies["raced"].plan["race"] = {
        "margin": 0.05,
        "size": 400,
        "alpha": 0.035,
        "looks": [],
        "log": [],
        "dropped": {"zero_shot": why, "lora": why},
    }
    says = {
        "raced": "lora r16: dropped after 60 items and 1 draw",
        "one seed": "leads, with one seed, which is no verdict: right on",
        "one seed, close": "is not shown.",
        "alike": "costs the same within the error of the costs",
        "formless": "but the content is there: rag is right on 0.0 % of the test items, and 61.0 % of its completions",
        "held": "Take rag_lora r16",
        "form": "It wins by form, not by knowledge: 99.8 % of the completions of rag hold the right content",
        "elsewhere": "Searched on another machine",
        "unfit": "not evaluable on this base model",
        "unfinished": "The run is not finished",
        "useless": "None of the arms does this task",
    }
    return {name: (study, says[name]) for name, study in studies.items()} | {
        "deployed": (deployed_study(), "Compared as deployed, not matched: rag on big"),
    }


def deployed_study() -> Study:
    """The arms of one base, and beside them retrieval with a larger model behind an endpoint."""
    other = study_of({"rag": [outcomes(0.93, 400, 0)]}, {"rag": {"seconds": 0.9, "prompt_tokens": 400}})
    other = replace(
        other,
        task={"name": "t", "digest": "d" * 20},
        model={"name": "big", "revision": "2026-11-26", "parameters": 0, "window": 9},
        settings={"seeds": 1, "embedder": "embedder", "decoding": {"max_tokens": 9}, "command": "lab decide y"},
    )
    for cell in other.cells:
        cell.machine, cell.model = "an endpoint", "big"
    return beside(rich_study(), [other])


def grid() -> list[tuple[Settings, int | None, int | None, dict[str, object]]]:
    """(settings, size, rank, the page's controls for them) over the sliders' range: prices, hostings and limits too."""
    offered, allowed = volumes(Settings()), margins(Settings())
    axes = itertools.product(
        (0, 1), (0, 1, 2), (0, 6, 15), (0.5, 5.0, 12.0, 20.0), (0.0, 1.0, 30.0), (1, 36), ("", "0.3", "0.01")
    )
    prices = itertools.cycle(
        [
            ("shared", 0.0, 0.0, ""),
            ("dedicated", 0.0, 0.0, "20"),
            ("api", 0.5, 2.0, ""),
            ("shared", 8.0, 0.0, "25"),
            ("api", 3.0, 0.1, "70"),
        ]
    )
    cases = []
    for (size, rank, volume, margin, price, months, latency), (hosting, updates, prompt, forgetting) in zip(
        axes, prices
    ):
        settings = Settings(
            margin=margin / 100,
            monthly_requests=offered[volume],
            price_per_hour_usd=price,
            months=months,
            latency_limit_seconds=float(latency) if latency else None,
            hosting=hosting,
            updates_a_month=updates,
            usd_per_million_prompt_tokens=prompt,
            usd_per_million_completion_tokens=1.5,
            forgetting_limit=float(forgetting) / 100 if forgetting else None,
        )
        controls = {
            "hosting": hosting,
            "updates": updates,
            "prompt-price": prompt,
            "completion-price": 1.5,
            "forgetting": forgetting,
            "size": size,
            "rank": rank,
            "requests": volume,
            "margin": allowed.index(margin / 100),
            "price": price,
            "months": months,
            "latency": latency,
        }
        cases.append((settings, SIZES[size], RANKS[rank], controls))
    return cases
