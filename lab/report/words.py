"""Numbers and foreign texts as people read them."""

from __future__ import annotations

import html
import re


def minutes(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3.5 h``"""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def escaped(text: str) -> str:
    """A text that came from outside as Markdown that shows it and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~:$@-])", lambda m: f"&#{ord(m.group())};", html.escape(text)).replace("\n", " ")
