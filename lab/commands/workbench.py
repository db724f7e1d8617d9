"""What every command that runs a model on a task begins with: the bench, and the probes that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.schema import LabError
from lab.tasks.task import Task

if TYPE_CHECKING:
    from lab.flow.bench import Bench
    from lab.flow.probing import ProbeSet
    from lab.flow.runner import Runner
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
    reranker: str = "",
) -> tuple[Bench, ProbeSet]:
    """A bench with its model, store and general texts, and what is asked before and after each training."""
    from lab.context.base import Tools
    from lab.flow.bench import Bench
    from lab.flow.judging import SCORER, open_judge
    from lab.flow.probing import forgetting_probes
    from lab.store import Store
    from lab.world.general import general_texts
    from lab.world.probes import folder_probe

    # A broken probe is told before the model is loaded.
    own_probes = [folder_probe(f) for f in probe_folders]
    store = store or Store()
    model = opened(model_name, device, precision, store)
    general = general_texts(model, general_text)
    tools = Tools(embedder, store.cache / "vectors", reranker)
    judge = None
    if task.scorer == SCORER:
        judge = open_judge(task, store, lambda name: opened(name, device, precision, store))
    bench = Bench(
        task,
        model,
        store,
        tools,
        allow_scorer_code=allow_scorer_code,
        general=general,
        extraction=extraction,
        way=decoding,
        judge=judge,
    )
    return bench, forgetting_probes(model, own_probes, general)


def open_runner(
    task: Task, model_name: str, device: str, precision: str, embedder: str, *, forgetting: bool, **more: Any
) -> Runner:
    """A runner in a worker's process: the bench of the command that it works for."""
    from lab.flow.runner import Runner

    bench, probes = open_bench(task, model_name, device, precision, embedder, **more)
    return Runner(bench, probes if forgetting else None)


def opened(name: str, device: str, precision: str, store: Store) -> Any:
    """A model by its name: a local one, or one behind an address."""
    from lab.models.device import machine
    from lab.models.endpoint import endpoint, is_endpoint
    from lab.models.loading import load_model

    return endpoint(name, store.cache) if is_endpoint(name) else load_model(name, machine(device), precision)


def bench_of(study: Study, model_name: str, folder: Path | None, device: str) -> Bench:
    """The bench that a study was measured on, for using its arms; raises LabError where task or model are others."""
    from lab.context.base import Tools
    from lab.flow.bench import Bench
    from lab.report.items import require_task
    from lab.schema import Decoding
    from lab.store import Store
    from lab.world.general import general_texts

    task, store = require_task(study, folder), Store()
    model = opened(model_name, device, study.model.get("precision", "auto"), store)
    if model.revision != study.model["revision"]:
        raise LabError(f"--model {model_name}: is not the model of the study ({study.model['name']}); name that one")
    return Bench(
        # Nothing is scored, so that a scorer of the user's own need not run.
        replace(task, scorer="exact"),
        model,
        store,
        Tools(study.settings["embedder"], store.cache / "vectors", study.settings.get("reranker", "")),
        decoding=Decoding(**study.settings["decoding"]),
        general=general_texts(model, None),
        extraction=study.settings.get("extraction", ""),
    )
