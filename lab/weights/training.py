"""The one training loop that all weight methods share: loss on completions only, best checkpoint by validation.

Batches are grouped by length and padded on the left, so that the logits of the context are never computed.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import get_scheduler

from lab.models.checkpoint import load_checkpoint, save_checkpoint
from lab.models.local import LocalModel
from lab.schema import LabError, Prompt, TrainingFailed
from lab.weights.base import Progress, TrainingLog

LOOKS = 10
"""Validation looks in a training run: the same for every method and size."""
CHECKPOINT_SECONDS = 60.0
"""How much of a training a kill can cost."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    learning_rate: float
    epochs: int
    minimum_steps: int
    batch_size: int = 16
    warmup_share: float = 0.06
    weight_decay: float = 0.0

    def steps(self, items: int) -> int:
        """Optimizer steps for this many items: the epochs, but never fewer than the minimum."""
        return max(self.minimum_steps, self.epochs * math.ceil(items / self.batch_size))


@dataclass(frozen=True)
class Encoded:
    """One training text: context tokens (no loss) and target tokens (loss)."""

    context: list[int]
    target: list[int]


def encode_pairs(model: LocalModel, pairs: tuple[tuple[Prompt, str], ...]) -> list[Encoded]:
    """Prompts and targets as tokens; prompts are cut as for completion, a pair that can't fit is left out.

    Raises LabError where nothing is left to train on.
    """
    encoded = []
    for prompt, target in pairs:
        wanted = model.encode_target(target)
        prompt_tokens = model.encode(prompt, len(wanted))
        if not prompt_tokens.error:
            encoded.append(Encoded(prompt_tokens.tokens, wanted))
    if pairs and not encoded:
        raise LabError(f"no training item fits the window of {model.name} ({model.window} tokens); shorten the inputs or take another model")
    return encoded


def encode_documents(model: LocalModel, texts: list[str], length: int = 256) -> list[Encoded]:
    """Documents as plain text, cut into pieces of ``length`` tokens; all tokens but the first are targets."""
    begin = [model.tokenizer.bos_token_id if model.tokenizer.bos_token_id is not None else model.tokenizer.eos_token_id]
    length = min(length, model.window - 1)
    encoded = []
    for text in texts:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"] + [model.tokenizer.eos_token_id]
        encoded += [Encoded(begin, ids[i:i + length]) for i in range(0, len(ids), length)]
    return encoded


def batches(items: list[Encoded], size: int, rng: random.Random) -> list[list[Encoded]]:
    """One epoch's batches: shuffled, then sorted by length within groups of eight batches, then shuffled as batches."""
    order = list(items)
    rng.shuffle(order)
    result = []
    for start in range(0, len(order), size * 8):
        group = sorted(order[start:start + size * 8], key=lambda e: len(e.context) + len(e.target))
        result += [group[i:i + size] for i in range(0, len(group), size)]
    rng.shuffle(result)
    return result


def endless_batches(items: list[Encoded], size: int, rng: random.Random, skip: int = 0) -> Iterator[list[Encoded]]:
    """Batches of one epoch after another; the first ``skip`` are left out, as a resumed training needs it."""
    while True:
        for batch in reversed(batches(items, size, rng)):
            if skip:
                skip -= 1
            else:
                yield batch


def _padded(batch: list[Encoded], pad: int, device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """ids, attention mask (rows, width), labels (rows, kept) with -100 outside targets, and kept = longest target."""
    width = max(len(e.context) + len(e.target) for e in batch)
    kept = max(len(e.target) for e in batch)
    ids = [[pad] * (width - len(e.context) - len(e.target)) + e.context + e.target for e in batch]
    mask = [[0] * (width - len(e.context) - len(e.target)) + [1] * (len(e.context) + len(e.target)) for e in batch]
    labels = [[-100] * (kept - len(e.target)) + e.target for e in batch]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device), torch.tensor(labels, device=device), kept


def completion_logits(network, batch: list[Encoded], pad: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits that predict the target tokens, labels): both (rows, longest target, ...), labels -100 where there is none."""
    ids, mask, labels, kept = _padded(batch, pad, device)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    output = network(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=kept + 1)
    return output.logits[:, :-1].float(), labels


@torch.no_grad()
def validate(network, items: list[Encoded], pad: int, device, batch_size: int = 32) -> tuple[float, float]:
    """(share of items whose target is reproduced token by token, mean nats a target token).

    The first equals greedy exact match: a greedy completion is the target if and only if every target token is
    the first choice after the ones before it.
    """
    network.eval()
    exact, nats, tokens = 0, 0.0, 0
    ordered = sorted(items, key=lambda e: len(e.context))
    for start in range(0, len(ordered), batch_size):
        logits, labels = completion_logits(network, ordered[start:start + batch_size], pad, device)
        kept = labels != -100
        exact += int(((logits.argmax(-1) == labels) | ~kept).all(dim=1).sum())
        nats += torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=-100).item()
        tokens += int(kept.sum())
    network.train()
    return exact / len(items), nats / tokens


def train(model: LocalModel, network, items: list[Encoded], validation: list[Encoded], schedule: Schedule, seed: int, progress: Progress, what: str,
          checkpoint: Path | None = None) -> TrainingLog:
    """Train the parameters of ``network`` that require gradients; leaves the best values by validation in it.

    With a ``checkpoint`` folder an interrupted training goes on from there, with the same batches. Raises LabError where there is nothing to learn from or the loss is not finite.
    """
    target_tokens = sum(len(e.target) for e in items)
    if not target_tokens:
        raise LabError(f"{what}: no target tokens to train on")
    set_seed(seed)
    machine = model.machine
    accelerator = Accelerator(mixed_precision="bf16" if machine.dtype == "bfloat16" else "no", cpu=machine.device == "cpu")
    tensors = {n: p for n, p in network.named_parameters() if p.requires_grad}
    parameters = list(tensors.values())
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    steps = schedule.steps(len(items))
    scheduler = get_scheduler("cosine", optimizer, num_warmup_steps=max(1, int(steps * schedule.warmup_share)), num_training_steps=steps)
    pad = model.tokenizer.pad_token_id or 0
    log = TrainingLog(target_tokens=target_tokens, trained_parameters=sum(p.numel() for p in parameters))
    look_at = {max(1, round(steps * (i + 1) / LOOKS)) for i in range(LOOKS)} if validation else set()
    best = {n: p.detach().clone() for n, p in tensors.items()} if validation else {}
    held = tensors | {f"best.{n}": v for n, v in best.items()}
    best_scores, first = (-1.0, -math.inf), 1
    if checkpoint is not None and (found := load_checkpoint(checkpoint, held, [optimizer])):
        log, best_scores, first = TrainingLog(**found["log"]), tuple(found["best_scores"]), found["step"] + 1
        scheduler.load_state_dict(found["scheduler"])
        for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr()):
            group["lr"] = rate
    source = endless_batches(items, schedule.batch_size, random.Random(f"batches {seed}"), skip=first - 1)
    seconds_before, started = log.seconds, time.perf_counter()
    saved = started
    network.train()
    for step in range(first, steps + 1):
        batch = next(source)
        with accelerator.autocast():
            logits, labels = completion_logits(network, batch, pad, model.network.device)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        if not torch.isfinite(loss):
            raise TrainingFailed(f"{what}: the loss at step {step} is {loss.item()} (learning rate {schedule.learning_rate:g}); nothing was kept, lower the rate")
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        log.trained_tokens += sum(len(e.context) + len(e.target) for e in batch)
        if step in look_at:
            accuracy, nll = validate(network, validation, pad, model.network.device)
            log.curve.append({"step": step, "loss": round(loss.item(), 5), "validation_accuracy": round(accuracy, 5), "validation_nll": round(nll, 5)})
            if (accuracy, -nll) > best_scores:
                best_scores, log.best_step = (accuracy, -nll), step
                with torch.no_grad():
                    for name, value in best.items():
                        value.copy_(tensors[name])
        elif not validation and (step % 20 == 0 or step == steps):
            log.curve.append({"step": step, "loss": round(loss.item(), 5)})
        log.seconds = seconds_before + time.perf_counter() - started
        if checkpoint is not None and time.perf_counter() - saved > CHECKPOINT_SECONDS and step < steps:
            save_checkpoint(checkpoint, held, [optimizer], {"step": step, "log": asdict(log), "best_scores": best_scores, "scheduler": scheduler.state_dict()})
            saved = time.perf_counter()
        progress(step, steps, what)
    if validation:
        with torch.no_grad():
            for name, value in best.items():
                tensors[name].copy_(value)
        log.validation_accuracy, log.validation_nll = best_scores[0], -best_scores[1]
    log.steps, log.best_step, log.validation_looks = steps, log.best_step or steps, len(look_at)
    network.eval()
    return log
