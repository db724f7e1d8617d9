"""Measures why fine-tuning is cheap: pretraining's account beside LoRA, full fine-tuning and training from scratch.

``why(runner, sizes=[100, 400], ...)`` fills a ``lab.measure.ledger.Why``: trainings at several sizes, the first layers
frozen, the full update cut to a rank, and what a linear probe finds in each layer. Quality is measured on labelled items
that no training saw, never on test items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lab.families import settings_of
from lab.measure.flops import Shape, training_flops
from lab.measure.ledger import Account, Why
from lab.methods import Candidate
from lab.models.likelihood import Encoded, completion_logits
from lab.models.local import LocalModel
from lab.producing import RunSpec
from lab.runner import Runner
from lab.schema import LabError
from lab.store import provenance, read_completions
from lab.sweep import chosen_candidate, spare_items
from lab.weights.trained import Trained
from lab.weights.training import Schedule, train
from lab.world.attributes import ATTRIBUTES, attribute
from lab.world.pretrain import PretrainConfig, pretraining_pace

METHODS = ("lora", "full", "scratch")
RANKS = (1, 2, 4, 8, 16, 32, 64)
PROBE_TEXTS = (600, 300)
"""Texts that a layer's linear probe is fitted on, and texts that it is measured on."""
PACE_STEPS = 4


def why(runner: Runner, sizes: Sequence[int], after: Callable[[Why, str], None] = lambda found, words: None) -> Why:
    """Measure everything; ``after`` sees it as it grows. Raises LabError for a base model whose pretraining is not on record."""
    model = runner.model
    record = pretraining_of(model)
    found = Why({"name": runner.task.name, "digest": runner.task.digest}, {"name": model.name, "revision": model.revision}, pretraining_account(model))
    found.made = provenance() | {"machine": asdict(model.machine)}
    found.layers = layer_probes(model)
    after(found, "what a linear probe finds in each layer")
    largest, chosen = sizes[-1], {}
    for name in METHODS:
        for size in sizes:
            chosen[name, size] = chosen_candidate(runner, name, size, sizes)
            account = _trained(runner, RunSpec(chosen[name, size], size, 0), name)
            found.trainings.append(account)
            after(found, f"{name}, {size} examples: {100 * account.accuracy:.1f} %")
    full = chosen["full", largest]
    for layers in range(1, model.network.config.num_hidden_layers + 1):
        found.frozen.append(_trained(runner, _frozen(full, layers, largest), f"first {layers} layers frozen"))
        after(found, f"first {layers} layers frozen: {100 * found.frozen[-1].accuracy:.1f} %")
    found.truncated = truncations(runner, RunSpec(full, largest, 0))
    after(found, "the full update cut to a rank")
    time_side_by_side(runner, found, PretrainConfig(**record["config"]), chosen)
    found.made["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    after(found, f"the pace of all of them: pretraining {found.pretraining.tokens_per_second:,.0f} tokens/s")
    return found


def time_side_by_side(runner: Runner, found: Why, config: PretrainConfig, chosen: dict[tuple[str, int], Candidate]) -> None:
    """Pretraining's pace and every training's, one after the other on this machine, so that their seconds can stand in one ratio."""
    found.pretraining.tokens_per_second = pretraining_pace(config, runner.model.machine, PACE_STEPS)
    for account in found.trainings:
        account.tokens_per_second = training_pace(runner, RunSpec(chosen[account.name, account.size], account.size, 0))
    for account in found.frozen:
        account.tokens_per_second = training_pace(runner, _frozen(chosen["full", account.size], account.settings["frozen_layers"], account.size))


def training_pace(runner: Runner, spec: RunSpec) -> float:
    """Tokens a second of a training's steps on this machine; a first step warms up and does not count."""
    weights, model = spec.candidate.weights, runner.model
    items = runner.encoded_training(spec)[:PACE_STEPS * weights.batch_size]
    network = weights.network(model, 0, None)
    timed = lambda some: train(model, network, some, [], Schedule(1e-9, 1, 1, weights.batch_size), 0, lambda done, total, words: None, "pace")  # noqa: E731
    timed(items[:weights.batch_size])
    log = timed(items)
    return log.trained_tokens / log.seconds


def _frozen(full: Candidate, layers: int, size: int) -> RunSpec:
    """Full fine-tuning as chosen, with its first layers frozen."""
    return RunSpec(Candidate(full.context, replace(full.weights, frozen_layers=layers)), size, 0)


def pretraining_of(model: LocalModel) -> dict[str, Any]:
    """The model's record of its pretraining; raises LabError where there is none."""
    if not model.pretraining:
        raise LabError(f"{model.name}: its pretraining is not on record (no pretraining.json), so there is no account of it; take a model made by lab pretrain")
    return model.pretraining


def pretraining_account(model: LocalModel) -> Account:
    """From the model's record; FLOPs of the shape's own formula at the training sequence's length."""
    record = pretraining_of(model)
    shape, config = Shape.of(model.network.config.to_dict()), record["config"]
    flops = training_flops(shape, record["tokens"], config["sequence"])
    # Muon keeps one momentum a matrix weight, AdamW two moments a weight of the rest; float32.
    optimizer = 4 * shape.block_parameters + 8 * (record["parameters"] - shape.block_parameters)
    return Account("pretraining", record["tokens"], record["steps"], record["parameters"], optimizer, flops, 0.0, record["seconds"], record["machine"]["name"])


def _trained(runner: Runner, spec: RunSpec, name: str) -> Account:
    """Train (or find) a spec and measure it on the spare items."""
    adaptation = runner.adapt(spec)
    record = runner.store.find("adaptation", adaptation).record
    log, weights, shape = record["result"]["log"], spec.candidate.weights, Shape.of(runner.model.network.config.to_dict())
    spare = spare_items(runner, spec)
    completions = read_completions(runner.evaluate(spec, adaptation, "validation", spare))
    items = runner.encoded_training(spec)
    width = float(np.mean([len(e.context) + len(e.target) for e in items]))
    logits = float(np.mean([len(e.target) + 1 for e in items])) / width
    flops = training_flops(shape, log["trained_tokens"], width, log["trained_tokens"] * logits, getattr(weights, "rank", 0), getattr(weights, "frozen_layers", 0))
    return Account(name, log["trained_tokens"], log["steps"], log["trained_parameters"], log["optimizer_bytes"] or 8 * log["trained_parameters"], flops,
                   counted_flops(runner.model, items[:weights.batch_size], weights) * log["trained_tokens"], log["seconds"], record["made"]["machine"]["name"], spec.size,
                   runner.right_of(spare, completions), len(spare), settings_of(weights))


def counted_flops(model: LocalModel, batch: Sequence[Encoded], weights: Trained) -> float:
    """FLOPs a token of one training step, by torch's counter, attention counted in full."""
    network = weights.network(model, 0, None)
    network.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        logits, labels = completion_logits(network, batch, model.pad, model.network.device)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100).backward()
    return counter.get_total_flops() / sum(len(e.context) + len(e.target) for e in batch)


@torch.no_grad()
def truncated_network(model: LocalModel, tuned, rank: int):
    """The base plus the best rank-``rank`` approximation of every linear layer's update; all other weights are the base's own."""
    network = model.copy_network()
    changed = dict(tuned.named_modules())
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            u, s, v = torch.linalg.svd((changed[name].weight - module.weight).float(), full_matrices=False)
            module.weight += ((u[:, :rank] * s[:rank]) @ v[:rank]).to(module.weight.dtype)
    return network


def truncations(runner: Runner, spec: RunSpec) -> list[dict]:
    """Quality of a full fine-tune whose update is cut to each rank, and of the whole update (rank None)."""
    tuned, spare = runner.adapted(spec), spare_items(runner, spec)
    fitted = runner.fitted(spec)
    asked = [(s.id, fitted.build(s)) for s in spare]
    rows = []
    for rank in (*RANKS, None):
        network = tuned.network if rank is None else truncated_network(runner.model, tuned.network, rank)
        completions = runner.model.with_network(network.eval()).complete(asked, runner.decoding)
        rows.append({"rank": rank, "right": runner.right_of(spare, completions), "items": len(spare)})
    return rows


@torch.inference_mode()
def hidden_states(model: LocalModel, texts: Sequence[str]) -> np.ndarray:
    """(layers + 1, texts, width): the last token's state after the embeddings and after each layer."""
    rows = []
    for text in texts:
        ids = torch.tensor([model.tokenizer(text)["input_ids"][:model.window]], device=model.network.device)
        states = model.network(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        rows.append(np.stack([s[0, -1].float().cpu().numpy() for s in states]))
    return np.stack(rows, axis=1)


def layer_probes(model: LocalModel) -> list[dict]:
    """For every attribute and layer: how many held-out texts a linear probe labels rightly, beside the most frequent label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = []
    for name, (says, _) in ATTRIBUTES.items():
        train, test = attribute(name, *PROBE_TEXTS)
        labels, wanted = [y for _, y in train], [y for _, y in test]
        fitted, asked = hidden_states(model, [x for x, _ in train]), hidden_states(model, [x for x, _ in test])
        majority = max(sum(w == y for w in wanted) for y in set(wanted)) / len(wanted)
        for layer in range(len(fitted)):
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)).fit(fitted[layer], labels)
            right = int(sum(p == w for p, w in zip(probe.predict(asked[layer]), wanted)))
            rows.append({"attribute": name, "says": says, "layer": layer, "right": right, "items": len(wanted), "majority": majority})
    return rows

