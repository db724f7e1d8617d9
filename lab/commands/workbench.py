"""What every command that runs a model on a task begins with: the bench, and the probes that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.tasks.task import Task

if TYPE_CHECKING:
    from lab.flow.bench import Bench
    from lab.flow.probing import ProbeSet
    from lab.store import Store


def open_bench(
    task: Task,
    model_name: str,
    device: str,
    precision: str,
    embedder: str = "embedder",
    probe_folders: Sequence[Path] = (),
    general_text: Path | None = None,
    *,
    store: Store | None = None,
    allow_scorer_code: bool = False,
    decoding: str = "free",
    extraction: str = "",
) -> tuple[Bench, ProbeSet]:
    """A bench with its model, store and general texts, and what is asked before and after each training."""
    from lab.context.base import Tools
    from lab.flow.bench import Bench
    from lab.flow.probing import forgetting_probes
    from lab.models.device import machine
    from lab.models.loading import load_model
    from lab.store import Store
    from lab.world.general import general_texts
    from lab.world.probes import folder_probe

    # A broken probe is told before the model is loaded.
    own_probes = [folder_probe(f) for f in probe_folders]
    store, model = store or Store(), load_model(model_name, machine(device), precision)
    general = general_texts(model, general_text)
    tools = Tools(embedder, store.cache / "vectors")
    bench = Bench(
        task,
        model,
        store,
        tools,
        allow_scorer_code=allow_scorer_code,
        general=general,
        extraction=extraction,
        way=decoding,
    )
    return bench, forgetting_probes(model, own_probes, general)
