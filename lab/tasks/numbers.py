"""Numbers in texts: signs before and behind a currency, thousands set apart, a decimal point or, where the task says
so, a decimal comma.

``numbers_in("about -$1,200.50 (12 %)")`` is ``[-1200.5, 12.0]``; a figure that can't be read for sure, such as ``3,5``
where the point is decimal, is ``None``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from lab.schema import LabError

SIGNS = "-+−–"
POINT, COMMA = ".", ","
APART = "'’\u00a0\u202f\u2009"
"""What sets thousands apart in either notation: apostrophes and spaces that do not break."""
CURRENCY = "$€£¥₹₩₽₺₴฿¢"


@lru_cache(maxsize=2)
def _figures() -> re.Pattern[str]:
    """A sign, a currency, digits with whatever stands between them, an exponent."""
    sign, money = f"[{re.escape(SIGNS)}]", f"[{CURRENCY}]"
    digits = rf"(?:\d[\d.,{APART}]*\d|\d)"
    return re.compile(
        rf"(?<![\w.,])(?P<sign>{sign}?)\s?{money}?\s?(?P<inner>{sign}?)(?P<body>{digits}|[.,]{digits})(?P<power>e[-+]?\d+)?"
        r"(?!\w*\d)",
        re.I,
    )


def _read(body: str, decimal: str) -> float | None:
    """Digits with their separators as a number; None where they are no number in this notation."""
    thousands = COMMA if decimal == POINT else POINT
    whole, _, part = body.partition(decimal)
    if decimal in part or thousands in part or any(a in part for a in APART):
        return None
    for mark in (thousands, *APART):
        if mark in whole and not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", whole):
            return None
        whole = whole.replace(mark, "")
    return float(f"{whole or 0}.{part or 0}") if (whole + part).isdigit() else None


def numbers_in(text: str, decimal: str = POINT) -> list[float | None]:
    """Every number of a text in order; None for a figure that is none in this notation."""
    text, found = unicodedata.normalize("NFC", text), []
    for match in _figures().finditer(text):
        body = match["body"]
        value = _read(body, decimal)
        if value is not None and match["power"]:
            value = float(f"{value}{match['power']}")
        minus = sum(s in "-−–" for s in match["sign"] + match["inner"])
        found.append(-value if value is not None and minus == 1 else value)
    return found


def number_of(target: str, decimal: str = POINT) -> float:
    """A target that is one number, with a currency or a percent sign at most; raises ValueError for anything else."""
    found = numbers_in(target, decimal)
    bare = _figures().sub("", target).strip()
    if len(found) != 1 or found[0] is None or bare.lower() not in ("", "%", "percent", *CURRENCY):
        raise ValueError(f"{target!r} is no number with a decimal {'point' if decimal == POINT else 'comma'}")
    if found[0] in (float("inf"), float("-inf")):
        raise ValueError(f"{target!r} is too large")
    return found[0]


def decimal_of(settings: dict, where: str) -> str:
    """``decimal`` of a task's settings: ``.`` unless it says ``,``; raises LabError for anything else."""
    decimal = settings.get("decimal", POINT)
    if decimal not in (POINT, COMMA):
        raise LabError(f"{where}: decimal = {decimal!r}; it is '.' or ','")
    return decimal
