"""What a person waits for: whole requests (retrieval, prompt, completion), each alone.

``latencies(model, fitted, samples, decoding)`` gives ``{"latencies": [...], "retrieval_seconds": ...}``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lab.context.base import Fitted
from lab.models.base import Model
from lab.schema import Decoding, Sample

ALONE = 30
"""Requests that are timed alone."""
ALONE_BESIDE = 10
"""Of them also with the adapter beside the weights instead of merged into them."""
TIMED = ("latencies", "side_latencies", "retrieval_seconds")
"""What an evaluation's record holds of requests alone."""
LEAST, SECONDS = 8, 8.0
"""Of a slow model fewer: at least so many, then only while they have not taken so long."""


def latencies(
    model: Model, fitted: Fitted, samples: Sequence[Sample], decoding: Decoding, beside: bool = False
) -> dict[str, Any]:
    """Seconds of the first requests, and the median of what building their prompts took."""
    count = ALONE_BESIDE if beside else ALONE
    # Under another id a sample is new to the context, which so has to search for it.
    name = "beside" if beside else "alone"
    timed: list[tuple[float, float]] = []
    for sample in samples[:count]:
        if len(timed) >= LEAST and sum(whole for whole, _ in timed) > SECONDS:
            break
        timed.append(_request(model, fitted, replace(sample, id=f"{name} {sample.id}"), decoding))
    seconds = [round(whole, 6) for whole, _ in timed]
    if beside:
        return {"side_latencies": seconds}
    return {"latencies": seconds, "retrieval_seconds": float(np.median([built for _, built in timed]))}


def _request(model: Model, fitted: Fitted, sample: Sample, decoding: Decoding) -> tuple[float, float]:
    """Seconds of a whole request, and of building its prompt."""
    started = time.perf_counter()
    prompt = fitted.build(sample)
    built = time.perf_counter()
    (answered,) = model.complete([(sample.id, prompt)], decoding)
    # What an endpoint was asked before takes no time now: what it took then counts.
    took = max(time.perf_counter() - built, answered.usage.seconds)
    return built - started + took, built - started
