"""``lab init``: from a file to a task and the command that decides on it, with a question for all that wasn't said."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.commands import completion
from lab.commands.data import make_task, require_free
from lab.commands.options import DATA, DEFAULT_MODEL, MODEL, console
from lab.commands.output import Result, with_output
from lab.files import folder_name
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.tasks.tables import Table

NONE = "none"
"""How no documents are asked for."""
DEFAULT_EMBEDDER = "embedder"
DOCUMENT_FOLDERS = ("documents", "docs")
"""Beside the file: taken for its documents where nothing else is said."""
EXAMPLE_ROWS, QUESTIONS_A_GROUP = 60, 5
"""Of the example; the generator asks at most so many questions about one thing."""
EXAMPLE_FILE = "questions.csv"
LONGEST_CELL = 60
"""Characters of a cell that a question shows."""


@with_output("json", "quiet")
def init(
    file: Annotated[str, typer.Argument(help="CSV, TSV, JSONL, JSON or Parquet file, or a Hub dataset id")] = "",
    example: Annotated[
        Path | None, typer.Option(help="no file yet: write a small one, with documents, into this folder and use it")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="task folder to write; called like the file by default")] = None,
    documents: Annotated[
        str, typer.Option(help="folder of texts, web pages, PDF and Word files; none for no documents")
    ] = "",
    input: Annotated[str, typer.Option(help="column with the input", rich_help_panel=DATA)] = "",
    target: Annotated[str, typer.Option(help="column with the target", rich_help_panel=DATA)] = "",
    instruction: Annotated[str, typer.Option(help="what the model is told to do", rich_help_panel=DATA)] = "",
    model: Annotated[
        str,
        typer.Option(
            help="the model that lab decide will run: as its --model",
            autocompletion=completion.models,
            rich_help_panel=MODEL,
        ),
    ] = "",
    embedder: Annotated[
        str,
        typer.Option(
            help="for retrieval: as lab decide --embedder",
            autocompletion=completion.embedders,
            rich_help_panel=MODEL,
        ),
    ] = DEFAULT_EMBEDDER,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ask nothing, take what is guessed")] = False,
    force: Annotated[bool, typer.Option(help="replace an existing task folder")] = False,
) -> Result:
    """Begin here: make a task of your file, check it, and learn what to run next."""
    asks = Questions(not yes and sys.stdin.isatty())
    # What can't be is told before an example is written: the same command, mended, must find its folder free.
    for name, option in ((model, "--model"), (embedder, "--embedder")):
        if name:
            _must_be_brought(name, option)
    if out is not None:
        require_free(out, force)
    if example is not None:
        if file:
            raise LabError(f"--example {example}: writes a file of its own; leave out {file}, or --example")
        file, documents = write_example(example)
        out = out or example / Path(file).stem
    file = file or asks.file()
    input, target = asks.columns(file, input, target)
    out = out or asks.out(file, force)
    require_free(out, force)
    documents = documents or asks.documents(file)
    model = model or asks.model()
    bring = [name for name, option in ((model, "--model"), (embedder, "--embedder")) if _must_be_brought(name, option)]
    made = make_task(
        file,
        out,
        documents=None if documents == NONE else Path(documents),
        model=model,
        instruction=instruction,
        input_column=input,
        target_column=target,
    )
    steps = _next(out, model, embedder, bring)
    console.print("\nNext:", style="bold")
    for command, says in steps:
        console.print(f"  {command}\n      {says}", soft_wrap=True)
    return Result(made | {"next": [command for command, _ in steps]}, [str(out)])


class Questions:
    """What is asked of a person at a terminal, each with its guess; anywhere else the guess is the answer."""

    def __init__(self, asks: bool) -> None:
        self.asks = asks

    def _ask(self, text: str, guess: str, read: Callable[[str], Any] = str) -> Any:
        """The answer, asked again where ``read`` raises LabError."""

        def tried(answer: str) -> Any:
            try:
                return read(answer)
            except LabError as error:
                raise typer.BadParameter(str(error)) from None

        return typer.prompt(text, default=guess or None, value_proc=tried) if self.asks else read(guess)

    def file(self) -> str:
        """The file of examples; the only table in this folder is the guess."""
        if not self.asks:
            raise LabError("lab init: name your file: lab init FILE; without one: lab init --example FOLDER")
        here = [p.name for p in sorted(Path().iterdir()) if p.suffix in (".csv", ".tsv", ".jsonl", ".parquet")]

        def readable(answer: str) -> str:
            _table(answer)
            return answer

        return self._ask("File with inputs and targets", here[0] if len(here) == 1 else "", readable)

    def columns(self, file: str, given_input: str, given_target: str) -> tuple[str, str]:
        """Columns of input and target; the import guesses them itself where nobody is asked."""
        if not self.asks or (given_input and given_target):
            return given_input, given_target
        from lab.tasks.importing import INPUT_NAMES, TARGET_NAMES, usual

        table = _table(file)
        for name in table.columns:
            shown = " ".join(str(table.rows[0].cells.get(name, "")).split()) if table.rows else ""
            console.print(f"  {name}: {shown[:LONGEST_CELL]}", soft_wrap=True)

        def known(answer: str) -> str:
            if answer not in table.columns:
                raise LabError(f"no column {answer!r}; one of {', '.join(table.columns)}")
            return answer

        first = given_input or self._ask("Column with the input", usual(table.columns, INPUT_NAMES), known)
        return first, given_target or self._ask("Column with the target", usual(table.columns, TARGET_NAMES), known)

    def out(self, file: str, force: bool) -> Path:
        """Where the task goes: a folder called like the file."""

        def free(answer: str) -> Path:
            require_free(Path(answer), force)
            return Path(answer)

        return self._ask("Folder of the task", folder_name(Path(file).name.split(".")[0]), free)

    def documents(self, file: str) -> str:
        """A folder beside the file that is called as documents are, else none."""
        beside = (Path(file).parent / name for name in DOCUMENT_FOLDERS)
        guess = next((str(folder) for folder in beside if folder.is_dir()), NONE)

        def there(answer: str) -> str:
            if answer != NONE and not Path(answer).is_dir():
                raise LabError(f"{answer}: no such folder; {NONE} where there are no documents")
            return answer

        return self._ask(f"Folder of documents that hold answers, or {NONE}", guess, there)

    def model(self) -> str:
        """The bundled model is the guess: it needs no download."""

        def known(answer: str) -> str:
            _must_be_brought(answer, "--model")
            return answer

        return self._ask("Model (lab get lists those known to work)", DEFAULT_MODEL, known)


def _table(file: str) -> Table:
    from lab.tasks.shapes import shaped
    from lab.tasks.tables import read_table

    return shaped(read_table(file))


def _must_be_brought(name: str, option: str) -> bool:
    """Whether ``lab get`` has to bring it first; raises LabError for a plain name that nothing stands behind."""
    from lab.models.folders import bundled_models, folder_of
    from lab.models.getting import catalogue

    if Path(name).name != name or name.endswith(".gguf") or folder_of(name).is_dir():
        return False
    if name not in catalogue():
        there = ", ".join(bundled_models())
        raise LabError(f"{option} {name}: no bundled one (there is {there}), no folder, and none that lab get lists")
    return True


def _next(out: Path, model: str, embedder: str, bring: list[str]) -> list[tuple[str, str]]:
    """(command, what it does) of what comes after a task was made."""
    words = ["lab", "decide", str(out)]
    words += ["--model", model] if model != DEFAULT_MODEL else []
    words += ["--embedder", embedder] if embedder != DEFAULT_EMBEDDER else []
    decide = shlex.join(words)
    first = [(shlex.join(["lab", "get", *bring]), "brings what is not here yet")] if bring else []
    return [
        *first,
        (decide, "measures the methods and decides; with --plan-only it says first how long that takes"),
        ("lab view", "opens the report"),
    ]


def write_example(folder: Path) -> tuple[str, str]:
    """A file as somebody might have it, questions whose answers stand in documents; the paths of file and documents."""
    from lab.world.tasks import Knobs, generate

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"--example {folder}: exists and is not empty; name another folder")
    # One question of each group: questions about one thing would stand or fall together, and sixty show little.
    task = generate("handbook", Knobs(train=QUESTIONS_A_GROUP * EXAMPLE_ROWS - 2, validation=1, test=1))
    samples = list({s.group: s for s in (*task.labelled, *task.test)}.values())[:EXAMPLE_ROWS]
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for document in task.documents:
        (documents / f"{document.id}.md").write_text(document.text + "\n", encoding="utf-8")
    with open(folder / EXAMPLE_FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["question", "answer", "evidence"])
        writer.writerows([s.input, s.target, "|".join(f"{e}.md" for e in s.evidence)] for s in samples)
    console.print(f"{folder / EXAMPLE_FILE}: {len(samples)} questions, {documents}: what they are about")
    return str(folder / EXAMPLE_FILE), str(documents)
