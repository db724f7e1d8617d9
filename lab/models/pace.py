"""How fast a model reads and writes on this machine: seconds a token, from a few seconds of random prompts.

``pace_of(model)`` gives Pace(reading=..., writing=..., attending=..., alone=...).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.models.generation import generate
from lab.models.local import LocalModel
from lab.schema import Decoding

ROWS = 96
"""Prompts of the batch that writing is timed with; of a large model fewer, so that it takes seconds all the same."""
READ_ROWS = 32
"""Prompts of the batch that reading is timed with, likewise."""
SMALL = 2e7
"""Parameters of a model that is timed with whole batches."""
WIDTH = 160
"""Tokens of a prompt; half the window where that is less."""


@dataclass(frozen=True)
class Pace:
    """Seconds a token."""

    reading: float
    """A prompt token in a batch of prompts."""
    writing: float
    """A completion token of one item in a batch, with nothing before it."""
    attending: float
    """What each token of context adds to that."""
    alone: float
    """A completion token of a request alone."""


def width_of(model: LocalModel) -> int:
    """Tokens of a prompt that paces are taken with."""
    return min(WIDTH, model.window // 2)


def rows_for(model: LocalModel, rows: int, least: int) -> int:
    """So many rows of a small model, of a larger one fewer in proportion, but not below ``least``."""
    return max(least, round(rows * min(1.0, SMALL / model.parameters)))


def random_rows(model: LocalModel, rows: int, length: int, generator: np.random.Generator) -> list[list[int]]:
    """Prompts of random tokens, special ones left out."""
    return generator.integers(3, min(1000, model.config.vocab_size - 1), (rows, length)).tolist()


def pace_of(model: LocalModel) -> Pace:
    """Measure it; a large model's steps take so long that few of them, once, say enough."""
    width, generator = width_of(model), np.random.default_rng(0)
    times, steps = (2, 9) if model.parameters <= SMALL else (1, 6)
    prompts = random_rows(model, rows_for(model, READ_ROWS, 4), width, generator)
    reading = min(_timed(lambda: _write(model, prompts, 1)) for _ in range(times)) / (len(prompts) * width)
    short, long = width // 4, min(2 * width, model.window - 16)
    each = {n: _writing_seconds(model, _begun_alike(model, n, generator), steps) for n in (short, long)}
    attending = max(0.0, (each[long] - each[short]) / (long - short))
    single = random_rows(model, 1, width, generator)
    return Pace(
        reading,
        writing=max(each[short] - attending * short, 1e-7),
        attending=attending,
        alone=min(_writing_seconds(model, single, steps) for _ in range(times)),
    )


def _begun_alike(model: LocalModel, length: int, generator: np.random.Generator) -> list[list[int]]:
    """As many rows as a real batch has: beyond the processor's cache a row costs more. They share all but their last
    tokens, so that what is before those is read once and only writing takes time."""
    (start,) = random_rows(model, 1, length - 4, generator)
    return [start + tail for tail in random_rows(model, rows_for(model, ROWS, 16), 4, generator)]


def _write(model: LocalModel, rows: list[list[int]], tokens: int) -> int:
    """Complete the rows in one batch; the steps that were made, which rows that end early make fewer of."""
    found = generate(model.network, model.tokenizer, rows, Decoding(tokens, ""), cache_bytes=1e15)
    return sum(min(tokens, g.tokens + g.finished) for g in found)


def _writing_seconds(model: LocalModel, rows: list[list[int]], steps: int) -> float:
    """Seconds of one row's step after its first, from so many steps beside one."""
    made = {}

    def work(tokens: int) -> None:
        made[tokens] = _write(model, rows, tokens)

    long, short = _timed(lambda: work(steps)), _timed(lambda: work(1))
    return max(long - short, 1e-5) / max(1, made[steps] - made[1])


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
