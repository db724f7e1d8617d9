"""Shares, money and time as sentences say them; the report's page writes them alike."""

from __future__ import annotations


def percent(share: float) -> str:
    """``81.2 %``"""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """``5.0 points``"""
    return f"{100 * share:.1f} points"


def usd(amount: float) -> str:
    """``12.30 USD``, ``less than 0.01 USD``"""
    return f"{amount:,.2f} USD" if amount >= 0.01 else "less than 0.01 USD"


def minutes(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3.5 h``"""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
