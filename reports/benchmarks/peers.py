"""The lab beside what people use for the same work, on a real model: completing beside transformers' ``generate``,
training beside TRL's SFTTrainer; in one run, on one machine, in turns.

    lab get smollm2-135m && pip install trl && python reports/benchmarks/peers.py

writes peers.md beside this file. About ten minutes on two cores.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from lab.context.base import Tools
from lab.context.examples import FixedExamples, RandomExamples
from lab.context.none import NoContext
from lab.context.passages import Passages
from lab.flow.decoding import decoding_for
from lab.models.device import machine
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.schema import Decoding, Prompt
from lab.tasks.task import load_task
from lab.weights.lora import Lora
from lab.weights.training import Schedule, count_tokens, encode_pairs, train

HERE = Path(__file__).parent
DATASETS = HERE.parents[1] / "datasets"
PROMPTS, NEW, BATCH, ROUNDS = 64, 24, 16, 2
STEPS, RATE, RANK = 8, 3e-4, 16
VERBS = ("cancel", "change", "find", "lose", "order", "pay", "repair", "replace", "return", "track")
THINGS = (
    *("account", "address", "bill", "booking", "card", "delivery", "device", "invoice", "password", "payment"),
    *("plan", "refund", "subscription", "ticket", "voucher"),
)


def with_generate(model: LocalModel, prompts: list[Prompt]) -> list[str]:
    """transformers' own way: batches of 16 in their order, filled up on the left."""
    network, tokenizer = model.network, model.tokenizer
    tokens, texts = [model.encode(p, NEW).tokens for p in prompts], []
    for start in range(0, len(tokens), BATCH):
        rows = tokens[start : start + BATCH]
        width = max(map(len, rows))
        found = network.generate(
            input_ids=torch.tensor([[model.pad] * (width - len(r)) + r for r in rows]),
            attention_mask=torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows]),
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=model.pad,
        )
        texts += [tokenizer.decode(r[width:], skip_special_tokens=True).strip() for r in found]
    return texts


def completing(model: LocalModel) -> list[str]:
    """Rows of the table of completions."""
    triage, handbook, tools = load_task(DATASETS / "triage"), load_task(DATASETS / "handbook"), Tools()
    cases = {
        "one block of 8 examples, shared by all": (triage, FixedExamples(k=8, layout="block")),
        "4 examples of its own each, nothing shared": (triage, RandomExamples(k=4, layout="block")),
        "3 retrieved passages, some found by several": (handbook, Passages(k=3, mode="lexical")),
    }
    rows = []
    for says, (task, context) in cases.items():
        fitted = context.fit(task, tools)
        prompts = [fitted.build(s) for s in task.test[:PROMPTS]]
        asked = [(str(n), p) for n, p in enumerate(prompts)]
        length = statistics.mean(len(model.encode(p, NEW).tokens) for p in prompts)
        mine, theirs = [], []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            found = [c.text for c in model.complete(asked, Decoding(NEW, ""))]
            mine.append(time.perf_counter() - started)
            started = time.perf_counter()
            wanted = with_generate(model, prompts)
            theirs.append(time.perf_counter() - started)
        same = sum(a == b for a, b in zip(found, wanted))
        rows.append(
            f"| {says} | {length:.0f} | {seconds(mine)} | {seconds(theirs)} | {min(theirs) / min(mine):.1f} | {same} |"
        )
        print(rows[-1], flush=True)
    return rows


def decoding(model: LocalModel) -> list[str]:
    """Rows of the table of what a constraint costs, and a choice among many labels."""
    task = load_task(DATASETS / "triage")
    fitted = FixedExamples(k=8, layout="block").fit(task, Tools())
    asked = [(s.id, fitted.build(s)) for s in task.test[:PROMPTS]]
    free = decoding_for(task, model)
    intents = json.dumps({"labels": [f"{verb} the {thing}" for verb in VERBS for thing in THINGS]})
    ways = {
        "free": free,
        "constrained to the record's pattern": decoding_for(task, model, "constrained"),
        f"constrained to {len(VERBS) * len(THINGS)} labels": replace(free, allowed=intents, stop=""),
        f"the likeliest of {len(VERBS) * len(THINGS)} labels": replace(free, allowed=intents, choose="per_character"),
    }
    rows = []
    for says, way in ways.items():
        taken = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            completions = model.complete(asked, way)
            taken.append(time.perf_counter() - started)
        tokens = sum(c.usage.completion_tokens for c in completions)
        rows.append(f"| {says} | {seconds(taken)} | {tokens} | {1000 * min(taken) / len(asked):.0f} |")
        print(rows[-1], flush=True)
    return rows


def training(model: LocalModel) -> list[str]:
    """Rows of the table of training steps."""
    task = load_task(DATASETS / "triage")
    fitted = NoContext().fit(task, Tools())
    pairs = tuple((fitted.build(s), s.target) for s in task.train[: STEPS * BATCH])
    items = encode_pairs(model, pairs)
    mine, theirs = [], []
    for _ in range(ROUNDS):
        with Lora(rank=RANK).prepared(model, 0, None) as network:
            schedule = Schedule(RATE, 1, 1, BATCH)
            log = train(model, network, items, [], schedule, 0, lambda done, total, words: None, "peers")
        mine.append(log.seconds)
        theirs.append(with_trl(model, items))
    tokens, rate = count_tokens(items), product_rate(model)
    body = sum(p.numel() for n, p in model.network.named_parameters() if "embed" not in n and "lm_head" not in n)
    flops = 4 * body * tokens / min(mine)
    return [
        f"| the lab | {seconds(mine)} | {tokens / min(mine):.0f} |",
        f"| TRL's SFTTrainer | {seconds(theirs)} | {tokens / min(theirs):.0f} |",
        "",
        f"{min(theirs) / min(mine):.1f} times as fast. {flops / 1e9:.0f} GFLOP/s (4 N a token, N = {body / 1e6:.0f}M "
        f"without embeddings) of the {rate / 1e9:.0f} that a product of these shapes gets here: {flops / rate:.0%}.",
    ]


def with_trl(model: LocalModel, items) -> float:
    """Seconds of the same items and labels in SFTTrainer, its own batches."""
    from peft import get_peft_model
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    rows = [
        {"input_ids": [*e.context, *e.target], "completion_mask": [0] * len(e.context) + [1] * len(e.target)}
        for e in items
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=get_peft_model(model.copy_network(), Lora(rank=RANK).config()),
            processing_class=model.tokenizer,
            train_dataset=Dataset.from_list(rows),
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1,
                learning_rate=RATE,
                bf16=model.precision == "bfloat16",
                use_cpu=True,
                gradient_checkpointing=False,
                completion_only_loss=True,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
            ),
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def product_rate(model: LocalModel) -> float:
    """FLOP/s of the products of a block's matrices at a batch's shape, there and back."""
    config, rows = model.config, 1408
    there = torch.randn(rows, config.hidden_size).to(model.dtype)
    back = torch.randn(rows, config.intermediate_size).to(model.dtype)
    up = torch.randn(config.intermediate_size, config.hidden_size).to(model.dtype)
    down = up.t().contiguous()
    best = min(_timed(lambda: (there @ up.t(), back @ down.t())) for _ in range(20))
    return 4 * rows * config.hidden_size * config.intermediate_size / best


def _timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def seconds(found: list[float]) -> str:
    """``8.0, 9.1``"""
    return ", ".join(f"{s:.1f}" for s in found)


def main() -> None:
    """Both tables."""
    here = machine("cpu")
    model = load_model("smollm2-135m", here)
    lines = [
        "# Beside the tools that people use",
        "",
        f"Made by `python reports/benchmarks/peers.py` on {here.name} ({model.precision}), {model.name}, "
        f"{ROUNDS} rounds in turns; seconds of each round, the factor is of the best ones.",
        "",
        f"## Completing {PROMPTS} prompts, {NEW} new tokens each",
        "",
        f"`generate`: batches of {BATCH}, filled up on the left, the same weights and number format.",
        "",
        "| prompts | tokens each | the lab, s | `generate`, s | times as fast | same texts of 64 |",
        "|---|---|---|---|---|---|",
        *completing(model),
        "",
        f"## What a constraint costs: {PROMPTS} prompts that share 8 examples",
        "",
        "| decoding | seconds | tokens written | ms a prompt |",
        "|---|---|---|---|",
        *decoding(model),
        "",
        f"## {STEPS} LoRA steps of {BATCH} items, rank {RANK}, all linear layers",
        "",
        "| | seconds | tokens a second |",
        "|---|---|---|",
        *training(model),
        "",
    ]
    print("\n".join(lines))
    (HERE / "peers.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
