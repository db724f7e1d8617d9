"""Commands that measure beside the decision: levers, the ledger, memory, prices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lab.commands import completion
from lab.commands.options import (
    DEFAULT_MODEL,
    Device,
    Embedder,
    Folder,
    GeneralText,
    ModelName,
    Precision,
    PriceFile,
    Probes,
    console,
    numbers,
    repeated,
)
from lab.commands.output import Result, with_output
from lab.files import read_object
from lab.schema import LabError


@with_output("json", "quiet")
def sweep(
    task: Folder,
    out: Annotated[Path, typer.Option(help="folder to write sweep.json and sweep.md to")],
    axis: Annotated[
        list[str] | None,
        typer.Option(help="a lever and its values, such as replay=0.01,0.05,0.25; may stand several times"),
    ] = None,
    method: Annotated[str, typer.Option(help="an arm that trains", autocompletion=completion.methods)] = "lora",
    size: Annotated[int, typer.Option(help="labelled examples")] = 400,
    seeds: Annotated[int, typer.Option(help="draws of the training sample")] = 1,
    model: ModelName = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    embedder: Embedder = "embedder",
    probes: Probes = None,
    general_text: GeneralText = None,
) -> Result:
    """Move one lever of a training at a time: what is learned, what is forgotten."""
    from lab.commands.progress import PointProgress
    from lab.commands.workbench import open_bench
    from lab.experiments.levers.page import write_sweep
    from lab.experiments.levers.points import Sweep
    from lab.experiments.levers.run import read_axes
    from lab.experiments.levers.run import sweep as run
    from lab.flow.methods import method as method_of
    from lab.tasks.check import require_sound
    from lab.tasks.task import load_task

    read, wanted = load_task(task), read_axes(axis or [], method_of(method).candidates[0].weights)
    require_sound(read, False)
    _require_size(read, size, "--size")
    bench, asked = open_bench(read, model, device, precision, embedder, probes or [], general_text)
    settings, command = 1 + sum(map(len, wanted.values())), repeated("sweep")
    console.print(
        f"{read.name} with {bench.model.name}: {method} as validation chose it and {settings - 1} other "
        f"settings, {seeds} seed(s)",
    )
    with PointProgress(console, [1.0] * settings * seeds) as progress:
        bench.progress = progress

        def keep(found: Sweep) -> None:
            found.command = command
            found.save(out / "sweep.json")
            if "finished" not in found.made:
                progress.point(_point_in_words(found))

        found = run(bench, asked, method, size, wanted, seeds, keep)
    page = write_sweep(found, out)
    console.print(f"Sweep: {page}", soft_wrap=True)
    return Result({"written": {"page": str(page), "json": str(out / "sweep.json")}}, [str(page)])


def _require_size(task, size: int, flag: str) -> None:
    if not 4 <= size <= len(task.labelled):
        raise LabError(f"{flag} {size}: from 4 to the {len(task.labelled)} labelled items of {task.name}")


def _point_in_words(found) -> str:
    """What a sweep's last point showed."""
    from lab.experiments.levers.points import measured

    if found.points[-1].failed:
        return found.points[-1].failed
    last = measured(found)[-1]
    if not last.lost.headline:
        return "measured"
    drop = 100 * last.lost.headline.drop
    return f"{last.label}: right {100 * last.right:.1f} %, forgets {drop:+.1f} points"


@with_output("json", "quiet")
def why(
    task: Folder,
    out: Annotated[Path, typer.Option(help="folder to write why.json and why_cheap.html to")],
    sizes: Annotated[str, typer.Option(help="labelled examples")] = "100,400",
    model: ModelName = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
) -> Result:
    """Why is fine-tuning so cheap? Pretraining beside LoRA, full fine-tuning and training from scratch."""
    from lab.commands.progress import PointProgress
    from lab.commands.workbench import open_bench
    from lab.experiments.why.page import write_why
    from lab.experiments.why.run import why as run
    from lab.experiments.why.run import why_seconds
    from lab.measure.words import minutes
    from lab.tasks.task import load_task

    read, command = load_task(task), repeated("why")
    wanted = sorted(set(numbers(sizes, "--sizes"))) or [len(read.labelled)]
    for size in wanted:
        _require_size(read, size, "--sizes")
    bench, _ = open_bench(read, model, device, precision)
    forecasts = why_seconds(bench, wanted)
    console.print(
        f"{read.name} with {bench.model.name}: about {minutes(sum(forecasts))} for {len(forecasts)} "
        "points, less where results are stored",
    )
    with PointProgress(console, forecasts) as progress:
        bench.progress = progress

        def keep(found, words: str) -> None:
            found.command = command
            found.save(out / "why.json")
            progress.point(words)

        found = run(bench, wanted, keep)
    page = write_why(found, out)
    console.print(f"Page: {page}", soft_wrap=True)
    return Result({"written": {"page": str(page), "json": str(out / "why.json")}}, [str(page)])


@with_output("json")
def memory(
    config: Annotated[str, typer.Argument(help="a model's config.json, or the name of a known shape")],
    batch: int = 1,
    sequence: int = 1024,
    rank: int = 16,
    checkpointing: Annotated[bool, typer.Option(help="recompute activations in the backward pass")] = True,
) -> Result:
    """Memory to train a model in full, with LoRA and with QLoRA, from its config.json alone."""
    from lab.measure.memory import FOOTPRINTS, cache_bytes, forecast_training

    shape = _shape(config)
    for name, value in (("batch", batch), ("sequence", sequence), ("rank", rank)):
        if value < 1:
            raise LabError(f"--{name} {value}: a whole number from 1")
    table = Table(box=None, pad_edge=False)
    found = {
        m: forecast_training(shape, m, batch=batch, sequence=sequence, rank=rank, checkpointing=checkpointing)
        for m in FOOTPRINTS
    }
    for column in ("GiB", *asdict(found["full"]), "in all"):
        table.add_column(column, justify="left" if column == "GiB" else "right")
    for name, used in found.items():
        table.add_row(name, *(f"{v / 2**30:.2f}" for v in asdict(used).values()), f"{used.total / 2**30:.1f}")
    console.print(
        f"{shape.parameters / 1e9:.3f} B parameters, batch {batch}, {sequence} tokens, rank {rank}, bf16, "
        f"checkpointing {'on' if checkpointing else 'off'}",
    )
    console.print(table)
    weights, cache = shape.parameters * 2, cache_bytes(shape, batch, sequence)
    console.print(f"To serve: {weights / 2**30:.2f} GiB of weights and {cache / 2**30:.3f} GiB of KV cache.")
    asked = {"batch": batch, "sequence": sequence, "rank": rank, "checkpointing": checkpointing}
    training = {name: asdict(used) | {"total": used.total} for name, used in found.items()}
    serving = {"weights": weights, "cache": cache}
    return Result({"parameters": shape.parameters} | asked | {"training_bytes": training, "serving_bytes": serving})


def _shape(config: str):
    """The shape of a known name or of a config.json (or of the folder that holds it)."""
    from lab.measure.flops import Shape
    from lab.measure.memory import known_shapes

    shapes, path = known_shapes(), Path(config)
    if config in shapes:
        return shapes[config][0]
    file = path if path.is_file() else path / "config.json"
    if not file.is_file():
        raise LabError(f"{config}: no such file, and no known shape; one of {', '.join(shapes)}")
    return Shape.of(read_object(file))


@with_output("json")
def prices(file: PriceFile = None) -> Result:
    """List the price table: what each price is, where it comes from and when it was read."""
    from lab.measure.prices import read_prices

    found = read_prices(file)
    for price in found:
        console.print(f"{price.name:<24} {price.words}", soft_wrap=True)
        source = f"{'':<24} {price.date}: {price.source}"
        console.print(source, style="dim", soft_wrap=True)
    console.print("Take one with: lab decide ... --price NAME; your own table with --prices FILE.")
    return Result([asdict(price) for price in found])
