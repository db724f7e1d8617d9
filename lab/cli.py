"""The ``lab`` command; what each of its commands does stands in ``lab/commands``.

``lab decide datasets/triage --methods zero_shot,few_shot,lora --sizes 100,400 --seeds 3 --budget 20m``
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from lab import __version__
from lab.commands import data, exits, experiments, making, opening, results, using
from lab.commands.decide import decide
from lab.commands.grouped import Grouped
from lab.commands.init import init
from lab.commands.options import console
from lab.files import HALF
from lab.schema import LabError, first_line

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Measure prompting, retrieval and fine-tuning on your own task, matched, and decide. Begin with lab init.",
    epilog=exits.in_words(),
)
COMMANDS = {
    "init": init,
    "decide": decide,
    "view": opening.view,
    "get": making.get,
    "check": data.check,
    "import": data.import_,
    "import-probe": data.import_probe,
    "report": results.report,
    "share": results.share,
    "predict": using.predict,
    "serve": using.serve,
    "export": using.export,
    "open": opening.open_,
    "sweep": experiments.sweep,
    "why": experiments.why,
    "memory": experiments.memory,
    "prices": experiments.prices,
    "runs": results.runs,
    "keep": results.keep,
    "prune": results.prune,
    "generate": data.generate,
    "pretrain": making.pretrain,
    "train-embedder": making.train_embedder,
    "card": making.card,
    "embedder-card": making.embedder_card,
}
for _name, _command in COMMANDS.items():
    app.command(name=_name, cls=Grouped)(_command)


def _version(value: bool) -> None:
    if value:
        console.print(f"decision-lab {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options of every command; without a command, the help."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _require_text(given: list[str]) -> None:
    """Raises LabError for bytes on the command line that are no text: neither record nor report could hold them."""
    if odd := next((a for a in given if HALF.search(a)), None):
        raise LabError(f"{ascii(odd)[:100]}: not text as this terminal's encoding has it; rename or type it again")


def main() -> None:
    """Entry point: every expected mistake is one line, ``--debug`` shows the traceback."""
    errors = Console(stderr=True)
    if "--debug" in sys.argv:
        app(standalone_mode=True)
        return
    try:
        _require_text(sys.argv[1:])
        code = app(standalone_mode=False)
        if code == exits.STOPPED:  # typer turns Ctrl-C into this status
            raise KeyboardInterrupt
        sys.exit(code or exits.DONE)
    except LabError as error:
        errors.print(f"lab: {error}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(exits.WRONG)
    except (KeyboardInterrupt, typer.Abort):  # the latter at a question
        errors.print("\nlab: stopped; what is finished is stored, the same command goes on from there", markup=False)
        sys.exit(exits.STOPPED)
    except OSError as error:
        errors.print(
            f"lab: {error.filename or ''} {error.strerror}; what was stored before is intact",
            markup=False,
            soft_wrap=True,
        )
        sys.exit(exits.WRONG)
    except Exception as error:
        if hasattr(error, "format_message"):
            errors.print(f"lab: {_usage(error)}", highlight=False, markup=False, soft_wrap=True)
            sys.exit(exits.WRONG)
        errors.print(
            f"lab: {type(error).__name__}: {first_line(error)} (this is a bug or an unforeseen input; "
            "lab --debug ... shows where)",
            markup=False,
            soft_wrap=True,
        )
        sys.exit(exits.FAULT)


def _usage(error: Any) -> str:
    """What typer says of a wrong command line, and where its options are told."""
    context = getattr(error, "ctx", None)
    told = error.format_message().rstrip(".")
    return f"{told}; {context.command_path} --help tells what there is" if context else told


if __name__ == "__main__":
    main()
