"""What commands share: options that stand in several of them, and how their values are read.

``@with_settings`` gives a command an option for each field of ``lab.measure.settings.Settings``; the command gets them
as one ``settings``.
"""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console

from lab.commands import completion
from lab.measure.settings import Settings
from lab.schema import LabError

DATA, METHODS, MODEL, SCALE, MONEY, OUTPUT = "Data", "Methods", "Model", "Scale", "Money and limits", "Output"
"""Groups of a long help."""
DEFAULT_MODEL = "nano"
JSON_FLAG, QUIET_FLAGS = "--json", ("--quiet", "-q")
console = Console(markup=False, highlight=False)
"""What is printed is data: a bracket in a path, a label or a task's name is a bracket. Styles go by ``rich.text``."""

Folder = Annotated[Path, typer.Argument(help="task folder", autocompletion=completion.tasks)]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="bundled name, local folder, Hub id, .gguf file, or an endpoint: URL#MODEL@DATE",
        autocompletion=completion.models,
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda or mps",
        autocompletion=completion.one_of("auto", "cpu", "cuda", "mps"),
        rich_help_panel=MODEL,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="number format of the model: auto (the faster one on this machine), float32 or bfloat16",
        autocompletion=completion.one_of("auto", "float32", "bfloat16"),
        rich_help_panel=MODEL,
    ),
]
Embedder = Annotated[
    str,
    typer.Option(
        help="'embedder' (the lab's own), a sentence-transformers folder or a Hub id",
        autocompletion=completion.embedders,
        rich_help_panel=MODEL,
    ),
]
Reranker = Annotated[
    str,
    typer.Option(
        help="a cross-encoder, for rerank_rag: a sentence-transformers folder or a Hub id", rich_help_panel=MODEL
    ),
]
Probes = Annotated[
    list[Path] | None,
    typer.Option(
        help="folder of a probe of your own (task.toml, test.jsonl); may stand several times", rich_help_panel=DATA
    ),
]
GeneralText = Annotated[
    Path | None,
    typer.Option(
        help="text file (.txt or .gz, form feeds between documents) for replay and the likelihood of general text",
        rich_help_panel=DATA,
    ),
]
PriceFile = Annotated[
    Path | None,
    typer.Option("--prices", help="a price table of your own (TOML), read before the lab's", rich_help_panel=MONEY),
]
PriceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        help="a name from lab prices: sets the prices above and the hosting; ARM=NAME for one arm or one model only",
        autocompletion=completion.prices,
        rich_help_panel=MONEY,
    ),
]
Redact = Annotated[bool, typer.Option(help="leave every text of the task out of the report", rich_help_panel=OUTPUT)]


def names(text: str) -> list[str]:
    """``a, b`` as a list."""
    return [t.strip() for t in text.split(",") if t.strip()]


def numbers(text: str, flag: str) -> list[int]:
    """``100,400`` as numbers; raises LabError naming the option."""
    try:
        return [int(t) for t in names(text)]
    except ValueError:
        raise LabError(f"{flag} {text}: whole numbers with commas between them, such as 100,400") from None


def repeated(command: str, left_out: tuple[str, ...] = ()) -> str:
    """The user's own command line from ``command`` on, but for options that change no result: those ``left_out`` with
    their values, and what says how much is printed."""
    given = sys.argv[sys.argv.index(command) + 1 :] if command in sys.argv else []
    given = [a for a in given if a not in (JSON_FLAG, *QUIET_FLAGS)]
    for flag in left_out:
        given = [
            a
            for n, a in enumerate(given)
            if a != flag and (n == 0 or given[n - 1] != flag) and not a.startswith(f"{flag}=")
        ]
    return shlex.join(["lab", command, *given])


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with an option for each of Settings' fields in the place of its parameter ``settings``."""
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(Settings)
    offered = [f for f in fields(Settings) if f.default is not MISSING]
    added = [_parameter(f, hints[f.name]) for f in offered]
    added += [
        inspect.Parameter("price", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=PriceNames),
        inspect.Parameter("prices", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=PriceFile),
    ]
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in own.items() if name != "settings"]

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        chosen = {f.name: given.pop(f.name) for f in offered}
        settings = priced(chosen, given.pop("price") or [], given.pop("prices"))
        return command(**given, settings=settings)

    return with_parameters(called, [*kept, *added])


def with_parameters(called: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """A command that shows these parameters instead of those that it is written with."""
    called.__signature__ = inspect.Signature(parameters)
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    return called


def _parameter(field: Field, kind: Any) -> inspect.Parameter:
    flag = field.metadata["flag"] or f"--{field.name.replace('_', '-')}"
    annotation = Annotated[kind, typer.Option(flag, help=field.metadata["help"], rich_help_panel=MONEY)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)


def priced(chosen: dict[str, Any], price: list[str], table: Path | None) -> Settings:
    """Settings with named prices filled in, for all arms or (``ARM=NAME``) for one;
    raises LabError for an unknown name."""
    from lab.measure.prices import price_fields

    by_arm: dict[str, dict[str, Any]] = {}
    for text in price:
        arm, equals, name = text.rpartition("=")
        if equals:
            by_arm[arm] = price_fields(name, table)
        else:
            chosen = chosen | price_fields(name, table)
    return Settings(**chosen, by_arm=by_arm)
