"""``lab decide``: check, plan, run, decide, report."""

from __future__ import annotations

import json
import os
import shlex
import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.commands import completion
from lab.commands.exits import DONE, FAILED
from lab.commands.options import (
    DATA,
    DEFAULT_MODEL,
    METHODS,
    OUTPUT,
    SCALE,
    Device,
    Embedder,
    Folder,
    GeneralText,
    ModelName,
    Precision,
    Probes,
    Redact,
    Reranker,
    console,
    names,
    numbers,
    repeated,
    with_settings,
)
from lab.commands.output import Result, show_findings, warn, with_output
from lab.files import read_object
from lab.measure.settings import Settings
from lab.measure.words import percent
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.decision import Decision
    from lab.flow.bench import Bench
    from lab.flow.course import Keeper
    from lab.flow.plan import Plan
    from lab.flow.workers import Workers
    from lab.study import Study
    from lab.tasks.task import Task


@with_output("json", "quiet")
@with_settings
def decide(
    task: Folder,
    methods: Annotated[
        str,
        typer.Option(
            help="arms, with commas; by default prompting and LoRA, with documents retrieval too",
            autocompletion=completion.methods,
            rich_help_panel=METHODS,
        ),
    ] = "",
    ranks: Annotated[str, typer.Option(help="LoRA ranks, with commas", rich_help_panel=METHODS)] = "16",
    decoding: Annotated[
        str,
        typer.Option(
            help="of every arm: free, constrained (to the task's labels, JSON or records), choose or choose_whole "
            "(the likeliest label)",
            autocompletion=completion.one_of("free", "constrained", "choose", "choose_whole"),
            rich_help_panel=METHODS,
        ),
    ] = "free",
    extract: Annotated[
        str,
        typer.Option(
            help="what of a completion is the answer: last_line, after_answer or first_json; else all",
            autocompletion=completion.one_of("last_line", "after_answer", "first_json"),
            rich_help_panel=METHODS,
        ),
    ] = "",
    forgetting: Annotated[
        bool, typer.Option(help="ask probes before and after each training", rich_help_panel=METHODS)
    ] = True,
    sizes: Annotated[
        str, typer.Option(help="labelled examples (train + validation); all by default", rich_help_panel=DATA)
    ] = "",
    items: Annotated[
        int,
        typer.Option(help="of a large test set a fixed random part of so many items; 0: all", rich_help_panel=DATA),
    ] = 0,
    probes: Probes = None,
    general_text: GeneralText = None,
    allow_leak: Annotated[
        bool,
        typer.Option(help="run although test items stand in train; the report says so", rich_help_panel=DATA),
    ] = False,
    allow_scorer_code: Annotated[
        bool, typer.Option(help="run the task's own module:function scorer", rich_help_panel=DATA)
    ] = False,
    model: ModelName = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    embedder: Embedder = "embedder",
    reranker: Reranker = "",
    seeds: Annotated[int, typer.Option(help="draws of the training sample", rich_help_panel=SCALE)] = 3,
    race: Annotated[
        bool,
        typer.Option(
            "--race/--full-grid",
            help="drop arms that are clearly worse early, give more items and draws to the rest; or measure everything",
            rich_help_panel=SCALE,
        ),
    ] = True,
    budget: Annotated[
        str,
        typer.Option(
            help="drop cells, dearest first, until the forecast fits: 20m, 2h",
            rich_help_panel=SCALE,
        ),
    ] = "",
    fresh: Annotated[
        bool,
        typer.Option(
            help="measure on this machine; of committed studies reuse only what validation chose",
            rich_help_panel=SCALE,
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="processes that share the work, each with its part of the cores, or a GPU; 0: one",
            rich_help_panel=SCALE,
        ),
    ] = 0,
    ray: Annotated[
        str,
        typer.Option(
            help="address of a Ray cluster that does the work; LAB_HOME must be shared", rich_help_panel=SCALE
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="folder of the report; lab-reports/TASK-MODEL by default", rich_help_panel=OUTPUT),
    ] = None,
    redact: Redact = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            help="end with status 1 where no arm is taken, or the one taken is right on less (a share of 1)",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="say what would be run and stop", rich_help_panel=OUTPUT)
    ] = False,
    plan_json: Annotated[
        bool,
        typer.Option(
            "--plan-json",
            help="the same, with the forecast as JSON in the last line",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    job: Annotated[
        Path | None, typer.Option(hidden=True, help="folder that a background run keeps its progress in")
    ] = None,
    *,
    settings: Settings,
) -> Result:
    """Run the arms on a task and decide between them."""
    from lab.files import folder_name
    from lab.flow.course import Grid, Keeper
    from lab.flow.plan import parse_budget
    from lab.tasks.check import require_sound
    from lab.tasks.extraction import require_extraction
    from lab.tasks.task import load_task

    if fail_under is not None and not 0 <= fail_under <= 1:
        raise LabError(f"--fail-under {fail_under:g}: a share of 1 is needed; 0.8 means 80 %")
    read, command = load_task(task), repeated("decide", ("--out", "--job", "--fail-under"))
    read = read.with_items(items) if items else read
    out = out or Path("lab-reports") / f"{folder_name(read.name)}-{folder_name(Path(model).name)}"
    if out.exists() and not out.is_dir():
        raise LabError(f"--out {out}: is a file; name a folder")
    budget_seconds = parse_budget(budget)
    # What can't be run is told before the model is loaded.
    grid = Grid.of(read, names(methods), numbers(ranks, "--ranks"), numbers(sizes, "--sizes"), seeds)

    from lab.commands.terminal import show_plan
    from lab.commands.workbench import open_bench, open_runner
    from lab.context.retrieval.reranking import load_reranker
    from lab.store import KINDS, Store

    if grid.uses_reranker:
        load_reranker(reranker)
    helpers = _workers(model, workers, ray)
    findings = require_sound(read, allow_leak)
    store = Store(committed_kinds=("choice",) if fresh else KINDS)
    more = {
        "probe_folders": probes or [],
        "general_text": general_text,
        "store": store,
        "allow_scorer_code": allow_scorer_code,
        "decoding": decoding,
        "extraction": require_extraction(extract),
        "reranker": reranker,
    }
    bench, asked = open_bench(read, model, device, precision, embedder, **more)
    plan = grid.plan_on(bench)
    # What no training can change forgets nothing.
    asked = asked if forgetting and "train" in bench.model.can else None
    _say_what_runs(read, bench)
    show_findings(findings)
    _warn_of_long_items(bench)
    _look_ahead(bench, plan, asked, budget_seconds, race)
    show_plan(console, plan, settings, len(read.test) if race else 0)
    if plan_only or plan_json:
        forecast = _plan_json(plan, settings)
        if plan_json:
            console.print_json(data=forecast, indent=None)
        return Result(forecast, [json.dumps(forecast)])
    keep = Keeper(bench, command, out, redact)
    if helpers:
        here = bench.model.machine
        helpers.gpus = here.device == "cuda"
        helpers.make = partial(
            open_runner, read, model, here.device, bench.model.precision, embedder, forgetting=bool(asked), **more
        )
    with helpers or nullcontext():
        study = _run(bench, plan, findings, asked, command, keep, job, allow_leak, settings if race else None, helpers)
    decision, paths = _conclude(bench, study, settings, command, out, redact, allow_scorer_code)
    if job:
        (job / "finished").touch()
    missed = missed_wish(decision, fail_under)
    if missed:
        warn(missed)
    words = [decision.sentence, str(paths["html"])]
    return Result(read_object(paths["json"]), words, FAILED if missed else DONE)


def missed_wish(decision: Decision, least: float | None) -> str:
    """Why a decision is not what ``--fail-under`` asks for; empty where it is, or nothing was asked."""
    if least is None:
        return ""
    if not decision.chosen:
        return f"--fail-under {least:g}: no arm is taken"
    taken = next(a for a in decision.arms if a.label == decision.chosen)
    if taken.accuracy >= least:
        return ""
    return f"--fail-under {least:g}: {taken.label} is right on {percent(taken.accuracy)}"


def _workers(model: str, count: int, address: str) -> Workers | None:
    """Who shares the work, where anybody does; this process then takes no more cores than each of them."""
    from lab.flow.workers import Workers
    from lab.models.endpoint import is_endpoint

    if not (count or address):
        return None
    if is_endpoint(model):
        raise LabError("--workers: an endpoint answers several requests at a time as it is; leave it out")
    workers = Workers(count, address)
    os.environ["OMP_NUM_THREADS"] = str(workers.threads)
    return workers


def _say_what_runs(task: Task, bench: Bench) -> None:
    here = bench.model.machine
    console.print(
        f"{task.name} with {bench.model.name} on {here.device} ({here.name}, "
        f"{bench.model.precision}, {here.threads} threads)",
    )


def _warn_of_long_items(bench: Bench) -> None:
    """Say which test items can't fit the window: they end as errors and count as not right."""
    from lab.schema import Prompt

    task, model, reserve = bench.task, bench.model, bench.decoding.max_tokens
    long = [s.id for s in task.test if model.misfit(Prompt(task.instruction, s.input), reserve)]
    if len(long) == len(task.test):
        raise LabError(
            f"{task.folder}: no test item fits the window of {model.name} ({model.window} tokens, {reserve} kept for "
            "the answer); take another model"
        )
    if long:
        console.print(
            f"warning  {len(long)} test items are longer than the window of {model.window} tokens and will "
            f"count as errors: {', '.join(long[:5])}" + (f" and {len(long) - 5} more" if len(long) > 5 else ""),
            style="yellow",
        )


def _look_ahead(bench: Bench, plan: Plan, asked, budget_seconds: float | None, race: bool) -> None:
    """Fill in what the plan will take and can show, and drop what a budget does not hold."""
    from lab.flow.forecast import Forecast
    from lab.flow.plan import apply_budget
    from lab.flow.probing import NEEDED
    from lab.measure.advice import DRAW
    from lab.measure.statistics import detectable_difference

    test = bench.task.test
    groups = len({s.group or s.id for s in test})
    learns = any(m.uses_labels for m in plan.methods)
    plan.detectable = detectable_difference(
        len(test), groups, seeds=plan.seeds if learns else None, deviation=DRAW, arms=len(plan.methods)
    )
    Forecast(bench, plan, asked, race).fill_in(NEEDED)
    apply_budget(plan, budget_seconds)


def _plan_json(plan: Plan, settings: Settings) -> dict:
    searches = plan.search_seconds | plan.middle_search_seconds
    hour = settings.price_per_hour_usd / 3600
    tokens = {name: {"prompts": p, "written": w} for name, (p, w) in plan.tokens.items()}
    return {
        "seconds": plan.total_seconds,
        "cells": {c.label: s for c, s in plan.seconds.items()},
        "searches": {f"{name} {size}": s for (name, size), s in searches.items()},
        "usd": {} if plan.tokens else {c.label: s * hour for c, s in plan.seconds.items()},
        "peak_bytes": {c.label: b for c, b in plan.memory_bytes.items()},
        "tokens": tokens,
    }


def _run(
    bench: Bench,
    plan: Plan,
    findings,
    asked,
    command: str,
    keep: Keeper,
    job: Path | None,
    allow_leak: bool,
    raced: Settings | None,
    workers: Workers | None = None,
) -> Study:
    """All cells of the plan, or those that a race under these settings needs, with progress."""
    from lab.commands.progress import JobProgress, TerminalProgress
    from lab.flow.course import measure

    if job:
        # A server that was started with & ignores interrupts, and its children would as well: Stop must reach this one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with JobProgress(console, plan, job) if job else TerminalProgress(console, plan) as progress:
        return measure(
            bench,
            plan,
            findings,
            asked,
            command,
            keep=keep,
            raced=raced,
            allow_leak=allow_leak,
            progress=progress,
            workers=workers,
        )


def _conclude(
    bench: Bench, study: Study, settings: Settings, command: str, out: Path, redact: bool, allow_scorer_code: bool
) -> tuple[Decision, dict[str, Path]]:
    """The decision in the terminal, and the report's paths."""
    from lab.commands.terminal import show_decision
    from lab.decision import decide as conclude
    from lab.report.items import disagreements
    from lab.report.write import write_report

    decision = conclude(study, settings)
    show_decision(console, study, decision)
    items = None if redact else disagreements(study, bench.store, bench.task, allow_scorer_code, scored=bench.scored)
    paths = write_report(study.redacted() if redact else study, settings, out, items)
    if decision.leader:
        console.print(
            f"The full decision, with three draws of the training sample: {full_command(command)}",
            soft_wrap=True,
        )
    console.print(f"Report: {paths['html']} (lab view {shlex.quote(str(out))} opens it)", soft_wrap=True)
    if decision.chosen:
        made = shlex.quote(str(out))
        use = f"lab predict {made} INPUTS, lab serve {made}, lab export {made} --out FOLDER"
        console.print(f"Use {decision.chosen}: {use}", soft_wrap=True)
    return decision, paths


def full_command(command: str) -> str:
    """The user's own command with three seeds and nothing left out but ``--fresh``."""
    kept, skip = [], False
    for word in shlex.split(command):
        if skip or word in ("--seeds", "--fresh") or word.startswith("--seeds="):
            skip = word == "--seeds" and not skip
            continue
        kept.append(word)
    return shlex.join([*kept, "--seeds", "3"])
