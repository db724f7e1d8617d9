"""Forecast beside measured, against values by hand."""

from __future__ import annotations

import pytest

from lab.report.tables import forecast_table
from tests.test_decision import outcomes, study_of


def test_an_arms_forecast_stands_beside_what_it_took():
    study = study_of({"rag": [outcomes(0.3, 100, 0)], "lora": [outcomes(0.9, 100, s) for s in (1, 2)]})
    assert forecast_table(study, 1.0) == []
    study.plan["forecast"] = {
        "rag": {"search": 0.0, "cells": {"rag": 0.0}, "peak_bytes": None},
        "lora": {"search": 60.0, "cells": {"lora seed 0": 20.0, "lora seed 1": 40.0}, "peak_bytes": 5e6},
    }
    study.plan["measured"] = {
        "rag": {"method": "rag", "search": 0.1, "cell": 0.2},
        "lora seed 0": {"method": "lora", "search": 50.0, "cell": 20.0},
    }
    # rag came from the store, and lora has not run both of its cells yet.
    assert forecast_table(study, 1.0) == []
    study.plan["measured"]["lora seed 1"] = {"method": "lora", "search": 0.0, "cell": 30.0}
    for cell, peak in zip((c for c in study.cells if c.method == "lora"), (3e6, 4e6)):
        cell.usage["training_peak_bytes"] = peak
    (row,) = forecast_table(study, 3.6)
    assert (row["arm"], row["cells"], row["forecast"], row["measured"], row["peak_bytes"]) == (
        "lora",
        2,
        120.0,
        100.0,
        5e6,
    )
    assert row["measured_bytes"] == 4e6
    assert (
        row["off"] == pytest.approx(0.2)
        and row["forecast_usd"] == pytest.approx(0.12)
        and row["measured_usd"] == pytest.approx(0.1)
    )
