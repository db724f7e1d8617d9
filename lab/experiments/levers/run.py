"""A sweep of one arm's levers: how much it learns and how much it forgets, one setting changed at a time.

The arm starts from what validation chose for it; quality is measured on labelled items that no training saw (never on
test items), forgetting on the probes::

    sweep(bench, probes, "lora", size=400, axes={"replay": [0.01, 0.05, 0.25]}, seeds=1) -> Sweep
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from lab.experiments.chosen import chosen_candidate, spare_items
from lab.experiments.levers.points import START, Point, Sweep
from lab.flow.bench import Bench, RunSpec
from lab.flow.families import settings_of
from lab.flow.methods import Candidate
from lab.flow.probing import Prober, ProbeSet
from lab.schema import LabError, TrainingFailed
from lab.store import provenance
from lab.study import draws

FIXED_AXES = ("study", "study_rate", "study_epochs")


def read_axes(texts: Sequence[str], weights: Any) -> dict[str, list[Any]]:
    """``["replay=0,0.05", "epochs=3,30"]`` as axes of a weight method; raises LabError naming the valid ones."""
    # Wordings are those of documents that are read first.
    fixed = FIXED_AXES if weights.study else (*FIXED_AXES, "wordings")
    known = {f.name: f.default for f in fields(weights) if f.name not in fixed}
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or name not in known:
            raise LabError(
                f"--axis {text}: an axis of {weights.name} and its values, such as replay=0,0.05; axes are "
                f"{', '.join(known)}"
            )
        kind = type(known[name])
        try:
            axes[name] = [kind(float(v)) if kind is not str else v for v in values.split(",") if v]
        except ValueError:
            raise LabError(f"--axis {text}: {name} takes numbers with commas between them") from None
        if not axes[name]:
            raise LabError(f"--axis {text}: no value")
        for value in axes[name]:
            replace(weights, **{name: value})
    return axes


def changed(weights: Any, axis: str, value: Any) -> Any:
    """The weights with one lever moved; few epochs must not be lengthened again by the least number of steps."""
    return replace(weights, **({axis: value} | ({"minimum_steps": 1} if axis == "epochs" else {})))


def sweep(
    bench: Bench,
    probes: ProbeSet,
    name: str,
    size: int,
    axes: dict[str, list[Any]],
    seeds: int,
    after_point: Callable[[Sweep], None] = lambda found: None,
) -> Sweep:
    """Run the start and every setting of the axes with every seed; ``after_point`` sees the sweep as it grows."""
    task, model, prober = bench.task, bench.model, Prober(bench.model, bench.store, bench.progress)
    found = Sweep(
        {"name": task.name, "digest": task.digest},
        {"name": model.name, "revision": model.revision},
        name,
        size,
        bench.general.name if bench.general else "",
    )
    found.made = provenance() | {"machine": bench.machine}
    found.base = probes.of_base(prober)
    chosen = chosen_candidate(bench, name, size, [size])
    moved = [(axis, v, changed(chosen.weights, axis, v)) for axis, values in axes.items() for v in values]
    for seed in draws(seeds):
        for axis, value, weights in [(START, None, chosen.weights), *moved]:
            spec = RunSpec(Candidate(chosen.context, weights), size, seed)
            found.points.append(_point(bench, probes, prober, spec, axis, value))
            after_point(found)
    found.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    after_point(found)
    return found


def _point(bench: Bench, probes: ProbeSet, prober: Prober, spec: RunSpec, axis: str, value: Any) -> Point:
    weights = spec.candidate.weights
    point = Point(axis, value, spec.seed, settings_of(weights))
    try:
        point.adaptation = bench.adapt(spec)
    except TrainingFailed as error:
        point.failed = str(error)
        return point
    spare, log = spare_items(bench, spec), bench.log_of(point.adaptation)
    point.right, point.items = bench.right_of(spare, bench.evaluate(spec, "validation", spare)), len(spare)
    point.loss, point.seconds, point.tokens = log["curve"][-1]["loss"], log["seconds"], log["trained_tokens"]
    point.probed = probes.of_adapted(
        prober,
        point.adaptation,
        lambda beside=False: bench.adapted(spec, beside),
        method=weights.name,
        seed=spec.seed,
        size=spec.size,
    )
    return point
