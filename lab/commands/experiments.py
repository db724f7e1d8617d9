"""Commands that measure beside the decision: levers, the ledger, memory, prices."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.commands.setting import make_runner
from lab.schema import LabError
from lab.tasks.check import require_sound
from lab.tasks.task import load_task


def run_sweep(console: Console, *, command: str, folder: Path, out: Path, axes: list[str], method_name: str, size: int, seeds: int, model_name: str, device: str, embedder: str,
              probe_folders: list[Path], general_text: Path | None) -> None:
    """Run the settings one by one and write what they learned and forgot."""
    from lab.measure.levers import outcomes
    from lab.methods import method
    from lab.report.sweep import write_sweep
    from lab.sweep import read_axes, sweep
    from lab.terminal import PointProgress

    task, wanted = load_task(folder), read_axes(axes, method(method_name).candidates[0].weights)
    require_sound(task, False)
    if not 4 <= size <= len(task.labelled):
        raise LabError(f"--size {size}: from 4 to the {len(task.labelled)} labelled items of {task.name}")
    runner = make_runner(task, model_name, device, embedder, probe_folders, general_text)
    settings = 1 + sum(map(len, wanted.values()))
    console.print(f"[bold]{task.name}[/bold] with {runner.model.name}: {method_name} as validation chose it and {settings - 1} other settings, {seeds} seed(s)", highlight=False)
    with PointProgress(console, [1.0] * settings * seeds) as progress:
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
    from lab.forecast import why_seconds
    from lab.report.why import write_why
    from lab.terminal import PointProgress, minutes
    from lab.why import why

    task = load_task(folder)
    sizes = sorted(set(sizes)) or [len(task.labelled)]
    for size in sizes:
        if not 4 <= size <= len(task.labelled):
            raise LabError(f"--sizes {size}: from 4 to the {len(task.labelled)} labelled items of {task.name}")
    runner = make_runner(task, model_name, device)
    forecasts = why_seconds(runner, sizes)
    console.print(f"[bold]{task.name}[/bold] with {runner.model.name}: about {minutes(sum(forecasts))} for {len(forecasts)} points, less where results are stored", highlight=False)
    with PointProgress(console, forecasts) as progress:
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
