"""Commands that bring models, and that make and measure the bundled model and embedder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.commands import completion
from lab.commands.options import DEFAULT_MODEL, Device, Embedder, ModelName, Precision, console
from lab.commands.output import Result, with_output
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.models.getting import Known

MOST_TOKENS = 1e6
"""Millions of tokens: a trillion is more than any machine that this trains on sees."""


@with_output("json")
def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="what to bring; without a name, what there is", autocompletion=completion.known),
    ] = None,
) -> Result:
    """Bring models and embedders known to work, from the Hub or the package index; list them without a name."""
    from rich.table import Table

    from lab.models.getting import catalogue
    from lab.models.getting import get as bring

    for name in names or []:
        folder = bring(name, lambda text: console.print(f"  {text}", soft_wrap=True))
        option = catalogue()[name].kind
        console.print(f"{name}: {folder}; use it with --{option} {name}", soft_wrap=True)
    if names:
        return Result([_in_values(catalogue()[name]) for name in names])
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "parameters", "memory", "licence", "from"):
        table.add_column(column, justify="right" if column in ("parameters", "memory") else "left")
    for name, known in catalogue().items():
        size, memory = f"{known.parameters / 1e6:,.0f} M", f"{known.memory_bytes / 1e9:.1f} GB"
        source = f"Hub, index ({known.megabytes} MB)" if known.package else "Hub"
        table.add_row(name, known.kind, size, memory, known.licence, "here" if known.folder.is_dir() else source)
    console.print(table)
    console.print("Bring one with: lab get NAME. Memory is that of the weights in float32.")
    return Result([_in_values(known) for known in catalogue().values()])


def _in_values(known: Known) -> dict[str, Any]:
    """What a program wants of an entry; ``folder`` is empty until it was brought."""
    shown = ("name", "kind", "parameters", "memory_bytes", "licence", "hub", "package")
    folder = str(known.folder) if known.folder.is_dir() else ""
    return {key: getattr(known, key) for key in shown} | {"folder": folder}


def pretrain(
    work: Annotated[Path, typer.Option(help="folder of checkpoints, log and result; outside the checkout")],
    text: Annotated[str, typer.Option(help="plain English text (.txt or .gz, form feeds between documents), or none")],
    size: Annotated[str, typer.Option(help="nano or small")] = "nano",
    tokens: Annotated[float | None, typer.Option(help="millions of tokens")] = None,
    device: Device = "auto",
    compile: Annotated[bool, typer.Option(help="torch.compile; needs a C++ compiler on a CPU")] = True,
) -> None:
    """Pretrain a base model on the generated world; goes on where it stopped."""
    from dataclasses import replace

    from lab.measure.words import minutes
    from lab.models.device import can_compile, machine
    from lab.world.pretrain import SIZES
    from lab.world.pretrain import pretrain as make

    if size not in SIZES:
        raise LabError(f"--size {size}: one of {', '.join(SIZES)}")
    if tokens is not None and not 0 < tokens <= MOST_TOKENS:
        raise LabError(f"--tokens {tokens:g}: millions of tokens, above 0 and at most {MOST_TOKENS:g}")
    config = SIZES[size] if tokens is None else replace(SIZES[size], tokens=int(tokens * 1e6))
    here = machine(device)
    compiling = compile and can_compile(here)
    console.print(
        f"{size} on {here.device} ({here.name}, {here.dtype}), torch.compile {'on' if compiling else 'off'}",
    )

    def say(line: dict[str, Any]) -> None:
        if line["step"] % 100 <= 1:
            left = line["seconds"] / line["step"] * (line["steps"] - line["step"])
            console.print(
                f"step {line['step']}/{line['steps']}  {line['tokens'] / 1e6:.1f}M tokens  loss {line['loss']:.3f}  "
                f"about {minutes(left)} left",
            )

    source = None if text == "none" else Path(text)
    folder = make(config, source, work, here, compile_model=compiling, report=say)
    console.print(f"model: {folder}; measure it with: lab card --model {folder}", soft_wrap=True)


def train_embedder(
    text: Annotated[str, typer.Option(help="plain English text, or none")],
    out: Annotated[Path, typer.Option(help="folder to write")],
    epochs: int = 3,
) -> None:
    """Train the static embedder."""
    from lab.world.embedder import train_embedder as train

    console.print(str(train(None if text == "none" else Path(text), out, epochs=epochs)))


def card(
    model: ModelName = DEFAULT_MODEL,
    text: Annotated[str, typer.Option(help="the pretraining text, for the likelihood of its held-out part")] = "none",
    device: Device = "auto",
    precision: Precision = "auto",
    out: Annotated[Path | None, typer.Option(help="file to write; the model's own README.md by default")] = None,
) -> None:
    """Measure a base model's probes and write its card."""
    from lab.experiments.cards import write_model_card
    from lab.models.device import machine
    from lab.models.folders import folder_of
    from lab.models.loading import load_model
    from lab.store import Store

    loaded, folder = load_model(model, machine(device), precision), folder_of(model)
    source = None if text == "none" else Path(text)
    _show(write_model_card(loaded, folder, source, Store(committed=None), out or folder / "README.md"))


def embedder_card(
    queries: Annotated[Path, typer.Argument(help="JSONL files' folder with question and context fields")],
    embedder: Embedder = "embedder",
    out: Annotated[Path | None, typer.Option(help="file to write")] = None,
) -> None:
    """Measure an embedder's recall beside BM25 and write its card."""
    from lab.experiments.cards import write_embedder_card
    from lab.models.folders import folder_of

    _show(write_embedder_card(embedder, queries, out or folder_of(embedder) / "README.md"))


def _show(path: Path) -> None:
    console.print(path.read_text(encoding="utf-8"))
    console.print(f"card: {path}", soft_wrap=True)
