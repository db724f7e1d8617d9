"""Full fine-tuning of the last layers: what lies below, and the embeddings, stays frozen (Lee et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from lab.models.base import Size
from lab.models.local import LocalModel
from lab.weights.full import Full
from lab.weights.trained import middle


@dataclass(frozen=True)
class LastLayers(Full):
    """The last part of the blocks: a half or a quarter of them, as validation chooses."""

    name: ClassVar[str] = "last_layers"
    SHARES: ClassVar[tuple[float, ...]] = (0.25, 0.5)

    share: float = 0.5
    """Of the blocks that are trained, the last ones; at least one is."""

    def frozen(self, model: LocalModel) -> int:
        """The others."""
        return model.layers - max(1, round(self.share * model.layers))

    def grid(self, looks: int, size: Size | None = None) -> tuple[Self, ...]:
        """Both shares at the middle rates, where there are looks for it."""
        if self.study or looks < 2 * len(self.SHARES):
            return super().grid(looks, size)
        rates = middle(self.rates_for(size), looks // len(self.SHARES))
        return tuple(replace(self, share=s, learning_rate=r) for s in self.SHARES for r in rates)
