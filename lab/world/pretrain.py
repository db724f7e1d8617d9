"""Pretraining of a bundled base model: resumable, reproducible from a seed and a named text.

``lab pretrain --text plain_english.txt.gz --work /somewhere/nano`` goes on where it stopped. The learning rate
warms up, stays, and falls over the last fifth, which also widens the sequences to the full window; so a run can
be prolonged as long as it has not begun to fall.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from lab.models.checkpoint import load_checkpoint, save_checkpoint
from lab.models.device import Machine
from lab.schema import LabError
from lab.world.corpus import CORPUS_VERSION, Recipe, build_shard, read_english
from lab.world.muon import Muon
from lab.world.tokenizer import train_tokenizer


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that the result depends on, beside the text."""

    hidden: int = 256
    layers: int = 6
    heads: int = 4
    intermediate: int = 688
    vocabulary: int = 4096
    window: int = 1024
    sequence: int = 512
    """Length of training sequences before the last fifth."""
    tokens: int = 40_000_000
    batch_tokens: int = 6144
    muon_rate: float = 4e-3
    adam_rate: float = 3e-3
    warmup_steps: int = 100
    final_share: float = 0.2
    """Share of the steps in which the rate falls to zero and sequences have the window's length."""
    seed: int = 1
    rows_per_shard: int = 2048


SIZES = {
    "nano": PretrainConfig(),
    "small": PretrainConfig(
        hidden=512,
        layers=8,
        heads=8,
        intermediate=1376,
        tokens=200_000_000,
        batch_tokens=32_768,
        muon_rate=2e-3,
        adam_rate=2e-3,
    ),
}


class Batches:
    """Batches by step number: the first stage's shards, then the final stage's."""

    def __init__(self, config: PretrainConfig, tokenizer, english: list[str]) -> None:
        self.config, self.tokenizer, self.english = config, tokenizer, english
        self.steps = config.tokens // config.batch_tokens
        self.final_from = int(self.steps * (1 - config.final_share))
        self._shards: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (rows, sequence + 1) int64 and weights (rows, sequence + 1) float32 of one step."""
        final = step >= self.final_from
        sequence = self.config.window if final else self.config.sequence
        rows = max(1, self.config.batch_tokens // sequence)
        first = (step - (self.final_from if final else 0)) * rows
        tokens, weights = zip(*(self._row(final, sequence, first + i) for i in range(rows)))
        return torch.from_numpy(np.stack(tokens).astype(np.int64)), torch.from_numpy(
            np.stack(weights).astype(np.float32) / 10
        )

    def _row(self, final: bool, sequence: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        shard, row = divmod(number, self.config.rows_per_shard)
        if (sequence, shard) not in self._shards:
            recipe = Recipe(
                seed=self.config.seed + (1000 if final else 0),
                sequence=sequence,
                sequences_per_shard=self.config.rows_per_shard,
            )
            self._shards = {k: v for k, v in self._shards.items() if k[1] >= shard - 1}
            self._shards[sequence, shard] = build_shard(recipe, self.tokenizer, self.english, shard)
        tokens, weights = self._shards[sequence, shard]
        return tokens[row], weights[row]


def schedule(config: PretrainConfig, step: int, steps: int) -> float:
    """Factor on the learning rates: warm-up, plateau, linear fall over the final share."""
    final_from = int(steps * (1 - config.final_share))
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    return 1.0 if step < final_from else max(0.0, (steps - step) / max(1, steps - final_from))


def weighted_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy (nats) over target tokens, each with its own weight."""
    losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum().clamp_min(1e-6)


def _optimizers(model: LlamaForCausalLM, config: PretrainConfig, machine: Machine) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n or "lm_head" in n]
    return [
        Muon(matrices, lr=config.muon_rate, weight_decay=0.05, dtype=machine.torch_dtype),
        torch.optim.AdamW(rest, lr=config.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _fingerprint(config: PretrainConfig, text: Path | None) -> dict:
    """What a checkpoint belongs to; ``tokens`` may grow while the rate has not begun to fall."""
    kept = {k: v for k, v in asdict(config).items() if k != "tokens"}
    return kept | {"text_sha256": hashlib.sha256(text.read_bytes()).hexdigest() if text else None}


def pretrain(
    config: PretrainConfig,
    text: Path | None,
    work: Path,
    machine: Machine,
    *,
    compile_model: bool = True,
    checkpoint_seconds: float = 300,
    stop_after: int | None = None,
    report: Callable[[dict], None] = lambda line: None,
) -> Path:
    """Pretrain to the end (or to step ``stop_after``) and return the folder of the finished model, in ``transformers``
    format.

    ``work`` keeps checkpoints, the log (``log.jsonl``) and the result (``model/``). Raises LabError where ``work``
    belongs to another recipe or the loss is not finite.
    """
    english, _ = read_english(text)
    fingerprint = _fingerprint(config, text)
    work.mkdir(parents=True, exist_ok=True)
    tokenizer_folder = work / "tokenizer"
    if not tokenizer_folder.exists():
        train_tokenizer(english, config.vocabulary, config.window, config.seed).save_pretrained(tokenizer_folder)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(config.seed)
    model = fresh_network(config, len(tokenizer)).to(machine.device)
    optimizers = _optimizers(model, config, machine)
    progress = {"step": 0, "seconds": 0.0, "fingerprint": fingerprint, "stretches": []}
    tensors = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    if found := load_checkpoint(work / "checkpoint", tensors, optimizers):
        progress = found
        if progress["fingerprint"] != fingerprint:
            raise LabError(f"{work}: its checkpoint was made with another recipe or text; give another --work folder")
    stretch = {"tokens_planned": config.tokens, "corpus": CORPUS_VERSION}
    if not progress["stretches"] or stretch.items() - progress["stretches"][-1].items():
        progress["stretches"].append({"from_step": progress["step"]} | stretch)
    data = Batches(config, tokenizer, english)
    forward = torch.compile(model) if compile_model else model
    autocast = torch.autocast(machine.device, torch.bfloat16) if machine.dtype == "bfloat16" else nullcontext()
    started, saved, seconds_before = time.time(), time.time(), progress["seconds"]
    last = min(data.steps, stop_after if stop_after is not None else data.steps)
    base_rates = [[group["lr"] for group in o.param_groups] for o in _optimizers(model, config, machine)]
    for step in range(progress["step"], last):
        tokens, weights = (t.to(machine.device) for t in data.batch(step))
        with autocast:
            logits = forward(input_ids=tokens[:, :-1], use_cache=False).logits
        loss = weighted_loss(logits, tokens[:, 1:], weights[:, 1:])
        if not torch.isfinite(loss):
            raise LabError(
                f"pretraining: the loss at step {step} is {loss.item()}; the last checkpoint in {work} is intact, "
                "lower the rate"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        factor = schedule(config, step, data.steps)
        for optimizer, rates in zip(optimizers, base_rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress |= {"step": step + 1, "seconds": seconds_before + time.time() - started}
        if step % 20 == 0 or step + 1 == last:
            _log(work, report, progress, loss.item(), factor, data.steps, config)
        if time.time() - saved > checkpoint_seconds or step + 1 == last:
            save_checkpoint(work / "checkpoint", tensors, optimizers, progress)
            saved = time.time()
    return _export(work, model, tokenizer, config, progress, machine)


def fresh_network(config: PretrainConfig, vocabulary: int) -> LlamaForCausalLM:
    """The architecture with newly drawn weights."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            intermediate_size=config.intermediate,
            max_position_embeddings=config.window,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


def pretraining_pace(config: PretrainConfig, machine: Machine, steps: int) -> float:
    """Tokens a second of pretraining steps on this machine (eager, random tokens;
    the first step warms up and does not count)."""
    model = fresh_network(config, config.vocabulary).to(machine.device)
    optimizers = _optimizers(model, config, machine)
    autocast = torch.autocast(machine.device, torch.bfloat16) if machine.dtype == "bfloat16" else nullcontext()
    rows = max(1, config.batch_tokens // config.sequence)
    tokens = torch.randint(3, config.vocabulary, (rows, config.sequence + 1), device=machine.device)
    started = time.perf_counter()
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        with autocast:
            logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        weighted_loss(logits, tokens[:, 1:], torch.ones_like(tokens[:, 1:], dtype=torch.float32)).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return steps * rows * config.sequence / (time.perf_counter() - started)


def _log(
    work: Path,
    report: Callable[[dict], None],
    progress: dict,
    loss: float,
    factor: float,
    steps: int,
    config: PretrainConfig,
) -> None:
    done = progress["step"]
    line = {
        "step": done,
        "steps": steps,
        "tokens": done * config.batch_tokens,
        "loss": round(loss, 4),
        "rate_factor": round(factor, 4),
        "seconds": round(progress["seconds"], 1),
    }
    with open(work / "log.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    report(line)


def median_speed(log: Path) -> int:
    """Median tokens a second between lines of the log: pauses and other work beside it weigh little;
    0 of fewer than two lines."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    speeds = [
        (b["tokens"] - a["tokens"]) / (b["seconds"] - a["seconds"])
        for a, b in zip(lines, lines[1:])
        if b["seconds"] > a["seconds"] and b["tokens"] > a["tokens"]
    ]
    return round(float(np.median(speeds))) if speeds else 0


def _export(
    work: Path, model: LlamaForCausalLM, tokenizer, config: PretrainConfig, progress: dict, machine: Machine
) -> Path:
    """The model in bf16 with its tokenizer and ``pretraining.json``, which the card is written from."""
    folder = work / "model"
    state = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    model.config.save_pretrained(folder)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    parameters = sum(p.numel() for p in model.parameters())
    embedding = model.get_input_embeddings().weight.numel()
    tokens = progress["step"] * config.batch_tokens
    (folder / "pretraining.json").write_text(
        json.dumps(
            {
                "config": asdict(config),
                "text_sha256": progress["fingerprint"]["text_sha256"],
                "parameters": parameters,
                "parameters_without_embeddings": parameters - embedding,
                "steps": progress["step"],
                "tokens": tokens,
                "flops": 6 * (parameters - embedding) * tokens,
                "seconds": round(progress["seconds"]),
                "median_tokens_per_second": median_speed(work / "log.jsonl"),
                "stretches": progress["stretches"],
                "machine": asdict(machine),
            },
            indent=1,
        )
        + "\n"
    )
    return folder
