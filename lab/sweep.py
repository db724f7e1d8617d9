"""A sweep of one arm's levers: how much it learns and how much it forgets, one setting changed at a time.

The arm starts from what validation chose for it; quality is measured on labelled items that no training saw (never on
test items), forgetting on the probes::

    sweep(runner, "lora", size=400, axes={"replay": [0.01, 0.05, 0.25]}, seeds=1) -> Sweep
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

from lab.abilities import Prober
from lab.families import settings_of
from lab.measure.levers import START, Point, Sweep
from lab.methods import Candidate, method
from lab.plan import Plan, RunCell
from lab.producing import RunSpec
from lab.runner import Runner
from lab.schema import LabError, TrainingFailed
from lab.store import provenance, read_completions
from lab.study import Study

RANK = 16
"""Of the arm that levers are moved on, where it has a rank."""
SPARE_ITEMS = 200
"""Labelled items outside the data size that quality is measured on."""
FIXED_AXES = ("study", "study_rate", "study_epochs")


def read_axes(texts: Sequence[str], weights: Any) -> dict[str, list[Any]]:
    """``["replay=0,0.05", "epochs=3,30"]`` as axes of a weight method; raises LabError naming the valid ones."""
    known = {f.name: f.default for f in fields(weights) if f.name not in FIXED_AXES}
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or name not in known:
            raise LabError(f"--axis {text}: an axis of {weights.name} and its values, such as replay=0,0.05; axes are {', '.join(known)}")
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


def sweep(runner: Runner, name: str, size: int, axes: dict[str, list[Any]], seeds: int, after_point: Callable[[Sweep], None] = lambda found: None) -> Sweep:
    """Run the start and every setting of the axes with every seed; ``after_point`` sees the sweep as it grows."""
    task, model, prober = runner.task, runner.model, Prober(runner.model, runner.store, runner.progress)
    found = Sweep({"name": task.name, "digest": task.digest}, {"name": model.name, "revision": model.revision}, name, size, runner.general.name if runner.general else "")
    found.made = provenance() | {"machine": asdict(model.machine)}
    found.base = runner.probes.of_base(prober)
    chosen = chosen_candidate(runner, name, size, [size])
    settings = [(START, None, chosen.weights)] + [(axis, v, changed(chosen.weights, axis, v)) for axis, values in axes.items() for v in values]
    for seed in range(seeds):
        for axis, value, weights in settings:
            found.points.append(_point(runner, prober, Candidate(chosen.context, weights), size, seed, axis, value))
            after_point(found)
    found.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    after_point(found)
    return found


def chosen_candidate(runner: Runner, name: str, size: int, sizes: Sequence[int]) -> Candidate:
    """What validation chooses for a trained arm at one of these sizes (rank RANK where it has one)."""
    arm = method(name)
    if not arm.trains:
        raise LabError(f"--method {name}: its weights are frozen; name an arm that trains, such as lora or full")
    rank = RANK if arm.has_rank else None
    cell = RunCell(name, rank, size, 0)
    return runner.choose(arm, cell, Plan([arm], [cell], 1, list(sizes), [RANK]), Study({}, {}, {}, [], []))


def _point(runner: Runner, prober: Prober, candidate: Candidate, size: int, seed: int, axis: str, value: Any) -> Point:
    spec = RunSpec(candidate, size, seed)
    point = Point(axis, value, seed, settings_of(candidate.weights))
    try:
        point.adaptation = runner.adapt(spec)
    except TrainingFailed as error:
        point.failed = str(error)
        return point
    spare = spare_items(runner, spec)
    completions = read_completions(runner.evaluate(spec, point.adaptation, "validation", spare))
    log = runner.store.find("adaptation", point.adaptation).record["result"]["log"]
    point.right, point.items = runner.right_of(spare, completions), len(spare)
    point.loss, point.seconds, point.tokens = log["curve"][-1]["loss"], log["seconds"], log["trained_tokens"]
    point.probed = runner.probes.of_adapted(prober, point.adaptation, lambda: runner.adapted(spec), method=candidate.weights.name, seed=seed, size=size)
    return point


def spare_items(runner: Runner, spec: RunSpec) -> tuple:
    """Labelled items (and whole groups) that the spec's draw leaves out; its own validation items where nothing is left."""
    drawn = runner.scoped(spec)
    used = {s.group or s.id for s in drawn.labelled}
    spare = tuple(s for s in runner.task.labelled if (s.group or s.id) not in used)[:SPARE_ITEMS]
    return spare if len(spare) >= 20 else drawn.validation
