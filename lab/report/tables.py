"""Tables of a study and its decision as plain rows: what report, Markdown, terminal and notebooks show.

``controls_table(study)`` gives [{"label": "rag", "retrieved": 0.82, "oracle": 0.83, "random": 0.01, ...}].
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from lab.decision import Decision, Settings, priced
from lab.measure.arms import arm_of, arms_at
from lab.measure.cost import break_even, request_usd
from lab.measure.forgetting import Forgotten, forgotten
from lab.study import Study, Trial

PART_NAMES = {"format": "format holds", "content": "content right", "f1": "token F1"}


def ranks_of(study: Study) -> list[int]:
    """Every rank that an arm was run with."""
    return sorted({r for name in study.arms() for r in study.ranks(name)})


def volumes(settings: Settings) -> list[int]:
    """Monthly requests that the slider offers: 1, 2 and 5 times the powers of ten, and the user's own."""
    return sorted({m * 10**e for e in range(2, 7) for m in (1, 2, 5)} | {10**7, settings.monthly_requests})


def margins(settings: Settings) -> list[float]:
    """Margins that the slider offers: half points up to 20, and the user's own."""
    return sorted({n / 200 for n in range(1, 41)} | {settings.margin})


def parts_of(decision: Decision) -> list[str]:
    """Names of the partial scores that any arm has."""
    return list(dict.fromkeys(p for a in decision.arms for p in a.parts))


def cost_table(decision: Decision) -> list[dict[str, Any]]:
    """What each arm costs at the settings, people apart."""
    requests = decision.settings.monthly_requests
    return [
        {
            "label": a.label,
            "making": a.making_usd,
            "updates": a.updates_usd,
            "thousand": 1000 * request_usd(a.used, decision.settings.prices_of(a)),
            "monthly": a.monthly_usd,
            "correct": a.monthly_usd / (requests * a.accuracy) if requests and a.accuracy else None,
            "people": a.people_usd,
            "latency": a.latency_seconds,
            "p95": a.latency_p95_seconds,
            "side": a.side_latency_seconds,
            "training_peak": a.training_peak_bytes,
            "peak": a.peak_bytes,
            "parameters": a.trained_parameters,
            "left_out": a.left_out,
        }
        for a in decision.arms
    ]


def even_table(decision: Decision) -> list[dict[str, Any]]:
    """Break-even volume of every pair of arms."""
    rows = []
    for first, second in combinations(decision.arms, 2):
        found = break_even(priced(first, decision.settings), priced(second, decision.settings))
        rows.append(
            {
                "pair": f"{first.label} and {second.label}",
                "volume": found.volume,
                "low": found.low,
                "high": found.high,
                "cheaper": found.cheaper_above,
            }
        )
    return rows


def lost_of(study: Study) -> list[Forgotten]:
    """What every probed arm forgot, at each rank and size."""
    probed = [(study.name_of(p), p.rank or 0, p.size or 0) for p in study.probed if p.method]
    names = list(dict.fromkeys(name for name, _, _ in probed))
    found = (
        forgotten(study, name, size or None, rank or None)
        for name, rank, size in sorted(set(probed), key=lambda a: (names.index(a[0]), *a[1:]))
    )
    return [f for f in found if f]


def plan_seconds(study: Study) -> dict[str, float] | None:
    """Forecast of the whole run beside what its cells took, where it measured everything itself."""
    forecast, measured = study.plan.get("forecast_seconds"), study.made.get("seconds")
    return {"forecast": forecast, "measured": measured} if forecast and measured else None


def forecast_table(study: Study, price_per_hour_usd: float) -> list[dict[str, Any]]:
    """Of each arm that this run measured itself: seconds and dollars as forecast beside the measured ones, its search
    and its cells; what came from the store takes no time in either."""
    rows = []
    for name, forecast in study.plan.get("forecast", {}).items():
        measured = [m for m in study.plan["measured"].values() if m["method"] == name]
        seconds, taken = (
            forecast["search"] + sum(forecast["cells"].values()),
            sum(m["search"] + m["cell"] for m in measured),
        )
        if seconds > 0 and len(measured) == len(forecast["cells"]):
            rows.append(
                {
                    "arm": name,
                    "cells": len(measured),
                    "forecast": seconds,
                    "measured": taken,
                    "off": seconds / taken - 1,
                    "forecast_usd": seconds * price_per_hour_usd / 3600,
                    "measured_usd": taken * price_per_hour_usd / 3600,
                    "peak_bytes": forecast["peak_bytes"],
                    "measured_bytes": max(
                        (
                            c.usage.get("training_peak_bytes") or c.usage.get("peak_bytes", 0.0)
                            for c in study.cells
                            if c.method == name and not c.control
                        ),
                        default=0.0,
                    ),
                }
            )
    return rows


def controls_table(study: Study) -> list[dict[str, Any]]:
    """Each passage arm with retrieved, gold and random passages, at the largest size."""
    rows = []
    size = study.sizes()[-1] if study.sizes() else None
    for arm in arms_at(study):
        with_controls = {c: arm_of(study, arm.name, size, arm.rank, c) for c in ("oracle", "random")}
        if any(with_controls.values()):
            rows.append(
                {
                    "label": arm.label,
                    "retrieved": arm.accuracy,
                    "recall": arm.recall(),
                    "oracle": getattr(with_controls["oracle"], "accuracy", None),
                    "random": getattr(with_controls["random"], "accuracy", None),
                }
            )
    return rows


def grid_table(study: Study) -> list[dict[str, Any]]:
    """Every cell group that was run: method, rank, size, mean accuracy over its seeds."""
    rows = []
    for name in study.arms():
        for rank in study.ranks(name) or [None]:
            sizes = sorted({c.size for c in study.cells if study.name_of(c) == name and c.size is not None}) or [None]
            for size in sizes:
                arm = arm_of(study, name, size, rank)
                if arm:
                    low, high = arm.interval
                    rows.append(
                        {
                            "label": arm.label,
                            "size": size,
                            "seeds": len(arm.cells),
                            "accuracy": arm.accuracy,
                            "low": low,
                            "high": high,
                            "training_seconds": arm.usage("training_seconds"),
                            "validation": arm.cells[0].validation,
                        }
                    )
    return rows


def choices_table(study: Study) -> list[dict[str, Any]]:
    """What validation chose for each arm, from what, with how many looks."""
    return [
        {
            "method": study.name_of(choice),
            "size": choice.size,
            "rank": choice.rank,
            "chosen": _in_words(choice.best),
            "accuracy": choice.best.accuracy,
            "items": choice.validation_items,
            "looks": choice.looks,
            "trials": len(choice.trials),
            "edge": ", ".join(choice.at_edge),
            "rising": choice.still_rising,
        }
        for choice in study.choices
    ]


def _in_words(trial: Trial) -> str:
    both = (trial.settings[family].items() for family in ("context", "weights"))
    settings = {k: v for family in both for k, v in family if k not in ("name", "version")}
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items()) or "defaults"


def candidates_tried(study: Study) -> dict[str, Any]:
    """How many candidates each arm tried on validation: in words, and whether all tried as many."""
    counts: dict[str, list[int]] = {}
    for choice in study.choices:
        counts.setdefault(study.name_of(choice), []).append(len(choice.trials))
    distinct = {n for tried in counts.values() for n in tried}
    if len(distinct) <= 1:
        count = next(iter(distinct), 0)
        return {"equal": True, "words": f"Each arm tried {count} candidates on validation."}
    told = ", ".join(f"{name} {' and '.join(str(n) for n in sorted(set(tried)))}" for name, tried in counts.items())
    return {"equal": False, "words": f"The arms did not try the same number of candidates on validation: {told}."}
