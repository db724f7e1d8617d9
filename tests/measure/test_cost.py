"""Cost arithmetic against hand-computed cases and its limits; Fieller against a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.measure.cost import HOURS_A_MONTH, Priced, Used, break_even, fieller, monthly_usd, request_usd
from lab.measure.prices import price_fields, read_prices
from lab.measure.settings import Prices
from lab.schema import LabError

DEAR = Used(
    fixed_seconds=7200,
    seconds=0.01,
    prompt_tokens=100,
    cached_tokens=60,
    completion_tokens=10,
    update_seconds=3600,
    labels=300,
    reads_documents=True,
)
CHEAP = Used(
    fixed_seconds=0, seconds=0.1, prompt_tokens=1100, cached_tokens=1000, completion_tokens=10, update_seconds=36
)


def test_shared_seconds_by_hand():
    cost = monthly_usd(
        DEAR,
        Prices(
            price_per_hour_usd=3.6,
            months=2,
            updates_a_month=1.5,
            people_usd_per_hour=60,
            minutes_a_label=2,
            document_hours=3,
            evaluation_hours=1,
        ),
        10_000,
    )
    assert (
        cost.making == pytest.approx(3.6) and cost.updates == pytest.approx(5.4) and cost.requests == pytest.approx(0.1)
    )
    assert cost.people == pytest.approx((10 + 3 + 1) * 60 / 2)
    assert cost.total == pytest.approx(9.1), "people are in no sum"
    assert monthly_usd(CHEAP, Prices(people_usd_per_hour=60, document_hours=3), 0).people == 0


def test_dedicated_machines_cost_their_idle_hours_too():
    prices = Prices(price_per_hour_usd=2, hosting="dedicated")
    assert monthly_usd(CHEAP, prices, 0).requests == 2 * HOURS_A_MONTH
    assert monthly_usd(CHEAP, prices, HOURS_A_MONTH * 3600 / 0.1 * 2.5).requests == 3 * 2 * HOURS_A_MONTH


def test_an_api_is_paid_by_tokens_cached_ones_apart():
    prices = Prices(
        hosting="api",
        usd_per_million_prompt_tokens=2,
        usd_per_million_cached_tokens=0.5,
        usd_per_million_completion_tokens=8,
    )
    assert request_usd(CHEAP, prices) == pytest.approx((100 * 2 + 1000 * 0.5 + 10 * 8) / 1e6)


def test_break_even_by_hand():
    even = break_even(Priced("cheap", CHEAP, Prices(months=1)), Priced("dear", DEAR, Prices(months=1)))
    assert even.volume == pytest.approx(7200 / 0.09) and even.cheaper_above == "dear"
    assert (even.low, even.high) == (pytest.approx(even.volume), pytest.approx(even.volume)), (
        "nothing uncertain, no width"
    )


@pytest.mark.parametrize(
    "first,second,cheaper",
    [
        ((0, 0.1), (10, 0.1), "a"),
        ((0, 0.1), (10, 0.2), "a"),
        ((10, 0.2), (0, 0.1), "b"),
        ((5, 0.1), (5, 0.1), ""),
        ((5, 0.1), (5, 0.2), "a"),
    ],
)
def test_lines_that_never_cross_name_the_cheaper(first, second, cheaper):
    even = break_even(Priced("a", Used(*first), Prices()), Priced("b", Used(*second), Prices()))
    assert even.volume is None and even.cheaper_above == cheaper


def test_an_interval_may_have_no_end():
    even = break_even(
        Priced("cheap", Used(0, 0.1, seconds_error=0.05), Prices(months=1)),
        Priced("dear", Used(7200, 0.09, seconds_error=0.05), Prices(months=1)),
    )
    assert even.high == math.inf and 0 < even.low < even.volume


def test_fieller_covers():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(4000):
        low, high = fieller(rng.normal(10, 2), 4.0, rng.normal(2, 0.4), 0.16)
        hits += low <= 5 <= high
    assert 0.935 < hits / 4000 < 0.965


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_per_hour_usd": -1},
        {"price_per_hour_usd": float("nan")},
        {"hosting": "cloud"},
        {"months": 0},
        {"updates_a_month": -2},
        {"hosting": "api"},
    ],
)
def test_bad_prices_are_refused(wrong):
    with pytest.raises(LabError, match="--"):
        Prices(**wrong)


def test_every_price_has_a_source_and_a_date(tmp_path):
    assert len(read_prices()) >= 8
    own = tmp_path / "prices.toml"
    own.write_text('[mine]\nwhat = "x"\ndate = "2026"\nprice_per_hour_usd = 1.5\n')
    with pytest.raises(LabError, match=r"prices.toml, \[mine\]: source is missing"):
        read_prices(own)
    own.write_text('[h100-specialty]\nwhat = "x"\ndate = "2026"\nsource = "contract"\nprice_per_hour_usd = 9\n')
    assert price_fields("h100-specialty", own) == {"price_per_hour_usd": 9.0}
    own.write_text('[mine]\nwhat = "x"\ndate = "2026"\nsource = "s"\nprice_per_hour_usd = -9\n')
    with pytest.raises(LabError, match="is no price"):
        read_prices(own)
    with pytest.raises(LabError, match="unknown-gpu: not in the table; one of h100"):
        price_fields("unknown-gpu")
    assert price_fields("gpt-4-1-mini")["hosting"] == "api"
