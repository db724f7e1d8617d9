"""Why is fine-tuning so cheap? Accounts of pretraining and of trainings on the task, and how their costs relate.

Pure data, read and written as ``why.json``; ``lab.experiments.why.run`` measures it. The identity that holds for any
two trainings::

    seconds_a / seconds_b = (tokens_a / tokens_b) x (FLOPs a token: a / b) x (FLOPs a second: b / a)
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lab.files import load, write_json
from lab.measure.statistics import wilson


@dataclass
class Account:
    """One training and what it used."""

    name: str
    tokens: int
    steps: int
    trained_parameters: int
    optimizer_bytes: int
    flops: float
    """By formula (``lab.measure.flops``)."""
    counted_flops: float
    """By torch's counter: of one step, times the tokens; 0 where it was not counted."""
    seconds: float
    """By the clock, validation looks and whatever ran beside it included."""
    machine: str
    size: int | None = None
    """Labelled examples; None for pretraining."""
    right: int = 0
    items: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    tokens_per_second: float = 0.0
    """Pace of its steps on the machine of the ledger, timed side by side with the other accounts';
    0 where it was not timed."""

    @property
    def seconds_here(self) -> float:
        """Its tokens at that pace; the clock's seconds where it was not timed."""
        return self.tokens / self.tokens_per_second if self.tokens_per_second else self.seconds

    @property
    def accuracy(self) -> float | None:
        """Share of the items that no training saw; None for pretraining."""
        return self.right / self.items if self.items else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.right, self.items)


@dataclass
class Why:
    """Everything that the page shows."""

    task: dict[str, Any]
    model: dict[str, Any]
    pretraining: Account
    trainings: list[Account] = field(default_factory=list)
    frozen: list[Account] = field(default_factory=list)
    """Full fine-tuning with the first k layers frozen (``settings['frozen_layers']``)."""
    truncated: list[dict[str, Any]] = field(default_factory=list)
    """The full fine-tune's update cut to rank r: rank, right, items."""
    layers: list[dict[str, Any]] = field(default_factory=list)
    """Linear probes: attribute, says, layer, right, items, majority."""
    command: str = ""
    made: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as JSON; the file is replaced whole."""
        write_json(path, asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> Why:
        """Read; raises LabError where the file is missing or damaged."""
        return load(path, cls._of, "ledger", "lab why")

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Why:
        accounts = {name: [Account(**a) for a in data[name]] for name in ("trainings", "frozen")}
        return cls(**(data | accounts | {"pretraining": Account(**data["pretraining"])}))

    def of(self, name: str) -> list[Account]:
        """One method's trainings, smallest size first."""
        return sorted((a for a in self.trainings if a.name == name), key=lambda a: a.size or 0)


@dataclass(frozen=True)
class Factors:
    """How many times dearer pretraining was than a training, factor by factor."""

    tokens: float
    flops_a_token: float
    utilisation: float
    """FLOPs a second of the training over those of pretraining: 1 where both use the machine alike."""
    seconds: float
    """The product: pretraining's seconds on this machine over the training's."""
    memory: float
    """Optimizer state: a saving of memory, not of compute, and so no factor of the product."""
    double_counted: float
    """What multiplying data, steps, parameters and optimizer state would claim (they are not independent: steps are
    tokens over batch size, the optimizer state follows the parameters)."""


def factors(why: Why, training: Account) -> Factors:
    """Pretraining over a training, both at the pace of their steps on one machine."""
    before, own = why.pretraining, training.seconds_here
    seconds = before.seconds_here
    tokens, each = before.tokens / training.tokens, (before.flops / before.tokens) / (training.flops / training.tokens)
    pace = (training.flops / own) / (before.flops / seconds)
    memory = before.optimizer_bytes / max(1, training.optimizer_bytes)
    return Factors(
        tokens,
        each,
        pace,
        seconds / own,
        memory,
        tokens * (before.steps / training.steps) * (before.trained_parameters / training.trained_parameters) * memory,
    )


def worth_in_examples(why: Why, name: str = "full", other: str = "scratch") -> str:
    """What a pretrained start is worth in task examples: sizes at which training from scratch reaches what the
    pretrained start has at its smallest."""
    own, scratch = [a for a in why.of(name) if a.right], why.of(other)
    if not own or not scratch:
        return "Neither start learned anything at these sizes."
    first = own[0]
    reached = next((a for a in scratch if a.accuracy >= first.accuracy), None)
    if reached is None:
        return (
            f"From scratch {scratch[-1].size:,} examples give {100 * scratch[-1].accuracy:.1f} %, less than the "
            f"pretrained start with {first.size:,} ({100 * first.accuracy:.1f} %): "
            f"the start is worth more than {scratch[-1].size / first.size:.0f} times the data."
        )
    return (
        f"From scratch it takes {reached.size:,} examples to reach what the pretrained start has with "
        f"{first.size:,} ({100 * first.accuracy:.1f} %)."
    )


@dataclass(frozen=True)
class Figure:
    """A published training."""

    name: str
    what: str
    """``pretraining`` or ``fine-tuning``."""
    date: str
    source: str
    gpu_hours: float | None = None
    usd: float | None = None


def public_figures() -> list[Figure]:
    """Published GPU hours and dollars, with sources and dates (``lab/experiments/why/public_figures.toml``)."""
    table = tomllib.loads(files("lab.experiments.why").joinpath("public_figures.toml").read_text(encoding="utf-8"))
    return [Figure(name, **row) for name, row in table.items()]


def scaled_account(account: Account, epochs: int, rank: int) -> Account:
    """A measured training at other epochs and rank, by arithmetic: tokens, steps, FLOPs and seconds with the epochs,
    trained parameters and optimizer state with the rank."""
    times = epochs / account.settings.get("epochs", 10)
    wider = rank / account.settings.get("rank", 16) if account.name == "lora" else 1.0
    return replace(
        account,
        tokens=round(account.tokens * times),
        steps=round(account.steps * times),
        flops=account.flops * times,
        counted_flops=account.counted_flops * times,
        seconds=account.seconds * times,
        trained_parameters=round(account.trained_parameters * wider),
        optimizer_bytes=round(account.optimizer_bytes * wider),
    )


def own_case(
    billions: float, trillions: float, examples: float, tokens_each: float, epochs: float, percent: float
) -> dict[str, float]:
    """FLOPs by 6 N D and 4 N D + 6 P D, memory by 16 N and 2 N + 16 P bytes."""
    n, before, tokens, adapter = (
        billions * 1e9,
        trillions * 1e12,
        examples * tokens_each * epochs,
        billions * 1e9 * percent / 100,
    )
    full, lora = 6 * n * tokens, (4 * n + 6 * adapter) * tokens
    return {
        "times less": 6 * n * before / lora,
        "by tokens": before / tokens,
        "by gradients": full / lora,
        "full GiB": 16 * n / 2**30,
        "lora GiB": (2 * n + 16 * adapter) / 2**30,
    }
