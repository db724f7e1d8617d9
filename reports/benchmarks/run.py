"""Forecasts beside measurements on this machine, and memory forecasts of public shapes; writes README.md beside this
file.

    python reports/benchmarks/run.py

Seconds: cells of the bundled model on `triage` in an empty store, forecast from the calibration, then run. Memory:
bytes of all live tensors in one training step (`lab.models.memory.TensorMemory`) beside the formula.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from lab.context.base import Tools
from lab.context.examples import FixedExamples
from lab.context.none import NoContext
from lab.flow.bench import Bench
from lab.flow.forecast import Forecast
from lab.flow.methods import Candidate, Method
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.measure.flops import Shape
from lab.measure.memory import forecast_training, known_shapes
from lab.models.device import machine
from lab.models.likelihood import Encoded, completion_logits
from lab.models.loading import load_model
from lab.models.memory import TensorMemory
from lab.store import Store
from lab.tasks.task import load_task
from lab.weights.frozen import Frozen
from lab.weights.full import Full
from lab.weights.lora import Lora

HERE = Path(__file__).resolve().parent
ARMS = {
    "few_shot": Candidate(FixedExamples(k=5), Frozen()),
    "lora": Candidate(NoContext(), Lora(learning_rate=4e-3)),
    "full": Candidate(NoContext(), Full(learning_rate=1e-3)),
}
BATCHES = ((16, 64, 24), (16, 128, 127), (4, 512, 511), (8, 256, 16))


def seconds_table(model) -> list[str]:
    """Forecast and measured seconds of one cell of each arm, its search (one candidate) included."""
    task, rows = load_task(HERE.parents[1] / "datasets" / "triage"), []
    for name, candidate in ARMS.items():
        with tempfile.TemporaryDirectory() as home:
            store = Store(Path(home), committed=None)
            bench = Bench(task, model, store, Tools("embedder", store.cache))
            plan = expand([name], [16], [100], 1, task)
            plan.methods = [Method(name, (candidate,))]
            Forecast(bench, plan).fill_in(())
            started = time.perf_counter()
            Runner(bench).run(plan)
            measured = time.perf_counter() - started
            rows.append(
                f"| {name}, 100 labelled examples | {plan.total_seconds:.1f} | {measured:.1f} | "
                f"{100 * (plan.total_seconds / measured - 1):+.0f} % |"
            )
            print(rows[-1])
    return rows


def memory_table(model) -> list[str]:
    """Forecast and measured bytes of a training step, by method, rows, width and target tokens."""
    shape, rows = Shape.of(model.network.config.to_dict()), []
    for method in ("full", "lora"):
        for batch, width, target in BATCHES:
            network = model.copy_network()
            network = (
                get_peft_model(network, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
                if method == "lora"
                else network.requires_grad_(True)
            )
            network.train()
            optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)
            items = [
                Encoded(torch.randint(3, 1000, (width - target,)).tolist(), torch.randint(3, 1000, (target,)).tolist())
                for _ in range(batch)
            ]
            _step(model, network, optimizer, items)
            with TensorMemory() as memory:
                memory.count(network.parameters()).count(v for s in optimizer.state.values() for v in s.values())
                _step(model, network, optimizer, items)
            expected = forecast_training(
                shape, method, batch=batch, sequence=width, bytes_each=4, logit_positions=target + 1
            ).total
            rows.append(
                f"| {method} | {batch} x {width}, {target} target tokens | {expected / 1e6:.0f} | "
                f"{memory.peak / 1e6:.0f} | {100 * (expected / memory.peak - 1):+.0f} % |"
            )
            print(rows[-1])
    return rows


def _step(model, network, optimizer, items) -> None:
    logits, labels = completion_logits(network, items, model.pad, model.network.device)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    del logits
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def shapes_table() -> list[str]:
    """Parameters beside the published ones, and GiB to train each shape: batch 1, 1,024 tokens, checkpointing."""
    rows = []
    for name, (shape, published) in known_shapes().items():
        found = {
            m: forecast_training(shape, m, batch=1, sequence=1024, checkpointing=True).total / 2**30
            for m in ("full", "lora", "qlora")
        }
        rows.append(
            f"| {name} | {published:g} | {shape.parameters / 1e9:.3f} | {found['full']:.1f} | {found['lora']:.1f} | "
            f"{found['qlora']:.1f} |"
        )
    return rows


def main() -> None:
    """Measure and write."""
    here = machine("cpu")
    model = load_model("nano", here)
    large = known_shapes()["LLaMA-65B"][0]
    light = forecast_training(large, "full", batch=1, sequence=8, checkpointing=True, master_copy=False)
    weighty = (light.weights + light.gradients + light.optimizer) / 1e9
    text = f"""# Forecast and measurement

Made by `python reports/benchmarks/run.py` on {here.name} ({model.precision}, {here.threads} threads).

## Seconds

The bundled model on `triage`, an empty store, one candidate an arm: search, training with its ten looks at validation,
test items, 30 requests alone.

| cell | forecast, s | measured, s | forecast is |
|---|---|---|---|
{chr(10).join(seconds_table(model))}

## Memory of a training step

Bytes of all live tensors at the peak, weights and optimizer included (MB), beside the formula.

| method | batch | forecast, MB | measured, MB | forecast is |
|---|---|---|---|---|
{chr(10).join(memory_table(model))}

## Shapes

From `config.json` alone (`lab/measure/shapes.toml`): parameters in billions, and GiB to train with batch 1, 1,024
tokens and activation checkpointing, bf16, LoRA of rank 16 on all linear layers.

| model | published | by formula | full | LoRA | QLoRA |
|---|---|---|---|---|---|
{chr(10).join(shapes_table())}

Published beside it: full 16-bit fine-tuning of LLaMA-65B takes more than 780 GB (Dettmers et al. 2023, QLoRA,
abstract); by formula weights, gradients and Adam take {weighty:.0f} GB without a master copy of the weights. The
articles' claim that a 13B fits a 24 GiB card in 4 bits: Llama-2-13B above. What adapters need beyond the base:
[one_base.md](one_base.md). Beside transformers' `generate` and TRL on a real model: [peers.md](peers.md).
"""
    (HERE / "README.md").write_text(text, encoding="utf-8")
    print(HERE / "README.md")


if __name__ == "__main__":
    main()
