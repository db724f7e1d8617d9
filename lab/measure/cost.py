"""What an arm costs at the user's prices: to make it, to keep it fresh, to answer; and where two arms cost the same.

Pure arithmetic over measured seconds and tokens; the report's page repeats ``monthly_usd`` in JavaScript
(``report/templates/verdict.js``) and tests compare the two::

    monthly_usd(used, Prices(price_per_hour_usd=1.0), requests=50_000) -> Cost(making=..., requests=..., people=...)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from lab.measure.settings import Prices

HOURS_A_MONTH = 730.0
CONFIDENCE = 0.95
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Normal quantile of the 95 % intervals; the report's page gets it as data."""


@dataclass(frozen=True)
class Used:
    """What was measured of one arm."""

    fixed_seconds: float
    """To make it once, its search included."""
    seconds: float
    """Of a request in a batch, retrieval included."""
    seconds_error: float = 0.0
    """Standard error of the mean above."""
    fixed_error: float = 0.0
    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0
    completion_tokens: float = 0.0
    update_seconds: float = 0.0
    """To take in changed documents: indexing, or training again."""
    labels: int = 0
    reads_documents: bool = False


@dataclass(frozen=True)
class Cost:
    """Dollars a month."""

    making: float
    updates: float
    requests: float
    people: float
    """Shown apart and in no other sum."""

    @property
    def total(self) -> float:
        """Without people."""
        return self.making + self.updates + self.requests


def request_usd(used: Used, prices: Prices) -> float:
    """Dollars a request, where each one costs (idle machines not counted)."""
    if prices.hosting == "api":
        fresh = used.prompt_tokens - used.cached_tokens
        return (
            fresh * prices.usd_per_million_prompt_tokens
            + used.cached_tokens * prices.usd_per_million_cached_tokens
            + used.completion_tokens * prices.usd_per_million_completion_tokens
        ) / 1e6
    return used.seconds * prices.price_per_hour_usd / 3600


def monthly_usd(used: Used, prices: Prices, requests: float) -> Cost:
    """Making (spread over the months), updates, requests and people at a monthly volume."""
    hour = prices.price_per_hour_usd / 3600
    serving = requests * request_usd(used, prices)
    if prices.hosting == "dedicated":
        machines = max(1, math.ceil(requests * used.seconds / (HOURS_A_MONTH * 3600)))
        serving = machines * HOURS_A_MONTH * prices.price_per_hour_usd
    people = (
        used.labels * prices.minutes_a_label / 60
        + (prices.document_hours if used.reads_documents else 0.0)
        + prices.evaluation_hours
    ) * prices.people_usd_per_hour
    return Cost(
        used.fixed_seconds * hour / prices.months,
        prices.updates_a_month * used.update_seconds * hour,
        serving,
        people / prices.months,
    )


@dataclass(frozen=True)
class Priced:
    """An arm's costs: what was used, at the prices that hold for this arm."""

    label: str
    used: Used
    prices: Prices

    @property
    def flat(self) -> Prices:
        """On dedicated machines cost is a staircase of whole machines; its line is that of shared seconds."""
        return replace(self.prices, hosting="shared") if self.prices.hosting == "dedicated" else self.prices

    @property
    def at_rest(self) -> float:
        """Dollars a month without a request."""
        return monthly_usd(self.used, self.flat, 0).total

    @property
    def at_rest_variance(self) -> float:
        """Of the mean above, from the seeds' trainings."""
        return (self.used.fixed_error * self.flat.price_per_hour_usd / 3600 / self.flat.months) ** 2

    @property
    def each(self) -> float:
        """Dollars a request."""
        return request_usd(self.used, self.flat)

    @property
    def each_variance(self) -> float:
        """Of the mean above; tokens are counted, not estimated."""
        return (
            0.0 if self.flat.hosting == "api" else (self.used.seconds_error * self.flat.price_per_hour_usd / 3600) ** 2
        )


def costs_alike(first: Priced, second: Priced, requests: float) -> bool:
    """Whether two arms' monthly costs lie within the error of their difference."""
    difference = _monthly(first, requests) - _monthly(second, requests)
    return abs(difference) <= Z * math.sqrt(_monthly_variance(first, requests) + _monthly_variance(second, requests))


def _monthly(arm: Priced, requests: float) -> float:
    return monthly_usd(arm.used, arm.prices, requests).total


def _monthly_variance(arm: Priced, requests: float) -> float:
    """Of a monthly cost; a dedicated machine is paid whole, whatever a request takes."""
    served = 0.0 if arm.prices.hosting == "dedicated" else requests**2 * arm.each_variance
    return arm.at_rest_variance + served


@dataclass(frozen=True)
class BreakEven:
    """The monthly volume at which two arms cost the same, with a 95 % interval;
    None where there is none for a positive volume."""

    volume: float | None
    low: float
    high: float
    """``inf``: the interval has no finite end."""
    cheaper_above: str = ""
    """The arm that is cheaper above the volume; where there is no volume the one that is cheaper at every volume."""


def break_even(first: Priced, second: Priced) -> BreakEven:
    """Where the two cost lines cross, by Fieller's theorem for the ratio of what one saves at first to what the other
    saves each time.

    On dedicated machines the lines are those of shared seconds; the table says so.
    """
    saved_at_rest, saved_each = second.at_rest - first.at_rest, first.each - second.each
    low, high = fieller(
        saved_at_rest,
        first.at_rest_variance + second.at_rest_variance,
        saved_each,
        first.each_variance + second.each_variance,
    )
    volume = saved_at_rest / saved_each if saved_each else None
    if volume is None or volume <= 0:
        # One line lies below the other everywhere: it begins lower or rises less, and never the other way round.
        first_is_cheaper = saved_at_rest > 0 or (saved_at_rest == 0 and saved_each < 0)
        second_is_cheaper = saved_at_rest < 0 or saved_each > 0
        cheaper = first.label if first_is_cheaper else second.label if second_is_cheaper else ""
        return BreakEven(None, max(0.0, low), high, cheaper)
    return BreakEven(volume, max(0.0, low), high, second.label if saved_each > 0 else first.label)


def fieller(
    numerator: float,
    numerator_variance: float,
    denominator: float,
    denominator_variance: float,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of a ratio of two independent normal means (Fieller 1954); ``inf`` ends where the denominator may be 0.

    Where the set is the outside of an interval, its positive part that reaches to infinity is given.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    a = denominator**2 - z**2 * denominator_variance
    b = -2 * numerator * denominator
    c = numerator**2 - z**2 * numerator_variance
    if a == 0 and b == 0:
        return (-math.inf, math.inf)
    if a == 0:
        return (-c / b, math.inf) if b < 0 else (-math.inf, -c / b)
    root = b * b - 4 * a * c
    if root < 0:
        return (-math.inf, math.inf)
    ends = sorted(((-b - math.sqrt(root)) / (2 * a), (-b + math.sqrt(root)) / (2 * a)))
    if a > 0:
        return ends[0], ends[1]
    return (ends[1], math.inf) if ends[1] > 0 else (-math.inf, math.inf)
