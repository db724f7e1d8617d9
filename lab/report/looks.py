"""How an arm looks, the same in every chart of a study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.study import Study

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7A7A7A")
"""Okabe and Ito's, told apart by people who see few colours; marks tell arms apart without colour."""
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
WELL_KNOWN = {
    "zero_shot": (7, 0),
    "few_shot": (4, 1),
    "few_shot_nearest": (6, 2),
    "rag": (0, 3),
    "few_shot_rag": (5, 4),
    "lora": (1, 5),
    "rag_lora": (2, 0),
    "study_lora": (3, 1),
    "full": (5, 2),
    "rag_full": (2, 3),
    "study_full": (3, 4),
    "majority": (7, 5),
    "linear": (7, 0),
    "embedding_linear": (6, 3),
    "embedding_nearest": (6, 5),
}
"""Arms that look alike in every study (places in PALETTE and MARKS), unless another of the study has the place."""


@dataclass(frozen=True)
class Looks:
    """Colour and mark of a study's arms: no two look alike while places last."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, study: Study) -> Looks:
        """In the order of the study's arms."""
        return cls(tuple(study.arms()))

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Places in PALETTE and MARKS: the well-known ones first, then whatever colour is free."""
        found: dict[str, tuple[int, int]] = {}
        for name in self.names:
            place = WELL_KNOWN.get(name)
            if place and place[0] not in {colour for colour, _ in found.values()}:
                found[name] = place
        for name in self.names:
            if name not in found:
                taken = {colour for colour, _ in found.values()}
                free = [c for c in range(len(PALETTE)) if c not in taken]
                colour = free[0] if free else len(found) % len(PALETTE)
                marks = [m for m in range(len(MARKS)) if (colour, m) not in found.values()]
                found[name] = (colour, marks[len(found) % len(marks)] if marks else 0)
        return {name: found[name] for name in self.names}

    def colour(self, name: str) -> str:
        """An arm's colour; grey for an arm of no study."""
        return PALETTE[self.places[name][0]] if name in self.places else PALETTE[-1]

    def mark(self, name: str) -> str:
        """An arm's mark."""
        return MARKS[self.places[name][1]] if name in self.places else MARKS[0]

    def of_arm(self, name: str) -> dict[str, str]:
        """Both, as rows hold them."""
        return {"colour": self.colour(name), "mark": self.mark(name)}

    def __hash__(self) -> int:
        return hash(self.names)
