"""What a command says, and to whom: a person reads the terminal, a program ``--json``, a script ``--quiet``.

A command with ``@with_output`` prints for a person through ``console`` as it goes, and returns a Result::

    @with_output("json", "quiet")
    def keep(...) -> Result:
        console.print(...)
        return Result({"written": ...}, [str(out)])

With ``--json`` the result stands on standard output, and what else is said on standard error (nothing, where a command
does no more than print its result: those offer no ``--quiet``). With ``--quiet`` the result's own words are all.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from lab.commands.exits import DONE
from lab.commands.options import JSON_FLAG, OUTPUT, QUIET_FLAGS, console, with_parameters

if TYPE_CHECKING:
    from lab.tasks.check import Finding

STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}
SILENT = {
    "json": ("as_json", typer.Option(JSON_FLAG, help="the result as JSON, all else on stderr", rich_help_panel=OUTPUT)),
    "quiet": ("quiet", typer.Option(*QUIET_FLAGS, help="say the result and nothing else", rich_help_panel=OUTPUT)),
}
"""What a command may offer: its parameter and option."""


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    data: Any
    """For programs."""
    words: Sequence[str] = ()
    """For scripts: a line each."""
    status: int = DONE


def with_output(*offered: str) -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """The command with options of SILENT, saying its Result as they ask; it ends with the result's status."""

    def decorated(command: Callable[..., Result]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(*arguments: Any, as_json: bool = False, quiet: bool = False, **given: Any) -> None:
            with _said(as_json, quiet or (as_json and "quiet" not in offered)):
                result = command(*arguments, **given)
            if as_json:
                sys.stdout.write(json.dumps(result.data, indent=1, ensure_ascii=False) + "\n")
            elif quiet:
                for line in result.words:
                    console.print(line, soft_wrap=True)
            if result.status:
                raise typer.Exit(result.status)

        kind = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(name, kind, default=False, annotation=Annotated[bool, option])
            for name, option in map(SILENT.get, offered)
        ]
        return with_parameters(called, [*inspect.signature(command, eval_str=True).parameters.values(), *added])

    return decorated


@contextmanager
def _said(as_json: bool, quiet: bool) -> Iterator[None]:
    """What is printed meanwhile goes to standard error, or nowhere."""
    console.quiet = quiet
    try:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            yield
    finally:
        console.quiet = False


def warn(text: str) -> None:
    """One line beside the output, whatever was silenced."""
    Console(stderr=True).print(f"lab: {text}", highlight=False, markup=False, soft_wrap=True)


def show_findings(findings: Sequence[Finding]) -> None:
    """One line a finding, errors first; with ``--quiet`` the errors alone, beside the output."""
    for f in findings:
        if not console.quiet:
            console.print(Text.assemble((f"{f.level:<8}", STYLE[f.level]), " ", f.text))
        elif f.level == "error":
            warn(f.text)
