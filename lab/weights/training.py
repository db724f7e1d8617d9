"""The one training loop that all weight methods share: loss on completions only, best checkpoint by validation.

Batches are grouped by length and padded on the left, so that the logits of the context are never computed.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import get_scheduler

from lab.models.local import LocalModel
from lab.schema import LabError, Prompt, TrainingFailed
from lab.weights.base import Progress, TrainingLog

LOOKS = 10
"""Validation looks in a training run: the same for every method and size."""


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


def train(model: LocalModel, network, items: list[Encoded], validation: list[Encoded], schedule: Schedule, seed: int, progress: Progress, what: str) -> TrainingLog:
    """Train the parameters of ``network`` that require gradients; leaves the best checkpoint's values in it.

    Raises LabError where there is nothing to learn from or the loss is not finite.
    """
    target_tokens = sum(len(e.target) for e in items)
    if not target_tokens:
        raise LabError(f"{what}: no target tokens to train on")
    set_seed(seed)
    machine = model.machine
    accelerator = Accelerator(mixed_precision="bf16" if machine.dtype == "bfloat16" else "no", cpu=machine.device == "cpu")
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    steps = schedule.steps(len(items))
    scheduler = get_scheduler("cosine", optimizer, num_warmup_steps=max(1, int(steps * schedule.warmup_share)), num_training_steps=steps)
    pad = model.tokenizer.pad_token_id or 0
    rng = random.Random(f"batches {seed}")
    log = TrainingLog(target_tokens=target_tokens, trained_parameters=sum(p.numel() for p in parameters))
    best, kept_values, queue, started = (-1.0, -math.inf), None, [], time.perf_counter()
    look_at = {max(1, round(steps * (i + 1) / LOOKS)) for i in range(LOOKS)} if validation else set()
    network.train()
    for step in range(1, steps + 1):
        queue = queue or batches(items, schedule.batch_size, rng)
        batch = queue.pop()
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
            if (accuracy, -nll) > best:
                best, log.best_step = (accuracy, -nll), step
                kept_values = [p.detach().clone() for p in parameters]
        elif not validation and (step % 20 == 0 or step == steps):
            log.curve.append({"step": step, "loss": round(loss.item(), 5)})
        progress(step, steps, what)
    if kept_values is not None:
        with torch.no_grad():
            for parameter, value in zip(parameters, kept_values):
                parameter.copy_(value)
        log.validation_accuracy, log.validation_nll = best[0], -best[1]
    log.steps, log.best_step = steps, log.best_step or steps
    log.validation_looks, log.seconds = len(look_at), time.perf_counter() - started
    network.eval()
    return log
