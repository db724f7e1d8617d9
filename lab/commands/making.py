"""Commands that make and measure the bundled model and embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from lab.schema import LabError


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
