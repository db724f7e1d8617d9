"""What an arm costs at the user's prices: to make it, to keep it fresh, to answer; and where two arms cost the same.

Pure arithmetic over measured seconds and tokens; the report's page repeats ``monthly_usd`` in JavaScript
(``report/templates/verdict.js``) and a browser test compares the two::

    monthly_usd(used, Prices(price_per_hour_usd=1.0), requests=50_000) -> Cost(making=..., updates=..., requests=..., people=...)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from scipy import special

from lab.schema import LabError

HOURS_A_MONTH = 730.0
HOSTINGS = ("shared", "dedicated", "api")


@dataclass(frozen=True)
class Prices:
    """What the user pays, and how the system will be used."""

    price_per_hour_usd: float = 1.0
    """Of the machine that trains and serves; an example to be replaced by the user's own."""
    hosting: str = "shared"
    """``shared``: only seconds of work are paid; ``dedicated``: whole machines around the clock, idle hours too; ``api``: tokens, at the three prices below."""
    usd_per_million_prompt_tokens: float = 0.0
    usd_per_million_cached_tokens: float = 0.0
    usd_per_million_completion_tokens: float = 0.0
    months: int = 12
    """How long the system will run: what is made once is spread over them."""
    updates_a_month: float = 0.0
    """How often the knowledge changes: arms that retrieve are indexed again, arms that have studied the documents trained again."""
    people_usd_per_hour: float = 0.0
    minutes_a_label: float = 1.0
    document_hours: float = 0.0
    evaluation_hours: float = 0.0

    def __post_init__(self) -> None:
        if self.hosting not in HOSTINGS:
            raise LabError(f"--hosting {self.hosting}: one of {', '.join(HOSTINGS)}")
        for name in (f.name for f in fields(Prices) if f.name != "hosting"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise LabError(f"--{name.replace('_', '-')} {value}: a number from 0 is needed")
        if self.months < 1:
            raise LabError(f"--months {self.months}: at least 1")
        if self.hosting == "api" and not self.usd_per_million_prompt_tokens + self.usd_per_million_completion_tokens:
            raise LabError("--hosting api: needs token prices; give --usd-per-million-prompt-tokens and --usd-per-million-completion-tokens, or take one of lab prices")


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
        return (fresh * prices.usd_per_million_prompt_tokens + used.cached_tokens * prices.usd_per_million_cached_tokens
                + used.completion_tokens * prices.usd_per_million_completion_tokens) / 1e6
    return used.seconds * prices.price_per_hour_usd / 3600


def monthly_usd(used: Used, prices: Prices, requests: float) -> Cost:
    """Making (spread over the months), updates, requests and people at a monthly volume."""
    hour = prices.price_per_hour_usd / 3600
    serving = requests * request_usd(used, prices)
    if prices.hosting == "dedicated":
        machines = max(1, math.ceil(requests * used.seconds / (HOURS_A_MONTH * 3600)))
        serving = machines * HOURS_A_MONTH * prices.price_per_hour_usd
    people = (used.labels * prices.minutes_a_label / 60 + (prices.document_hours if used.reads_documents else 0.0) + prices.evaluation_hours) * prices.people_usd_per_hour
    return Cost(used.fixed_seconds * hour / prices.months, prices.updates_a_month * used.update_seconds * hour, serving, people / prices.months)


@dataclass(frozen=True)
class BreakEven:
    """The monthly volume at which two arms cost the same, with a 95 % interval; None where there is none for a positive volume."""

    volume: float | None
    low: float
    high: float
    """``inf``: the interval has no finite end."""
    cheaper_above: str = ""
    """The arm that is cheaper above the volume; where there is no volume the one that is cheaper at every volume."""


def break_even(first: tuple[str, Used], second: tuple[str, Used], prices: Prices) -> BreakEven:
    """Where the two cost lines cross, by Fieller's theorem for the ratio of what one saves at first to what the other saves each time.

    On dedicated machines cost is a staircase of whole machines, so the lines are those of shared seconds; the table says so.
    """
    (name_a, a), (name_b, b) = first, second
    flat = replace(prices, hosting="shared") if prices.hosting == "dedicated" else prices
    hour, api = flat.price_per_hour_usd / 3600, flat.hosting == "api"
    at_zero = [monthly_usd(u, flat, 0) for u in (a, b)]
    numerator = at_zero[1].total - at_zero[0].total
    denominator = request_usd(a, flat) - request_usd(b, flat)
    numerator_variance = (a.fixed_error**2 + b.fixed_error**2) * (hour / flat.months) ** 2
    denominator_variance = 0.0 if api else (a.seconds_error**2 + b.seconds_error**2) * hour**2
    low, high = fieller(numerator, numerator_variance, denominator, denominator_variance)
    volume = numerator / denominator if denominator else None
    if volume is None or volume <= 0:
        # One line lies below the other everywhere: it begins lower or rises less, and never the other way round.
        cheaper = name_a if numerator > 0 or (numerator == 0 and denominator < 0) else name_b if numerator < 0 or denominator > 0 else ""
        return BreakEven(None, max(0.0, low), high, cheaper)
    return BreakEven(volume, max(0.0, low), high, name_b if denominator > 0 else name_a)


def fieller(numerator: float, numerator_variance: float, denominator: float, denominator_variance: float, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a ratio of two independent normal means (Fieller 1954); ``inf`` ends where the denominator may be 0.

    Where the set is the outside of an interval, its positive part that reaches to infinity is given.
    """
    z = float(special.ndtri(0.5 + confidence / 2))
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
