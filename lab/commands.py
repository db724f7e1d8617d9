"""What the commands do; ``lab.cli`` only reads their options."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.measure.power import power_findings
from lab.schema import LabError
from lab.tasks.check import check_task, require_sound
from lab.tasks.task import Task, digest, load_task, write_task

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

    from lab.abilities import NEEDED, abilities, forgetting_probes
    from lab.context.base import Tools
    from lab.decide import Settings
    from lab.decide import decide as conclude
    from lab.forecast import Forecast
    from lab.live.jobs import JobProgress
    from lab.measure.statistics import detectable_difference
    from lab.models.device import machine
    from lab.models.local import load_model
    from lab.report.items import disagreements
    from lab.report.write import write_report
    from lab.runner import Runner
    from lab.store import KINDS, Store
    from lab.terminal import TerminalProgress, show_decision, show_findings, show_plan
    from lab.world.general import general_texts
    from lab.world.probes import folder_probe

    own_probes = [folder_probe(f) for f in probe_folders]
    chosen_settings = Settings(**settings)
    findings = require_sound(task, allow_leak)
    store = Store(committed_kinds=("choice",) if fresh else KINDS)
    model = load_model(model_name, machine(device))
    machine_here = model.machine
    console.print(f"[bold]{task.name}[/bold] with {model.name} on {machine_here.device} ({machine_here.name}, {machine_here.dtype}, {machine_here.threads} threads)", highlight=False)
    show_findings(console, findings)
    plan.detectable = detectable_difference(len(task.test), len({s.group or s.id for s in task.test}))
    general = general_texts(model, general_text)
    runner = Runner(task, model, store, Tools(embedder, store.cache / "vectors"), allow_scorer_code=allow_scorer_code, general=general)
    if forgetting:
        runner.probes = forgetting_probes(model, own_probes, general)
    _warn_of_long_items(console, runner)
    seconds = Forecast(runner, plan)
    forecast(plan, seconds.cell, seconds.search, seconds.probes(NEEDED))
    plan.memory_bytes = {m.name: found for m in plan.methods if (found := seconds.memory(m)) is not None}
    apply_budget(plan, budget_seconds)
    show_plan(console, plan, chosen_settings.price_per_hour_usd)
    if plan_json:
        searches = {f"{name} {size}": s for (name, size), s in (plan.search_seconds | plan.middle_search_seconds).items()}
        console.print_json(data={"seconds": plan.total_seconds, "cells": {c.label: s for c, s in plan.seconds.items()}, "searches": searches}, indent=None)
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


def run_check(console: Console, folder: Path, model_name: str) -> bool:
    """Show the findings; True where there are errors."""
    from lab.models.local import folder_of
    from lab.terminal import show_findings

    task = load_task(folder)
    from lab.tasks.scorers import scorer_for

    if ":" not in task.scorer:
        scorer_for(task)
    source = folder_of(model_name)
    count, window = None, None
    if (source / "tokenizer.json").exists():
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(source)
        count, window = lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), int(tokenizer.model_max_length)
    findings = [*check_task(task, count, window), *power_findings(task)]
    console.print(f"[bold]{task.name}[/bold] ({folder}), scorer {task.scorer}", highlight=False)
    show_findings(console, findings)
    return any(f.level == "error" for f in findings)


def run_import(console: Console, source: str, out: Path, *, force: bool, columns: dict[str, str], documents: Path | None, **options: Any) -> None:
    """Write the task folder and show what was guessed."""
    from lab.tasks.importing import import_task
    from lab.terminal import show_findings

    if out.exists() and any(out.iterdir()) and not force:
        raise LabError(f"{out}: exists and is not empty; give another --out, or --force to replace it")
    if documents is not None and not documents.is_dir():
        raise LabError(f"--documents {documents}: no such folder")
    task, chosen = import_task(source, name=out.name, documents=documents, **options, **columns)
    for name in ("task.toml", "train.jsonl", "validation.jsonl", "test.jsonl", "documents.jsonl"):
        (out / name).unlink(missing_ok=True)
    write_task(task, out)
    named = ", ".join(f"{k} = {v}" for k, v in vars(chosen).items() if v)
    console.print(f"{out}: {len(task.train):,} train, {len(task.validation):,} validation, {len(task.test):,} test, {len(task.documents):,} documents", highlight=False)
    console.print(f"columns: {named}; scorer: {task.scorer}; instruction: {task.instruction!r} (both are in {out}/task.toml)", highlight=False, markup=False, soft_wrap=True)
    written = load_task(out)
    show_findings(console, [*check_task(written), *power_findings(written)])


def run_report(console: Console, path: Path, out: Path | None, redact: bool, settings: dict[str, Any]) -> None:
    """Reports from a stored study."""
    from lab.decide import Settings, decide
    from lab.report.items import disagreements, task_of
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study
    from lab.terminal import show_decision

    file = path / "study.json" if path.is_dir() else path
    study, chosen_settings = Study.load(file), Settings(**settings)
    show_decision(console, study, decide(study, chosen_settings))
    store = Store()
    study.settings["test_looks"] = max(study.settings.get("test_looks", 0), count_test_looks(store, study))
    items = None if redact else disagreements(study, store, task_of(study))
    for made in write_report(study.redacted() if redact else study, chosen_settings, out or file.parent, items).values():
        console.print(str(made), highlight=False, soft_wrap=True)
    if items is None and not redact:
        console.print("Without texts: the task's folder or its completions are not at hand.", highlight=False)


def run_open(console: Console, edit: bool, port: int) -> None:
    """Serve the notebooks until Ctrl-C."""
    import subprocess

    from lab.live.pages import NOTEBOOKS, PAGES, address, notebook_file
    from lab.live.serve import HOST, edit_command, free_port, serve

    for page in PAGES:
        notebook_file(page)
    port = free_port(port)
    if edit:
        raise SystemExit(subprocess.call(edit_command(NOTEBOOKS, port)))
    console.print(f"http://{HOST}:{port}{address(PAGES[0])}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it; runs that were started go on.", highlight=False)
    serve(port)


def run_share(console: Console, out: Path, folders: list[Path]) -> None:
    """Copy reports beside an index."""
    from lab.report.share import share

    listed = share(out, folders or [p.parent for top in ("reports", "lab-reports") for p in sorted(Path(top).glob("*/report.html"))])
    console.print(f"{out / 'index.html'}: {len(listed)} reports", highlight=False, soft_wrap=True)


def make_runner(task: Task, model_name: str, device: str, embedder: str, probe_folders: list[Path], general_text: Path | None):
    """A runner with its model, store, probes and general texts."""
    from lab.abilities import forgetting_probes
    from lab.context.base import Tools
    from lab.models.device import machine
    from lab.models.local import load_model
    from lab.runner import Runner
    from lab.store import Store
    from lab.world.general import general_texts
    from lab.world.probes import folder_probe

    own_probes, store = [folder_probe(f) for f in probe_folders], Store()
    model = load_model(model_name, machine(device))
    general = general_texts(model, general_text)
    runner = Runner(task, model, store, Tools(embedder, store.cache / "vectors"), general=general)
    runner.probes = forgetting_probes(model, own_probes, general)
    return runner


def run_sweep(console: Console, *, command: str, folder: Path, out: Path, axes: list[str], method_name: str, size: int, seeds: int, model_name: str, device: str, embedder: str,
              probe_folders: list[Path], general_text: Path | None) -> None:
    """Run the settings one by one and write what they learned and forgot."""
    from lab.measure.levers import outcomes
    from lab.methods import method
    from lab.report.sweep import write_sweep
    from lab.sweep import read_axes, sweep
    from lab.tasks.check import require_sound
    from lab.terminal import PlainProgress

    task, wanted = load_task(folder), read_axes(axes, method(method_name).candidates[0].weights)
    require_sound(task, False)
    if not 4 <= size <= len(task.labelled):
        raise LabError(f"--size {size}: from 4 to the {len(task.labelled)} labelled items of {task.name}")
    runner = make_runner(task, model_name, device, embedder, probe_folders, general_text)
    settings = 1 + sum(map(len, wanted.values()))
    console.print(f"[bold]{task.name}[/bold] with {runner.model.name}: {method_name} as validation chose it and {settings - 1} other settings, {seeds} seed(s)", highlight=False)
    with PlainProgress(console, settings * seeds) as progress:
        runner.progress = progress

        def keep(found) -> None:
            found.command = command
            found.save(out / "sweep.json")
            if "finished" not in found.made:
                last = outcomes(found)[-1] if not found.points[-1].failed else None
                progress.point(f"{last.label}: right {100 * last.right:.1f} %, forgets {100 * last.lost.headline.drop:+.1f} points" if last and last.lost.headline else found.points[-1].failed or "measured")

        found = sweep(runner, method_name, size, wanted, seeds, keep)
    console.print(f"Sweep: {write_sweep(found, out)}", highlight=False, soft_wrap=True)


def run_why(console: Console, *, command: str, folder: Path, out: Path, sizes: list[int], model_name: str, device: str) -> None:
    """Measure the accounts and write the page."""
    from lab.report.why import write_why
    from lab.terminal import PlainProgress
    from lab.why import METHODS, why

    task = load_task(folder)
    sizes = sorted(set(sizes)) or [len(task.labelled)]
    for size in sizes:
        if not 4 <= size <= len(task.labelled):
            raise LabError(f"--sizes {size}: from 4 to the {len(task.labelled)} labelled items of {task.name}")
    runner = make_runner(task, model_name, device, "embedder", [], None)
    points = 3 + len(METHODS) * len(sizes) + runner.model.network.config.num_hidden_layers
    with PlainProgress(console, points) as progress:
        runner.progress = progress

        def keep(found, words: str) -> None:
            found.command = command
            found.save(out / "why.json")
            progress.point(words)

        found = why(runner, sizes, keep)
    console.print(f"Page: {write_why(found, out)}", highlight=False, soft_wrap=True)


def run_memory(console: Console, config: str, batch: int, sequence: int, rank: int, checkpointing: bool) -> None:
    """GiB by method and by what holds them."""
    from dataclasses import asdict

    from lab.measure.flops import Shape
    from lab.measure.memory import METHODS, cache_bytes, forecast_training, known_shapes

    shapes, path = known_shapes(), Path(config)
    if config in shapes:
        shape = shapes[config][0]
    elif path.is_file() or (path / "config.json").is_file():
        try:
            shape = Shape.of(json.loads((path if path.is_file() else path / "config.json").read_text(encoding="utf-8")))
        except ValueError as error:
            raise LabError(f"{config}: no JSON ({error})") from None
    else:
        raise LabError(f"{config}: no such file, and no known shape; one of {', '.join(shapes)}")
    for name, value in (("batch", batch), ("sequence", sequence), ("rank", rank)):
        if value < 1:
            raise LabError(f"--{name} {value}: a whole number from 1")
    table = Table(box=None, pad_edge=False)
    found = {m: forecast_training(shape, m, batch=batch, sequence=sequence, rank=rank, checkpointing=checkpointing) for m in METHODS}
    for column in ("GiB", *asdict(found["full"]), "in all"):
        table.add_column(column, justify="left" if column == "GiB" else "right")
    for name, used in found.items():
        table.add_row(name, *(f"{v / 2**30:.2f}" for v in asdict(used).values()), f"{used.total / 2**30:.1f}")
    console.print(f"{shape.parameters / 1e9:.3f} B parameters, batch {batch}, {sequence} tokens, rank {rank}, bf16, checkpointing {'on' if checkpointing else 'off'}", highlight=False)
    console.print(table)
    console.print(f"To serve: {shape.parameters * 2 / 2**30:.2f} GiB of weights and {cache_bytes(shape, batch, sequence) / 2**30:.3f} GiB of KV cache.", highlight=False)


def run_prices(console: Console, file: Path | None) -> None:
    """One line a price."""
    from lab.prices import read_prices

    for price in read_prices(file):
        console.print(f"{price.name:<24} {price.words}", highlight=False, markup=False, soft_wrap=True)
        console.print(f"{'':<24} {price.date}: {price.source}", style="dim", highlight=False, markup=False, soft_wrap=True)
    console.print("Take one with: lab decide ... --price NAME; your own table with --prices FILE.", highlight=False)


def run_runs(console: Console) -> None:
    """One line a study and one a result, damaged ones marked."""
    from lab.live.shelf import Shelf
    from lab.store import Store

    store = Store()
    shelf = Shelf.read(store)
    for shelved in shelf.studies:
        study = shelved.study
        console.print(f"study  {study.task['name']} with {study.model['name']}: {', '.join(study.arms())}; {len(study.cells)} cells, {shelved.path}", highlight=False, markup=False, soft_wrap=True)
    for text in shelf.damaged:
        console.print(f"damaged  {text}", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "key", "what", "seconds", "made", "where"):
        table.add_column(column)
    count = 0
    for entry in store.entries():
        where = "committed" if entry.committed else "own"
        if entry.damaged:
            table.add_row(entry.kind, entry.key[:12], "damaged", "", "", where)
            continue
        record = entry.record
        what = record["what"]
        words = what.get("probe") or " ".join(str(what.get(k, {}).get("name", "")) for k in ("context", "weights") if isinstance(what.get(k), dict))
        count += 1
        table.add_row(entry.kind, entry.key[:12], words + (f" {record['result'].get('split', '')}" if entry.kind == "evaluation" else ""),
                      f"{record['made'].get('seconds', 0):.1f}", record["made"]["date"][:16], where)
    console.print(table)
    console.print(f"{count} results in {store.home} and committed studies", highlight=False, soft_wrap=True)


def run_keep(console: Console, path: Path, out: Path, texts: bool) -> None:
    """Copy a study with its choices and training logs, and with ``texts`` its completions, to a folder that can be committed; weights stay behind."""
    from lab.report.items import disagreements, task_of
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study

    folder = path if path.is_dir() else path.parent
    study, store = Study.load(folder / "study.json"), Store()
    out.mkdir(parents=True, exist_ok=True)
    shown = study if texts else study.redacted()
    shown.save(out / "study.json")
    write_report(shown, settings_of_decision(folder / "decision.json"), out, disagreements(study, store, task_of(study)) if texts else None)
    kept = 0
    trials = [t for c in study.choices for t in c["trials"]]
    wanted = [("choice", c["key"]) for c in study.choices]
    wanted += [("adaptation", k) for k in [*(c.adaptation for c in study.cells), *(t["adaptation"] for t in trials)] if k]
    wanted += [("adaptation", start) for kind, key in list(wanted) if kind == "adaptation" and (entry := store.find(kind, key)) and (start := entry.record["what"]["start"])]
    if texts:
        completed = [*(k for c in study.cells for k in (c.evaluation, c.validation_evaluation)), *(t["evaluation"] for t in trials), *(p["evaluation"] for p in study.probes.values()), *(p.evaluation for p in study.probed)]
        wanted += [("evaluation", k) for k in completed if k]
    for kind, key in dict.fromkeys(wanted):
        entry = store.find(kind, key)
        # What another study in the same folder holds already is read from there.
        if entry is None or (entry.committed and entry.folder.resolve().is_relative_to(out.resolve().parent) and not entry.folder.resolve().is_relative_to(out.resolve())):
            continue
        target = out / "results" / kind / key
        target.mkdir(parents=True, exist_ok=True)
        if target.resolve() == entry.folder.resolve():
            continue
        for name in ("record.json", "completions.parquet"):
            if (entry.folder / name).exists():
                shutil.copyfile(entry.folder / name, target / name)
        kept += 1
    console.print(f"{out}: study and {kept} results, no weights", highlight=False, soft_wrap=True)


def settings_of_decision(path: Path):
    """The settings that a written decision was made with; the defaults where there is none."""
    from lab.decide import Settings

    return Settings(**json.loads(path.read_text(encoding="utf-8"))["settings"]) if path.exists() else Settings()


def run_prune(console: Console, **what: Any) -> None:
    """Remove and say how much was freed."""
    from lab.store import Store

    if not any(what.values()):
        raise LabError("lab prune: say what: --damaged, --weights, --older-than-days N or --everything")
    removed, freed = Store().prune(**what)
    console.print(f"removed {removed} results, freed {freed / 1e6:.1f} MB", highlight=False)


def run_generate(console: Console, out: Path, name: str, **knobs: Any) -> None:
    """Write generated task folders."""
    from lab.world.tasks import GENERATORS, Knobs, generate

    for task_name in [name] if name else list(GENERATORS):
        task = generate(task_name, Knobs(**knobs))
        write_task(task, out / task_name)
        console.print(f"{out / task_name}: {len(task.train):,} / {len(task.validation):,} / {len(task.test):,} items, {len(task.documents):,} documents", highlight=False)


def run_pretrain(console: Console, work: Path, text: str, size: str, tokens: float | None, device: str, compile_model: bool) -> None:
    """Pretrain, with progress and time left."""
    from dataclasses import replace

    from lab.models.device import can_compile, machine
    from lab.terminal import minutes
    from lab.world.pretrain import SIZES, pretrain

    if size not in SIZES:
        raise LabError(f"--size {size}: one of {', '.join(SIZES)}")
    config = SIZES[size] if tokens is None else replace(SIZES[size], tokens=int(tokens * 1e6))
    here = machine(device)
    compiling = compile_model and can_compile(here)
    console.print(f"{size} on {here.device} ({here.name}, {here.dtype}), torch.compile {'on' if compiling else 'off'}", highlight=False)

    def say(line: dict[str, Any]) -> None:
        if line["step"] % 100 <= 1:
            left = line["seconds"] / line["step"] * (line["steps"] - line["step"])
            console.print(f"step {line['step']}/{line['steps']}  {line['tokens'] / 1e6:.1f}M tokens  loss {line['loss']:.3f}  about {minutes(left)} left", highlight=False)

    folder = pretrain(config, None if text == "none" else Path(text), work, here, compile_model=compiling, report=say)
    console.print(f"model: {folder}; measure it with: lab card --model {folder}", highlight=False, soft_wrap=True)


def run_card(console: Console, model_name: str, text: str, device: str, out: Path | None) -> None:
    """Measure the probes and write the model's card."""
    from lab.cards import write_model_card
    from lab.models.device import machine
    from lab.models.local import folder_of, load_model
    from lab.store import Store

    model = load_model(model_name, machine(device))
    folder = folder_of(model_name)
    path = write_model_card(model, folder, None if text == "none" else Path(text), Store(committed=None), out or folder / "README.md")
    console.print(path.read_text(), highlight=False, markup=False)
    console.print(f"card: {path}", highlight=False, soft_wrap=True)


def run_embedder_card(console: Console, queries: Path, embedder: str, out: Path | None) -> None:
    """Measure recall and write the embedder's card."""
    from lab.cards import write_embedder_card
    from lab.models.local import folder_of

    path = write_embedder_card(embedder, queries, out or folder_of(embedder) / "README.md")
    console.print(path.read_text(), highlight=False, markup=False)


