"""Measures why fine-tuning is cheap: pretraining's account beside LoRA, full fine-tuning and training from scratch.

``why(bench, sizes=[100, 400], ...)`` fills a ``lab.experiments.why.ledger.Why``: trainings at several sizes, the first
layers frozen, the full update cut to a rank, and what a linear probe finds in each layer. Quality is measured on
labelled items that no training saw, never on test items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lab.experiments.chosen import RANK, SPARE_ITEMS, chosen_candidate, spare_items
from lab.experiments.why.ledger import Account, Why
from lab.flow.bench import Bench, RunSpec
from lab.flow.families import settings_of
from lab.flow.forecast import Forecast
from lab.flow.methods import Candidate, method
from lab.flow.plan import Plan
from lab.measure.flops import Shape, training_flops
from lab.models.inside import hidden_states
from lab.models.local import LocalModel
from lab.schema import LabError
from lab.store import provenance
from lab.weights.account import counted_flops, training_pace
from lab.weights.spectrum import cut_to_rank
from lab.world.attributes import ATTRIBUTES, attribute
from lab.world.pretrain import PretrainConfig, pretraining_pace

ARMS = ("lora", "full", "scratch")
CUTS = (1, 2, 4, 8, 16, 32, 64)
"""Ranks that the full update is cut to."""
PROBE_TEXTS = (600, 300)
"""Texts that a layer's linear probe is fitted on, and texts that it is measured on."""
PACE_STEPS = 4
LAYER_SECONDS, PACE_SECONDS = 40.0, 80.0
"""Of the linear probes, and of timing all steps side by side, with the bundled model on one core."""


def why(bench: Bench, sizes: Sequence[int], after: Callable[[Why, str], None] = lambda found, words: None) -> Why:
    """Measure everything; ``after`` sees it as it grows.

    Raises LabError for a base model whose pretraining is not on record.
    """
    model = bench.model
    record = pretraining_of(model)
    found = Why(
        {"name": bench.task.name, "digest": bench.task.digest},
        {"name": model.name, "revision": model.revision},
        pretraining_account(model),
    )
    found.made = provenance() | {"machine": bench.machine}
    found.layers = layer_probes(model)
    after(found, "what a linear probe finds in each layer")
    largest, chosen = sizes[-1], {}
    for name in ARMS:
        for size in sizes:
            chosen[name, size] = chosen_candidate(bench, name, size, sizes)
            account = _trained(bench, RunSpec(chosen[name, size], size, 0), name)
            found.trainings.append(account)
            after(found, f"{name}, {size} examples: {100 * account.accuracy:.1f} %")
    full = chosen["full", largest]
    for layers in range(1, model.layers + 1):
        found.frozen.append(_trained(bench, _frozen(full, layers, largest), f"first {layers} layers frozen"))
        after(found, f"first {layers} layers frozen: {100 * found.frozen[-1].accuracy:.1f} %")
    found.truncated = truncations(bench, RunSpec(full, largest, 0))
    after(found, "the full update cut to a rank")
    time_side_by_side(bench, found, PretrainConfig(**record["config"]), chosen)
    found.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    after(found, f"the pace of all of them: pretraining {found.pretraining.tokens_per_second:,.0f} tokens/s")
    return found


def time_side_by_side(
    bench: Bench, found: Why, config: PretrainConfig, chosen: dict[tuple[str, int], Candidate]
) -> None:
    """Pretraining's pace and every training's, one after the other on this machine,
    so that their seconds can stand in one ratio."""

    def pace(spec: RunSpec) -> float:
        weights = spec.candidate.weights
        items = bench.encoded_training(spec)[: PACE_STEPS * weights.batch_size]
        return training_pace(bench.model, items, weights)

    found.pretraining.tokens_per_second = pretraining_pace(config, bench.model.machine, PACE_STEPS)
    for account in found.trainings:
        account.tokens_per_second = pace(RunSpec(chosen[account.name, account.size], account.size, 0))
    for account in found.frozen:
        layers = account.settings["frozen_layers"]
        account.tokens_per_second = pace(_frozen(chosen["full", account.size], layers, account.size))


def _frozen(full: Candidate, layers: int, size: int) -> RunSpec:
    """Full fine-tuning as chosen, with its first layers frozen."""
    return RunSpec(Candidate(full.context, replace(full.weights, frozen_layers=layers)), size, 0)


def pretraining_of(model: LocalModel) -> dict[str, Any]:
    """The model's record of its pretraining; raises LabError where there is none."""
    if not model.pretraining:
        raise LabError(
            f"{model.name}: its pretraining is not on record (no pretraining.json), so there is no account of it; "
            "take a model made by lab pretrain"
        )
    return model.pretraining


def pretraining_account(model: LocalModel) -> Account:
    """From the model's record; FLOPs of the shape's own formula at the training sequence's length."""
    record = pretraining_of(model)
    shape, config = Shape.of(model.config.to_dict()), record["config"]
    return Account(
        "pretraining",
        tokens=record["tokens"],
        steps=record["steps"],
        trained_parameters=record["parameters"],
        # Muon keeps one momentum a matrix weight, AdamW two moments a weight of the rest; float32.
        optimizer_bytes=4 * shape.block_parameters + 8 * (record["parameters"] - shape.block_parameters),
        flops=training_flops(shape, record["tokens"], config["sequence"]),
        counted_flops=0.0,
        seconds=record["seconds"],
        machine=record["machine"]["name"],
    )


def _trained(bench: Bench, spec: RunSpec, name: str) -> Account:
    """Train (or find) a spec and measure it on the spare items."""
    adaptation, weights = bench.adapt(spec), spec.candidate.weights
    log, record = bench.log_of(adaptation), bench.store.find("adaptation", adaptation).record
    shape, spare = Shape.of(bench.model.config.to_dict()), spare_items(bench, spec)
    right = bench.right_of(spare, bench.evaluate(spec, "validation", spare))
    items, tokens = bench.encoded_training(spec), log["trained_tokens"]
    width = float(np.mean([len(e.context) + len(e.target) for e in items]))
    with_logits = tokens * float(np.mean([len(e.target) + 1 for e in items])) / width
    adapter, frozen = weights.added_parameters(shape), weights.frozen_layers
    return Account(
        name,
        tokens=tokens,
        steps=log["steps"],
        trained_parameters=log["trained_parameters"],
        optimizer_bytes=log["optimizer_bytes"] or 8 * log["trained_parameters"],
        flops=training_flops(shape, tokens, width, with_logits, adapter, frozen),
        counted_flops=counted_flops(bench.model, items[: weights.batch_size], weights) * tokens,
        seconds=log["seconds"],
        machine=record["made"]["machine"]["name"],
        size=spec.size,
        right=right,
        items=len(spare),
        settings=settings_of(weights),
    )


def truncations(bench: Bench, spec: RunSpec) -> list[dict[str, Any]]:
    """Quality of a full fine-tune whose update is cut to each rank, and of the whole update (rank None)."""
    tuned, spare, fitted = bench.adapted(spec), spare_items(bench, spec), bench.fitted(spec)
    asked, rows = [(s.id, fitted.build(s)) for s in spare], []
    for rank in (*CUTS, None):
        model = tuned if rank is None else cut_to_rank(bench.model, tuned, rank)
        scores = [bench.scorer(s, c) for s, c in zip(spare, model.complete(asked, bench.decoding))]
        rows.append({"rank": rank, "right": sum(int(s.value) for s in scores), "items": len(spare)})
    return rows


def layer_probes(model: LocalModel) -> list[dict]:
    """For every attribute and layer: how many held-out texts a linear probe labels rightly,
    beside the most frequent label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = []
    for name, (says, _) in ATTRIBUTES.items():
        seen, held = attribute(name, *PROBE_TEXTS)
        labels, wanted = [y for _, y in seen], [y for _, y in held]
        fitted, asked = hidden_states(model, [x for x, _ in seen]), hidden_states(model, [x for x, _ in held])
        majority = max(sum(w == y for w in wanted) for y in set(wanted)) / len(wanted)
        for layer in range(len(fitted)):
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)).fit(fitted[layer], labels)
            right = int(sum(p == w for p, w in zip(probe.predict(asked[layer]), wanted)))
            rows.append(
                {
                    "attribute": name,
                    "says": says,
                    "layer": layer,
                    "right": right,
                    "items": len(wanted),
                    "majority": majority,
                }
            )
    return rows


def why_seconds(bench: Bench, sizes: Sequence[int]) -> list[float]:
    """Forecast of each point of ``why``, in its order.

    An arm's first point waits for the searches at the largest and the smallest size; a size between is taken to choose
    as these two do. Raises LabError for a base model whose pretraining is not on record.
    """
    pretraining_of(bench.model)
    arms, largest, layers = [method(n) for n in ARMS], sizes[-1], bench.model.layers
    seconds = Forecast(bench, Plan(arms, [], 1, list(sizes), [RANK]))
    middle = {m.name: RunSpec(m.with_rank(RANK).candidates[1], largest, 0) for m in arms}
    asked = seconds.evaluation(middle["full"], SPARE_ITEMS)
    points = [LAYER_SECONDS]
    for m in arms:
        for size in sizes:
            searched = sum(seconds.search(m, s) for s in {sizes[0], largest}) if size == sizes[0] else 0.0
            trained = seconds.training(replace(middle[m.name], size=size)) if size not in (sizes[0], largest) else 0.0
            points.append(searched + trained + asked)
    whole = seconds.training(middle["full"])
    points += [asked + whole * (1 + 2 * (layers - k) / layers) / 3 for k in range(1, layers + 1)]
    return [*points, (len(CUTS) + 1) * asked, PACE_SECONDS]
