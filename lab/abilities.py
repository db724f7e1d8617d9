"""What a base model can do: its probes run once and stored, with intervals.

``abilities(model, store)["reading_5"]`` is ``{"accuracy": 0.81, "low": 0.75, "high": 0.86, "items": 200, ...}``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lab.measure.statistics import wilson
from lab.models.local import LocalModel
from lab.models.prompts import render
from lab.producing import Progress
from lab.schema import Decoding
from lab.store import Store, key_of, read_completions, write_completions
from lab.tasks.scorers import exact
from lab.tasks.task import digest
from lab.world.probes import ITEMS, PROBES, probe

DECODING = Decoding(48)
NEEDED = ("instruction", "format_examples", "label_examples", "reading_5")
"""Probes of what the frozen arms ask of a base model."""


def probe_key(model: LocalModel, name: str, items: int = ITEMS) -> tuple[str, dict[str, Any]]:
    """(key, what produces it) of a probe's evaluation."""
    prompts = digest([[s.id, render(p)] for s, p in probe(name, items).items])
    what = {"kind": "evaluation", "model": model.revision, "probe": name, "prompts": prompts, "decoding": asdict(DECODING)}
    return key_of(what), what


def abilities(model: LocalModel, store: Store, names: Sequence[str] = PROBES, items: int = ITEMS, progress: Progress | None = None) -> dict[str, dict[str, Any]]:
    """Accuracy with a Wilson interval on each probe; completions are stored like any evaluation."""
    progress, found = progress or Progress(), {}
    for name in names:
        asked = probe(name, items)
        key, what = probe_key(model, name, items)
        entry = store.find("evaluation", key)
        if entry is None:
            with store.producing("evaluation", what) as draft:
                if not draft.done:
                    progress.stage(f"probe {name}", items)
                    started = time.perf_counter()
                    write_completions(draft.folder, model.complete([(s.id, p) for s, p in asked.items], DECODING, progress.advance))
                    draft.result = {"items": items, "split": "probe", "seconds": time.perf_counter() - started, "context_seconds": 0.0}
                    draft.made = {"machine": asdict(model.machine), "seconds": draft.result["seconds"]}
            entry = draft.done
        right = sum(exact(s, c).value for (s, _), c in zip(asked.items, read_completions(entry)))
        low, high = wilson(right, items)
        found[name] = {"says": asked.says, "accuracy": right / items, "low": low, "high": high, "items": items, "evaluation": entry.key}
    return found
