"""The one training loop that all weight methods share: loss on completions only, best checkpoint by validation.

Batches are grouped by length; general texts can be mixed in against forgetting.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors import SafetensorError
from transformers import get_scheduler

from lab.files import tell
from lab.models.checkpoint import load_checkpoint, save_checkpoint
from lab.models.likelihood import Encoded, Logits, completion_logits, kl_each
from lab.models.local import LocalModel
from lab.models.memory import PeakMemory
from lab.schema import LabError, Prompt, TrainingFailed, first_line
from lab.weights.base import Progress, TrainingLog

VALIDATION_LOOKS = 10
"""Validation looks in a training run: the same for every method and size."""
CURVE_EVERY = 20
"""Steps between points of the curve where there is nothing to validate on."""
CHECKPOINT_SECONDS = 60.0
"""How much of a training a kill can cost."""

DECAYS = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Names of the decays, and transformers' names for them."""
KL_SHARE = 1 / 8
"""General texts for each item of a batch, where only the KL penalty reads them."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    learning_rate: float
    epochs: int
    minimum_steps: int
    batch_size: int = 16
    warmup_share: float = 0.06
    patience: int = 0
    weight_decay: float = 0.0
    decay: str = "cosine"
    replay: float = 0.0
    kl: float = 0.0

    def general_items(self, step: int) -> int:
        """How many general texts go with this step's batch,
        so that their share of all items is ``replay`` over the run."""
        wanted = max(self.replay / (1 - self.replay), KL_SHARE if self.kl else 0.0) * self.batch_size
        return math.floor(step * wanted + 1e-9) - math.floor((step - 1) * wanted + 1e-9)

    def steps(self, items: int) -> int:
        """Optimizer steps for this many items: the epochs, but never fewer than the minimum."""
        return max(self.minimum_steps, self.epochs * math.ceil(items / self.batch_size))


def encode_pairs(model: LocalModel, pairs: tuple[tuple[Prompt, str], ...], before: int = 0) -> list[Encoded]:
    """Prompts and targets as tokens; prompts are cut as for completion, a pair that can't fit is left out.

    So many tokens of the window are taken ``before`` each text.

    Raises LabError where nothing is left to train on.
    """
    encoded = []
    for prompt, target in pairs:
        wanted = model.encode_target(target)
        prompt_tokens = model.encode(prompt, len(wanted) + before)
        if not prompt_tokens.error:
            encoded.append(Encoded(prompt_tokens.tokens, wanted))
    if pairs and not encoded:
        raise LabError(
            f"no training item fits the window of {model.name} ({model.window} tokens); shorten the inputs or take "
            "another model"
        )
    return encoded


def encode_documents(model: LocalModel, texts: list[str], length: int = 256) -> list[Encoded]:
    """Documents as plain text, cut into pieces of ``length`` tokens; all tokens but the first are targets."""
    begin = [model.tokenizer.bos_token_id if model.tokenizer.bos_token_id is not None else model.tokenizer.eos_token_id]
    length = min(length, model.window - 1)
    encoded = []
    for text in texts:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"] + [model.tokenizer.eos_token_id]
        encoded += [Encoded(begin, ids[i : i + length]) for i in range(0, len(ids), length)]
    return encoded


def batches(items: list[Encoded], size: int, rng: random.Random) -> list[list[Encoded]]:
    """One epoch's batches: shuffled, then sorted by length within groups of eight batches, then shuffled as batches."""
    order = list(items)
    rng.shuffle(order)
    result = []
    for start in range(0, len(order), size * 8):
        group = sorted(order[start : start + size * 8], key=lambda e: e.size)
        result += [group[i : i + size] for i in range(0, len(group), size)]
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
        logits, labels = completion_logits(network, ordered[start : start + batch_size], pad, device)
        kept = labels != -100
        exact += int(((logits.argmax(-1) == labels) | ~kept).all(dim=1).sum())
        nats += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=-100
        ).item()
        tokens += int(kept.sum())
    network.train()
    return exact / len(items), nats / tokens


def _mean_nats(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def batch_loss(
    network: torch.nn.Module,
    base: Logits | None,
    batch: list[Encoded],
    general: list[Encoded],
    schedule: Schedule,
    pad: int,
    device: torch.device,
) -> torch.Tensor:
    """Mean nats a target token of the batch; with general texts the mean over items of both, plus the KL penalty.

    ``base`` gives the logits of the model before training, the reference of the penalty.
    """
    loss = _mean_nats(*completion_logits(network, batch, pad, device))
    if not general:
        return loss
    logits, labels = completion_logits(network, general, pad, device)
    if schedule.replay:
        share = len(general) / (len(batch) + len(general))
        loss = (1 - share) * loss + share * _mean_nats(logits, labels)
    if schedule.kl:
        with torch.no_grad():
            before = base(general)
        loss = loss + schedule.kl * kl_each(before, logits)[labels != -100].mean()
    return loss


Objective = Callable[..., torch.Tensor]
"""The loss of one batch, with the arguments of ``batch_loss``."""


class _Best:
    """The values that validation liked best so far, kept beside those in training."""

    def __init__(self, tensors: dict[str, torch.Tensor], keep: bool) -> None:
        self.tensors, self.scores = tensors, (-1.0, -math.inf)
        self.values = {n: p.detach().clone() for n, p in tensors.items()} if keep else {}

    @torch.no_grad()
    def offer(self, accuracy: float, nll: float) -> bool:
        """Keep the current values where they are better; whether they are."""
        if (accuracy, -nll) <= self.scores:
            return False
        self.scores = (accuracy, -nll)
        for name, value in self.values.items():
            value.copy_(self.tensors[name])
        return True

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best values back into training's own."""
        for name, value in self.values.items():
            self.tensors[name].copy_(value)


class Paused(Exception):
    """A training stopped where it was asked to; its checkpoint is kept, and the same call without a pause goes on."""

    def __init__(self, log: TrainingLog) -> None:
        super().__init__(f"paused after step {log.curve[-1]['step']} of {log.steps}")
        self.log = log


def train(
    model: LocalModel,
    network: torch.nn.Module,
    items: list[Encoded],
    validation: list[Encoded],
    schedule: Schedule,
    seed: int,
    progress: Progress,
    what: str,
    checkpoint: Path | None = None,
    general: Sequence[Encoded] = (),
    base: Logits | None = None,
    pause_after: int = 0,
    objective: Objective = batch_loss,
) -> TrainingLog:
    """Train the parameters of ``network`` that require gradients; leaves the best values by validation in it.

    ``general`` texts are mixed in as ``schedule`` says; a KL penalty needs what the ``base`` says of them. With a
    ``checkpoint`` folder an interrupted training goes on from there, with the same batches. Raises LabError where there
    is nothing to learn from or the loss is not finite, Paused after so many looks at validation where ``pause_after``
    says so.
    """
    target_tokens = sum(len(e.target) for e in items)
    if not target_tokens:
        raise LabError(f"{what}: no target tokens to train on")
    set_seed(seed)
    device = next(network.parameters()).device
    lower = model.precision == "bfloat16"

    def in_its_precision() -> torch.autocast:
        """What is trained is held in float32; products are taken in the format that the model answers in."""
        return torch.autocast(device.type, torch.bfloat16, enabled=lower)

    steps = schedule.steps(len(items))
    tensors = {n: p for n, p in network.named_parameters() if p.requires_grad}
    parameters = list(tensors.values())
    optimizer, scheduler = _optimizer(parameters, schedule, steps)
    log = TrainingLog(steps=steps, target_tokens=target_tokens, trained_parameters=sum(p.numel() for p in parameters))
    look_at = _looks(steps) if validation else set()
    best = _Best(tensors, keep=bool(validation))
    held = tensors | {f"best.{n}": v for n, v in best.values.items()}
    first = 1
    if checkpoint is not None and (found := load_checkpoint(checkpoint, held, [optimizer])):
        log, best.scores, first = TrainingLog(**found["log"]), tuple(found["best_scores"]), found["step"] + 1
        _set_scheduler(scheduler, optimizer, found["scheduler"])
    source = endless_batches(items, schedule.batch_size, random.Random(f"batches {seed}"), skip=first - 1)
    network.train()
    with PeakMemory(model.machine.device) as memory:
        seconds_before, started = log.seconds, time.perf_counter()
        saved = started
        for step in range(first, steps + 1):
            batch, replayed = next(source), general_batch(general, schedule.general_items(step), seed, step)
            with in_its_precision():
                loss = objective(network, base, batch, replayed, schedule, model.pad, device)
            if not torch.isfinite(loss):
                raise TrainingFailed(
                    f"{what}: the loss at step {step} is {loss.item()} (learning rate {schedule.learning_rate:g}); "
                    "nothing was kept, lower the rate"
                )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            log.general_tokens += count_tokens(replayed)
            log.trained_tokens += count_tokens(batch) + count_tokens(replayed)
            if step in look_at:
                with in_its_precision():
                    accuracy, nll = validate(network, validation, model.pad, device)
                log.curve.append(_point(step, loss) | _seen(accuracy, nll))
                if best.offer(accuracy, nll):
                    log.best_step = step
                log.validation_looks += 1
            elif not validation and (step % CURVE_EVERY == 0 or step == steps):
                log.curve.append(_point(step, loss))
            log.seconds = seconds_before + time.perf_counter() - started
            pausing = step in look_at and 0 < log.validation_looks == pause_after and step < steps
            due = time.perf_counter() - saved > CHECKPOINT_SECONDS and step < steps
            if checkpoint is not None and (due or pausing):
                state = {"step": step, "log": asdict(log), "best_scores": best.scores}
                try:
                    save_checkpoint(checkpoint, held, [optimizer], state | {"scheduler": scheduler.state_dict()})
                except (OSError, SafetensorError) as error:
                    if pausing:
                        raise LabError(f"{checkpoint}: can't be written ({first_line(error)})") from None
                    tell(f"{checkpoint}: can't be written ({first_line(error)}); a stop would cost this training")
                saved = time.perf_counter()
            if pausing:
                raise Paused(log)
            if step in look_at and out_of_patience(log.curve, schedule.patience):
                log.steps = step
                progress(steps, steps, what)
                break
            progress(step, steps, what)
    if validation:
        best.restore()
        log.validation_accuracy, log.validation_nll = best.scores[0], -best.scores[1]
    log.best_step = log.best_step or log.steps
    log.peak_bytes = max(log.peak_bytes, memory.bytes)
    log.optimizer_bytes = sum(
        v.numel() * v.element_size() for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)
    )
    network.eval()
    return log


def _optimizer(parameters: list[torch.nn.Parameter], schedule: Schedule, steps: int):
    """AdamW, and the scheduler of its learning rate."""
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    warmup = max(1, int(steps * schedule.warmup_share))
    return optimizer, get_scheduler(
        DECAYS[schedule.decay], optimizer, num_warmup_steps=warmup, num_training_steps=steps
    )


def _set_scheduler(scheduler, optimizer: torch.optim.Optimizer, state: dict) -> None:
    scheduler.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr()):
        group["lr"] = rate


def _looks(steps: int) -> set[int]:
    """Steps after which validation is looked at: evenly spread, the last one among them."""
    return {max(1, round(steps * (i + 1) / VALIDATION_LOOKS)) for i in range(VALIDATION_LOOKS)}


def out_of_patience(curve: Sequence[dict[str, float]], patience: int) -> bool:
    """Whether the last ``patience`` looks at validation all found no lower loss than there was before them."""
    seen = [point["validation_nll"] for point in curve if "validation_nll" in point]
    return 0 < patience < len(seen) and min(seen[-patience:]) >= min(seen[:-patience])


def _point(step: int, loss: torch.Tensor) -> dict[str, float]:
    return {"step": step, "loss": round(loss.item(), 5)}


def _seen(accuracy: float, nll: float) -> dict[str, float]:
    return {"validation_accuracy": round(accuracy, 5), "validation_nll": round(nll, 5)}


def general_batch(general: Sequence[Encoded], count: int, seed: int, step: int) -> list[Encoded]:
    """The general texts that go with a step: the same for the same seed and step,
    so that a resumed training sees them again."""
    return random.Random(f"general {seed} {step}").choices(general, k=count) if count else []


def count_tokens(items: Sequence[Encoded]) -> int:
    """Context and target tokens."""
    return sum(e.size for e in items)
