"""A command's help by groups: ``rich_help_panel`` of an option says which; plain text, so that it can be piped."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from lab.commands.options import OUTPUT

ORDER = {"Arguments": 0, OUTPUT: 2, "Options": 3}
"""Where a group stands that is not among those in the middle."""


class Grouped(TyperCommand):
    """A command whose options stand under the headings of their groups, in the order in which groups first appear."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then each group; how the result is told, and what has no group, come last."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (shown := parameter.get_help_record(ctx)) is not None:
                plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or plain, []).append(shown)
        for name in sorted(groups, key=lambda name: ORDER.get(name, 1)):
            with formatter.section(name):
                formatter.write_dl(groups[name])
