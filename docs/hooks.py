"""What the documentation site takes from the repository while it is built: commands, the Python API, reports.

mkdocs calls the functions named ``on_...``. Pages under ``docs/`` link to files of the repository as they lie
(``../reports/triage/report.html``), so that a reader of the repository can follow them; the site holds those files at
the same paths, and the links are shortened by the ``../``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lab.cli import app

ROOT = Path(__file__).resolve().parents[1]
BESIDE = (
    "reports/**/*.md",
    "reports/**/*.html",
    "reports/**/*.svg",
    "reports/**/*.png",
    "reports/**/decision.json",
    "reports/**/why.json",
    "lab/models/bundled/*/README.md",
)
"""Files outside ``docs/`` that the site holds, each at its path in the repository."""
MARKUP = re.compile(r"`[^`]*`|([*<])")
"""What Markdown would take for its own; group 1 is set outside of code."""
KEPT = "\b\n"
"""What a paragraph begins with whose lines a terminal keeps as they are."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds reports and cards."""
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adds to a page what is made from the code, and points its links into the site."""
    name = page.file.src_uri
    if "/" in name:  # a report, which lies in the site as in the repository
        return markdown
    if name in MADE:
        markdown = f"{markdown.rstrip()}\n\n{MADE[name]()}"
    return markdown.replace("](../", "](")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Docstrings announce code with ``::``, which Markdown would show as it stands."""
    return html.replace("::</p>", ":</p>") if page.file.src_uri == "api.md" else html


def commands() -> str:
    """Every command of the typer app, its groups' included."""
    return "\n\n".join(text for path, command in walk(typer.main.get_command(app)) for text in _command(path, command))


def walk(command: Any, path: str = "lab") -> Iterator[tuple[str, Any]]:
    """(what is typed, command) of a command and all below it; hidden ones are left out."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from walk(below, f"{path} {name}")


def _command(path: str, command: Any) -> Iterator[str]:
    context = command.make_context(path, [], resilient_parsing=True)
    yield f"## {path}"
    yield _plain(command.help)
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    panels: dict[str, list[Any]] = {}
    for parameter in sorted(command.params, key=_is_option):
        if not parameter.hidden:
            panel = parameter.rich_help_panel or ("Options" if _is_option(parameter) else "Arguments")
            panels.setdefault(panel, []).append(parameter)
    for panel, parameters in panels.items():
        rows = [_row(p, context) for p in parameters]
        yield "\n".join([f"| {panel} | | default |", "|---|---|---|", *rows])
    if command.epilog:
        yield _plain(command.epilog)


def _is_option(parameter: Any) -> bool:
    return parameter.param_type_name == "option"


def _row(parameter: Any, context: Any) -> str:
    typed, _ = parameter.get_help_record(context)
    default = "needed" if parameter.required else _default(parameter)
    return f"| `{typed}` | {_cell(parameter.help or '')} | {default} |"


def _default(parameter: Any) -> str:
    """As it would be typed; empty where nothing is set."""
    value = parameter.default
    if isinstance(value, bool) and parameter.secondary_opts:
        return f"`{(parameter.opts if value else parameter.secondary_opts)[0]}`"
    return "" if value is None or value is False or value == "" or callable(value) else f"`{value}`"


def _plain(text: str | None) -> str:
    """Text of a terminal as Markdown: its stars and brackets are no markup."""
    return "\n\n".join(
        f"```\n{part.removeprefix(KEPT)}\n```"
        if part.startswith(KEPT)
        else MARKUP.sub(lambda found: f"\\{found[0]}" if found[1] else found[0], part)
        for part in (text or "").strip("\n").split("\n\n")
    )


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("|", "\\|")


def api() -> str:
    """The public names of ``lab.api``, by mkdocstrings, which reads the code and does not run it."""
    return "::: lab.api" if (ROOT / "lab/api.py").exists() else "This version has none."


def reports() -> str:
    """The committed studies: what each decided, its live page and its text."""
    rows = ["| study | what it says | |", "|---|---|---|"]
    for path in sorted(ROOT.glob("reports/**/report.md")):
        folder = path.parent.relative_to(ROOT)
        said = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("**"))
        links = f"[live page](../{folder}/report.html), [text](../{folder}/report.md)"
        rows.append(f"| `{folder.relative_to('reports')}` | {_cell(said.strip('*'))} | {links} |")
    return "\n".join(rows)


MADE: dict[str, Callable[[], str]] = {"commands.md": commands, "api.md": api, "reports.md": reports}
"""Pages that end in what is made from the repository."""
