"""Standard normal numbers, spread evenly, on which the chance of settling is counted: stored, so that a verdict needs
no numpy and stays the same whatever version of it there is (a test makes them again)."""

from __future__ import annotations

import json
from importlib.resources import files

DRAWS: list[list[float]] = json.loads(files("lab.measure").joinpath("draws.json").read_text(encoding="utf-8"))
"""(draws, arms); the report's page gets the same."""
