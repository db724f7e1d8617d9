"""Numbers and foreign texts as people read them."""

from __future__ import annotations

import html
import re
from typing import Any


def escaped(text: str) -> str:
    """A text that came from outside as Markdown that shows it and does nothing else."""
    return re.sub(
        r"([\\`*_{}\[\]()#+!|~:$@-])", lambda m: f"&#{ord(m.group())};", html.escape(text, quote=False)
    ).replace("\n", " ")


def how_answered(settings: dict[str, Any]) -> str:
    """How a study's answers came about where that was not freely, as sentences with a space behind; else empty."""
    decoding, extraction, told = settings.get("decoding", {}), settings.get("extraction", ""), ""
    if decoding.get("choose"):
        told += f"Every arm answered with the likeliest label ({decoding['choose'].replace('_', ' ')}). "
    elif decoding.get("allowed"):
        told += "Every arm could write only what the task allows (constrained decoding). "
    if extraction:
        told += f"The answer is what was extracted ({extraction.replace('_', ' ')}). "
    return told
