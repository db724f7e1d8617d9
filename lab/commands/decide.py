"""``lab decide``: check, plan, run, decide, report."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.schema import LabError
from lab.tasks.check import require_sound
from lab.tasks.task import Task, digest, load_task

FROZEN_ARMS = ["zero_shot", "few_shot"]


def default_methods(task: Task) -> list[str]:
    """Prompting and LoRA, and with documents also retrieval, both together, and the closed-book arm that studied them."""
    retrieval = ["rag", "rag_lora", "study_lora"] if task.documents else []
    return [*FROZEN_ARMS, *(["few_shot_rag"] if task.documents else ["few_shot_nearest"]), *retrieval, "lora"]


def run_decide(console: Console, *, command: str, folder: Path, model_name: str, method_names: list[str], ranks: list[int], sizes: list[int], seeds: int, budget: str,
               device: str, embedder: str, out: Path | None, fresh: bool, allow_leak: bool, allow_scorer_code: bool, plan_only: bool, plan_json: bool, redact: bool, job: Path | None,
               forgetting: bool, probe_folders: list[Path], general_text: Path | None, settings: dict[str, Any]) -> None:
    """Check, plan, run, decide, report."""
    from lab.plan import apply_budget, expand, forecast, parse_budget

    task = load_task(folder)
    out = out or Path("lab-reports") / f"{task.name}-{Path(model_name).name}"
    if out.exists() and not out.is_dir():
        raise LabError(f"--out {out}: is a file; name a folder")
    budget_seconds = parse_budget(budget)
    plan = expand(method_names or default_methods(task), ranks, sizes or [len(task.labelled)], seeds, task)

    from lab.abilities import NEEDED, abilities
    from lab.commands.setting import make_runner
    from lab.decide import Settings
    from lab.decide import decide as conclude
    from lab.forecast import Forecast
    from lab.live.jobs import JobProgress
    from lab.measure.statistics import detectable_difference
    from lab.report.items import disagreements
    from lab.report.write import write_report
    from lab.store import KINDS, Store
    from lab.terminal import TerminalProgress, show_decision, show_findings, show_plan

    chosen_settings = Settings(**settings)
    findings = require_sound(task, allow_leak)
    store = Store(committed_kinds=("choice",) if fresh else KINDS)
    runner = make_runner(task, model_name, device, embedder, probe_folders, general_text, store=store, forgetting=forgetting, allow_scorer_code=allow_scorer_code)
    model, machine_here = runner.model, runner.model.machine
    console.print(f"[bold]{task.name}[/bold] with {model.name} on {machine_here.device} ({machine_here.name}, {machine_here.dtype}, {machine_here.threads} threads)", highlight=False)
    show_findings(console, findings)
    plan.detectable = detectable_difference(len(task.test), len({s.group or s.id for s in task.test}))
    _warn_of_long_items(console, runner)
    seconds = Forecast(runner, plan)
    forecast(plan, seconds.cell, seconds.search, seconds.probes(NEEDED))
    plan.memory_bytes = {c: found for c in plan.cells if (found := seconds.memory(c)) is not None}
    apply_budget(plan, budget_seconds)
    show_plan(console, plan, chosen_settings.price_per_hour_usd)
    if plan_json:
        searches = {f"{name} {size}": s for (name, size), s in (plan.search_seconds | plan.middle_search_seconds).items()}
        console.print_json(data={"seconds": plan.total_seconds, "cells": {c.label: s for c, s in plan.seconds.items()}, "searches": searches,
                                 "usd": {c.label: s * chosen_settings.price_per_hour_usd / 3600 for c, s in plan.seconds.items()}, "peak_bytes": {c.label: b for c, b in plan.memory_bytes.items()}}, indent=None)
    if plan_only or plan_json:
        return
    if job:
        # A server that was started with & ignores interrupts, and its children would as well: Stop must reach this one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    shelved = store.home / "studies" / digest({"task": task.digest, "command": command})[:16]

    def keep(study) -> None:
        (study.redacted() if redact else study).save(out / "study.json")
        # A run that begins again must not hide what the stopped one had measured.
        if "finished" in study.made or cells_in(shelved / "study.json") <= len(study.cells):
            study.save(shelved / "study.json")

    with JobProgress(console, plan, job) if job else TerminalProgress(console, plan) as progress:
        runner.progress = progress
        probes = abilities(model, store, NEEDED, progress=progress)
        study = runner.run(plan, findings, probes, keep)
    study.settings |= {"command": command, "allow_leak": allow_leak, "test_looks": count_test_looks(store, study)}
    keep(study)
    decision = conclude(study, chosen_settings)
    show_decision(console, study, decision)
    paths = write_report(study.redacted() if redact else study, chosen_settings, out, None if redact else disagreements(study, store, task, allow_scorer_code))
    if decision.provisional:
        console.print(f"The full decision, with three draws of the training sample: {full_command(command)}", highlight=False, soft_wrap=True)
    console.print(f"Report: {paths['html']}", highlight=False, soft_wrap=True)
    if job:
        (job / "finished").touch()


def cells_in(path: Path) -> int:
    """Cells of a written study; 0 where there is none."""
    try:
        return len(json.loads(path.read_text(encoding="utf-8"))["cells"])
    except (OSError, ValueError, KeyError):
        return 0


def full_command(command: str) -> str:
    """The user's own command with three seeds and nothing left out but ``--fresh``."""
    words = shlex.split(command)
    kept, skip = [], False
    for word in words:
        if skip or word in ("--seeds", "--fresh") or word.startswith("--seeds="):
            skip = word == "--seeds" and not skip
            continue
        kept.append(word)
    return shlex.join([*kept, "--seeds", "3"])


def _warn_of_long_items(console: Console, runner) -> None:
    """Say which test items can't fit the window: they end as errors and count as not right."""
    from lab.schema import Prompt

    reserve = runner.decoding.max_tokens
    long = [s.id for s in runner.task.test if runner.model.encode(Prompt(runner.task.instruction, s.input), reserve).error]
    if len(long) == len(runner.task.test):
        raise LabError(f"{runner.task.folder}: no test item fits the window of {runner.model.name} ({runner.model.window} tokens, {reserve} kept for the answer); take another model")
    if long:
        console.print(f"[yellow]warning [/] {len(long)} test items are longer than the window of {runner.model.window} tokens and will count as errors: {', '.join(long[:5])}", highlight=False)


def count_test_looks(store, study) -> int:
    """How many specs have been completed on exactly these test items, ever, in this store, and how often a person looked: each is a look."""
    keys = {c.evaluation for c in study.cells if c.evaluation}
    wanted = {e.record["what"]["items"] for e in store.entries() if e.kind == "evaluation" and not e.damaged and e.key in keys}
    people = store.home / "looks" / f"{study.task['digest'][:16]}.jsonl"
    specs = {e.key for e in store.entries() if e.kind == "evaluation" and not e.damaged and e.record["what"].get("items") in wanted}
    return len(specs) + (len(people.read_text(encoding="utf-8").splitlines()) if people.exists() else 0)
