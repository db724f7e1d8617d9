"""Commands that use what won: answers to new inputs, an endpoint, and files to take away."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lab.commands import completion
from lab.commands.options import DEFAULT_MODEL, Device, console
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.decision import Decision
    from lab.flow.arm import Ready
    from lab.measure.arms import Arm
    from lab.study import Study

CHUNK = 64
"""Inputs between two writings of answers: what a stop costs."""
Report = Annotated[
    Path, typer.Argument(help="folder of a report with its study.json", autocompletion=completion.reports)
]
ArmName = Annotated[str, typer.Option("--arm", help="an arm by its name or label; the one that was taken by default")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="where the study's model lies; as lab decide was told by default",
        autocompletion=completion.models,
    ),
]
Task = Annotated[
    Path | None,
    typer.Option(
        "--task",
        help="where the study's task lies; the folder it was made from by default",
        autocompletion=completion.tasks,
    ),
]


def predict(
    report: Report,
    inputs: Annotated[str, typer.Argument(help="a table of inputs, or - for standard input")],
    out: Annotated[
        Path | None, typer.Option(help=".jsonl or .csv to write, gone on with if it is there; else standard output")
    ] = None,
    column: Annotated[str, typer.Option("--input", help="the inputs' column")] = "",
    arm: ArmName = "",
    model: Model = "",
    task: Task = None,
    device: Device = "auto",
) -> None:
    """Answer new inputs with the arm that was taken, whatever it is."""
    from lab.commands.progress import Bars
    from lab.tasks.inputs import AnswerFile, read_inputs

    if out is not None and out.is_dir():
        raise LabError(f"--out {out}: a folder; name a .jsonl or .csv file")
    asked = read_inputs(inputs, column)
    file, beside = AnswerFile(out, asked), Console(stderr=True, markup=False, highlight=False)
    if file.known:
        beside.print(f"{file.known} of {len(asked)} are answered already")
    if not file.left:
        return
    study, _, chosen = _arm_of(report, arm)
    ready = open_arm(study, chosen, model, task, device, beside)
    with Bars(beside, len(file.left)) as bars:
        for start in range(0, len(file.left), CHUNK):
            some = file.left[start : start + CHUNK]
            bars.stage("answers", len(some))
            found, texts = ready.answers(some, bars.advance), dict(some)
            file.add([{"id": a.id, "input": texts[a.id]} | a.as_row() for a in found])
            for _ in some:
                bars.one_more()
    if out is not None:
        beside.print(f"{out}: {len(asked)} answers", soft_wrap=True)


def serve(
    report: Report,
    port: Annotated[int, typer.Option(help="0 takes any that is free")] = 8000,
    arm: ArmName = "",
    model: Model = "",
    task: Task = None,
    device: Device = "auto",
) -> None:
    """Offer the arm that was taken as an OpenAI-compatible endpoint on 127.0.0.1."""
    from lab.live.endpoint import build_endpoint
    from lab.live.serve import HOST, free_port, run

    port = free_port(port)
    study, _, chosen = _arm_of(report, arm)
    ready = open_arm(study, chosen, model, task, device, console)
    # The first answer loads and trains what is missing: not in the first caller's time.
    ready.answers([("first", "first")])
    console.print(f"http://{HOST}:{port}/v1, model {ready.name}; one user message is one input; Ctrl-C ends it")
    run(build_endpoint(ready), port)


def export(
    report: Report,
    out: Annotated[Path, typer.Option(help="folder to write; must not be there yet")],
    merged: Annotated[bool, typer.Option("--merged", help="an adapter merged into its base, as one model")] = False,
    gguf: Annotated[
        str, typer.Option(help="the merged model for llama.cpp as well: f16, bf16, f32 or q8_0, by its own converter")
    ] = "",
    recipe: Annotated[
        str, typer.Option(help="instead: data and configuration for trl, axolotl, unsloth or llama-factory")
    ] = "",
    arm: ArmName = "",
    model: Model = "",
    task: Task = None,
    device: Device = "auto",
) -> None:
    """Write the arm that was taken as files that work without the lab: weights, prompts, index, script, card."""
    from lab.live.export import export as write
    from lab.live.llamacpp import require_converter
    from lab.live.recipes import recipe as write_recipe

    if out.exists():
        raise LabError(f"--out {out}: is there already; name a new folder")
    if gguf:
        require_converter(gguf)
    study, folder, chosen = _arm_of(report, arm)
    ready = open_arm(study, chosen, model, task, device, console)
    if recipe:
        names = write_recipe(ready, recipe, out)
    else:
        names = write(ready, study, chosen, _decision(study, folder), out, merged, gguf)
    for name in names:
        console.print(f"{out / name}", soft_wrap=True)


def open_arm(study: Study, arm: Arm, model: str, task: Path | None, device: str, told: Console) -> Ready:
    """An arm of a study on a bench of its own; raises LabError where task or model are no longer what was measured."""
    from lab.commands.workbench import bench_of
    from lab.flow.arm import Ready, live_cell

    cell = live_cell(arm)
    if cell.model and cell.model != study.model["name"] and not model:
        raise LabError(f"{arm.label}: is of another model than the study's; say where {cell.model} lies with --model")
    bench = bench_of(study, model or model_of(study), task, device)
    ready = Ready(bench, study, cell, arm.label)
    draw = f", draw {cell.seed} of the labels" if arm.is_seeded else ""
    told.print(f"{arm.label}{draw}, on {bench.model.machine.device} ({bench.model.machine.name})", soft_wrap=True)
    if ready.must_train:
        told.print("its weights are not here (a committed study has none): they are trained again", soft_wrap=True)
    return ready


def _arm_of(report: Path, name: str) -> tuple[Study, Path, Arm]:
    """(study, its folder, the arm of this name, else the one that the report's own settings take); raises LabError
    where none is taken."""
    from lab.flow.arm import arm_named
    from lab.measure.arms import arms_at
    from lab.study import Study

    folder = report if report.is_dir() else report.parent
    study = Study.load(report)
    arms = arms_at(study)
    if name:
        return study, folder, arm_named(arms, name)
    decision = _decision(study, folder)
    if not decision.chosen:
        leading = f" (ahead: {decision.leader})" if decision.leader else ""
        labels = ", ".join(a.label for a in arms)
        raise LabError(f"{folder}: no arm was taken{leading}; name one with --arm: {labels}")
    return study, folder, arm_named(arms, decision.chosen)


def _decision(study: Study, folder: Path) -> Decision:
    from lab.commands.results import settings_of_decision
    from lab.decision import decide

    return decide(study, settings_of_decision(folder / "decision.json"))


def model_of(study: Study) -> str:
    """What ``--model`` was told when the study was made."""
    words = shlex.split(study.settings.get("command", ""))
    for n, word in enumerate(words):
        if word.startswith("--model="):
            return word.removeprefix("--model=")
        if word == "--model" and n + 1 < len(words):
            return words[n + 1]
    return DEFAULT_MODEL
