"""What every command that runs a model on a task begins with: the bench, and the probes that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.schema import LabError
from lab.tasks.task import Task

if TYPE_CHECKING:
    from lab.flow.bench import Bench
    from lab.flow.probing import ProbeSet
    from lab.store import Store
    from lab.study import Study


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


def bench_of(study: Study, model_name: str, folder: Path | None, device: str) -> Bench:
    """The bench that a study was measured on, for using its arms; raises LabError where task or model are others."""
    from lab.context.base import Tools
    from lab.flow.bench import Bench
    from lab.models.device import machine
    from lab.models.loading import load_model
    from lab.schema import Decoding
    from lab.store import Store
    from lab.tasks.task import load_task
    from lab.world.general import general_texts

    task = load_task(folder or Path(study.task["folder"]))
    task = task.with_items(study.task["test"]) if study.task.get("test_of") else task
    if task.digest != study.task["digest"]:
        raise LabError(f"{task.folder}: its items are no longer those of the study; name the task's folder with --task")
    model = load_model(model_name, machine(device), study.model.get("precision", "auto"))
    if model.revision != study.model["revision"]:
        raise LabError(f"--model {model_name}: is not the model of the study ({study.model['name']})")
    store = Store()
    return Bench(
        # Nothing is scored, so that a scorer of the user's own need not run.
        replace(task, scorer="exact"),
        model,
        store,
        Tools(study.settings["embedder"], store.cache / "vectors"),
        decoding=Decoding(**study.settings["decoding"]),
        general=general_texts(model, None),
        extraction=study.settings.get("extraction", ""),
    )
