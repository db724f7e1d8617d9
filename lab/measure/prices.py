"""The price table: a dated, sourced data file that a user's own file goes before.

``price_fields("h100-specialty")`` gives the fields of ``lab.decision.Settings`` that the price sets.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lab.schema import LabError

PRICE_KEYS = (
    "price_per_hour_usd",
    "usd_per_million_prompt_tokens",
    "usd_per_million_cached_tokens",
    "usd_per_million_completion_tokens",
)


@dataclass(frozen=True)
class NamedPrice:
    """One row of the table."""

    name: str
    what: str
    date: str
    source: str
    fields: dict[str, float]

    @property
    def words(self) -> str:
        """The price in plain words."""
        if "price_per_hour_usd" in self.fields:
            return f"{self.what}: {self.fields['price_per_hour_usd']:g} USD an hour"
        prompt, cached, completion = (self.fields.get(k, 0.0) for k in PRICE_KEYS[1:])
        return (
            f"{self.what}: {prompt:g} / {cached:g} / {completion:g} USD a million prompt / cached / completion tokens"
        )


def read_prices(own: Path | None = None) -> list[NamedPrice]:
    """All prices, the user's own first; raises LabError naming the file and entry of a bad one."""
    texts = [(str(own), _own_text(own))] if own else []
    texts.append(("lab/measure/prices.toml", files("lab.measure").joinpath("prices.toml").read_text(encoding="utf-8")))
    found: dict[str, NamedPrice] = {}
    for place, text in texts:
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise LabError(f"{place}: {error}") from None
        for name, row in table.items():
            found.setdefault(name, _price(place, name, row))
    return list(found.values())


def _own_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"--prices {path}: can't be read ({error})") from None


def _price(place: str, name: str, row: Any) -> NamedPrice:
    where = f"{place}, [{name}]"
    if not isinstance(row, dict):
        raise LabError(f"{where}: a table with what, date, source and a price is needed")
    for key in ("what", "date", "source"):
        if not row.get(key):
            raise LabError(f"{where}: {key} is missing; a price without a source and a date is not taken")
    prices = {k: row[k] for k in PRICE_KEYS if k in row}
    if not prices:
        raise LabError(f"{where}: no price; one of {', '.join(PRICE_KEYS)}")
    unknown = set(row) - {"what", "date", "source", *PRICE_KEYS}
    if unknown:
        raise LabError(
            f"{where}: unknown key {sorted(unknown)[0]!r}; keys are what, date, source, {', '.join(PRICE_KEYS)}"
        )
    for key, value in prices.items():
        if not (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0):
            raise LabError(f"{where}: {key} = {value!r} is no price; a number from 0 is needed")
    return NamedPrice(
        name, str(row["what"]), str(row["date"]), str(row["source"]), {k: float(v) for k, v in prices.items()}
    )


def price_fields(name: str, own: Path | None = None) -> dict[str, Any]:
    """What a named price sets; raises LabError for an unknown name, listing the known ones."""
    prices = {p.name: p for p in read_prices(own)}
    if name not in prices:
        raise LabError(f"--price {name}: not in the table; one of {', '.join(prices)}")
    found = prices[name].fields
    return {"hosting": "api"} | found if "price_per_hour_usd" not in found else dict(found)
