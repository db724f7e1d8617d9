"""Scenes: what one study shows at every data size and rank, computed beforehand, for a page that has no numpy.

``Scenes.of(study)`` computes them, ``read(data)`` reads them in a browser, ``lab.decision.verdict`` does the rest::

    verdict(read(data).at(size=400, rank=None), Settings(margin=0.02)) -> Decision
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from lab.measure.shown import Evidence
from lab.measure.winning import Gains

if TYPE_CHECKING:
    from lab.study import Study


@dataclass(frozen=True)
class Scenes:
    """One study, as much of it as *Decide* shows on its first screen."""

    task: str
    model: str
    source: str
    """When and on what it was measured, in words."""
    arms: tuple[str, ...]
    """Names in the study's order, by which arms get their colours."""
    sizes: list[int]
    """Measured data sizes; empty where no arm learns from labels."""
    ranks: list[int]
    """Measured ranks; empty where there is no choice."""
    volumes: list[int]
    """Monthly requests to choose from."""
    forgets: bool
    """Whether forgetting was measured."""
    shown: list[Evidence]
    """One for each size and rank, ranks by validation (None) included."""
    gains: list[Gains]
    words: dict[str, str]
    """What each arm is."""
    drawing: dict[str, Any]
    """The chart of quality, cost and forgetting, compiled, without rows."""
    kind: str
    """The drawing's MIME type."""

    @classmethod
    def of(cls, study: Study) -> Scenes:
        """Of a study, without words of its task."""
        from lab.live.charts import drawing_of, kind
        from lab.measure.evidence import evidence
        from lab.measure.plainly import arms_in_words
        from lab.measure.settings import Settings
        from lab.measure.winning import gains
        from lab.report.charts.quality import forgets, quality_chart
        from lab.report.tables import ranks_of, volumes

        study = study.redacted()
        sizes, ranks = study.sizes(), ranks_of(study)
        ranks = ranks if len(ranks) > 1 else []
        return cls(
            study.task["name"],
            study.model["name"],
            f"{len(study.cells)} cells of {study.made['date'][:10]} on {study.made['machine']['name']}",
            tuple(study.arms()),
            sizes,
            ranks,
            volumes(Settings()),
            forgets(study),
            [evidence(study, size, rank) for size in sizes or [None] for rank in [None, *ranks]],
            gains(study),
            arms_in_words(study),
            drawing_of(quality_chart, (forgets(study),)),
            kind(),
        )

    def at(self, size: int | None, rank: int | None) -> Evidence:
        """What was shown at one of ``sizes`` (the largest for None) and ``ranks`` (each arm's by validation for
        None)."""
        size = size if size is not None or not self.sizes else self.sizes[-1]
        return next(scene for scene in self.shown if (scene.size, scene.rank) == (size, rank))

    def written(self) -> bytes:
        """As JSON, which ``read`` takes."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def read(data: bytes) -> Scenes:
    """Scenes as they were written; raises ValueError for anything else."""
    return msgspec.json.decode(data, type=Scenes)
