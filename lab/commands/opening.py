"""Commands that show something in the browser: a report, and the live notebooks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.commands import completion
from lab.commands.options import console
from lab.schema import LabError

REPORTS = Path("lab-reports")
"""Where ``lab decide`` puts a report that no folder is named for."""
PAGES_TO_SHOW = ("report.html", "why_cheap.html", "index.html")
Port = Annotated[int, typer.Option(help="0 takes any that is free")]
DEFAULT_PORT = 2718


def view(
    what: Annotated[
        Path | None,
        typer.Argument(
            help="folder of a report; the newest under lab-reports/ by default", autocompletion=completion.reports
        ),
    ] = None,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="the live notebook Decide on the report's task instead")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="or print the path alone")] = True,
    port: Port = DEFAULT_PORT,
) -> None:
    """Open a report in the browser and print its path, or its task in the live notebook."""
    import webbrowser

    page = page_of(what) if what else newest_report(REPORTS)
    if notebook:
        from lab.study import Study

        study = Study.load(page.parent)
        _serve("decide", {"task": study.task["name"], "model": study.model["name"]}, port, browser)
        return
    console.print(str(page), soft_wrap=True)
    if browser and not webbrowser.open(page.resolve().as_uri()):
        console.print("No browser answers here; open the file in your own.")


def open_(
    page: Annotated[
        str, typer.Option(help="the page that the address leads to", autocompletion=completion.pages)
    ] = "start",
    task: Annotated[str, typer.Option(help="name of the task that the page begins with")] = "",
    model: Annotated[
        str, typer.Option(help="name of the model that the page begins with", autocompletion=completion.models)
    ] = "",
    edit: Annotated[bool, typer.Option("--edit", help="open the marimo editor instead")] = False,
    browser: Annotated[
        bool | None, typer.Option("--browser/--no-browser", help="open it; by default where this is a terminal")
    ] = None,
    port: Port = DEFAULT_PORT,
) -> None:
    """Serve the notebooks on 127.0.0.1 and print the address."""
    if edit:
        import subprocess

        from lab.live.pages import NOTEBOOKS
        from lab.live.serve import edit_command, free_port

        raise SystemExit(subprocess.call(edit_command(NOTEBOOKS, free_port(port))))
    _serve(page, {"task": task, "model": model}, port, sys.stdout.isatty() if browser is None else browser)


def _serve(page: str, chosen: dict[str, str], port: int, browser: bool) -> None:
    """Serve all notebooks until Ctrl-C; the address that is printed leads to one of them, with what it begins with."""
    import secrets

    from lab.live.pages import PAGES, address, notebook_file, page_named
    from lab.live.serve import free_port, link, serve, show_when_up

    first = page_named(page)
    for each in PAGES:
        notebook_file(each)
    port, token = free_port(port), secrets.token_urlsafe(16)
    to = link(port, address(first), token, chosen)
    console.print(to, soft_wrap=True)
    console.print("Ctrl-C ends it; runs that were started go on.")
    if browser:
        show_when_up(to, port)
    serve(port, token)


def page_of(what: Path) -> Path:
    """The page of a report's folder (or of a site, or of ``lab why``), or the page itself; raises LabError with the
    command that makes one."""
    if what.is_file() and what.suffix == ".html":
        return what
    folder = what if what.is_dir() else what.parent
    found = next((folder / name for name in PAGES_TO_SHOW if (folder / name).is_file()), None)
    if what.exists() and found:
        return found
    named = shlex.quote(str(what))
    if (folder / "study.json").is_file() and what.exists():
        raise LabError(f"{what}: a study without its page; write it with: lab report {named}")
    if (what / "task.toml").is_file():
        raise LabError(f"{what}: a task and no report; make one with: lab decide {named}")
    raise LabError(f"{what}: no report; lab decide TASK makes one, lab view alone opens the newest")


def newest_report(below: Path) -> Path:
    """The page that was written last; raises LabError where there is none."""
    found = sorted(below.glob("*/report.html"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise LabError(f"{below}: no report yet; make one with: lab decide TASK (lab init makes a task)")
    return found[-1]
