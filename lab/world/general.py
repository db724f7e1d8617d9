"""General texts: what a base model can be kept near to (replay, KL) and how much likelier or stranger they become.

``general_texts(model, None)`` for a model of ``lab pretrain`` draws its own world's documents anew; any other model
needs a text file, whose every 50th document is kept for the probe.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from lab.models.local import LocalModel
from lab.world.corpus import MIX, DocumentSource, read_english

REPLAYED, PROBED = 600, 64
"""Texts to train on, and texts to probe with."""
CHARACTERS = 1200
"""A longer text is cut."""


@dataclass(frozen=True)
class General:
    """Texts for both purposes; none is in both."""

    name: str
    replay: tuple[str, ...]
    probe: tuple[str, ...]


def general_texts(model: LocalModel, path: Path | None) -> General | None:
    """The file's texts, else those of the model's own world; None where there is neither."""
    if path is not None:
        kept, held_out = read_english(path)
        rng = random.Random("general texts")
        return General(
            path.name,
            tuple(_window(t, rng) for t in rng.sample(kept, min(REPLAYED, len(kept)))),
            tuple(t[:CHARACTERS] for t in held_out[:PROBED]),
        )
    if not model.pretraining:
        return None
    return General("the generated world", tuple(world_texts("replay", REPLAYED)), tuple(world_texts("probe", PROBED)))


def world_texts(purpose: str, count: int) -> list[str]:
    """Documents of the pretraining corpus's kinds, in its mix,
    drawn anew for this purpose (the English part is not at hand)."""
    rng = random.Random(f"general {purpose}")
    source = DocumentSource(rng, [], [])
    kinds = [k for k in MIX if not k.startswith("english")]
    drawn = (
        "".join(piece for piece, _ in source.draw(rng.choices(kinds, [MIX[k] for k in kinds])[0])) for _ in range(count)
    )
    return [text.strip()[:CHARACTERS] for text in drawn]


def _window(text: str, rng: random.Random) -> str:
    start = rng.randint(0, max(0, len(text) - CHARACTERS))
    return text[start : start + CHARACTERS]
