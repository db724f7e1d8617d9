"""What every command that runs a model on a task begins with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.tasks.task import Task

if TYPE_CHECKING:
    from lab.runner import Runner
    from lab.store import Store


def make_runner(task: Task, model_name: str, device: str, embedder: str = "embedder", probe_folders: Sequence[Path] = (), general_text: Path | None = None, *,
                store: Store | None = None, forgetting: bool = True, allow_scorer_code: bool = False) -> Runner:
    """A runner with its model, store and general texts, and with probes where forgetting is to be measured."""
    from lab.abilities import forgetting_probes
    from lab.context.base import Tools
    from lab.models.device import machine
    from lab.models.local import load_model
    from lab.runner import Runner
    from lab.store import Store
    from lab.world.general import general_texts
    from lab.world.probes import folder_probe

    # A broken probe is told before the model is loaded.
    own_probes = [folder_probe(f) for f in probe_folders]
    store, model = store or Store(), load_model(model_name, machine(device))
    general = general_texts(model, general_text)
    runner = Runner(task, model, store, Tools(embedder, store.cache / "vectors"), allow_scorer_code=allow_scorer_code, general=general)
    if forgetting:
        runner.probes = forgetting_probes(model, own_probes, general)
    return runner
