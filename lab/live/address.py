"""What a page's address asks for, and an address that says what the page shows.

``/decide?task=handbook&model=nano&size=100`` opens there: ``chosen(asked(), "task", folders, default)`` reads it,
``remember(task="handbook", size=100)`` writes it while sliders move, and the navigation carries it to the next page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import marimo as mo

Option = TypeVar("Option")
LONGEST = 200
"""Characters of a value that anybody would have chosen."""


def asked() -> dict[str, str]:
    """The parameters of the page's address; empty where there is none (a script, a test, an export)."""
    try:
        found = mo.query_params()
        return {name: str(found.get(name))[:LONGEST] for name in found}
    except Exception:  # marimo has no address outside a server, and several ways of saying so.
        return {}


def chosen(parameters: dict[str, str], name: str, options: Iterable[Option], default: Option) -> Option:
    """The option that an address names; the default where it names none, or nothing that is offered."""
    wanted = parameters.get(name, "")
    return next((option for option in options if wanted and str(option) == wanted), default)


def number(parameters: dict[str, str], name: str, default: float, low: float, high: float) -> float:
    """A number of the address within its bounds; the default where there is none."""
    try:
        return min(high, max(low, float(parameters[name])))
    except (KeyError, ValueError):
        return default


def remember(**shown: Any) -> dict[str, str]:
    """Write what the page shows into its address, and give it as the navigation takes it; None and False stand for
    nothing."""
    told = {name: str(value)[:LONGEST] for name, value in shown.items() if value not in (None, False, "")}
    try:
        parameters = mo.query_params()
        for name in shown:
            if name not in told and name in parameters:
                parameters.remove(name)
        for name, value in told.items():
            if parameters.get(name) != value:
                parameters.set(name, value)
    except Exception:  # As above: without a server there is no address to write to.
        return told
    return told
