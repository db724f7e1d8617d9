"""Names of all methods, read from the sources of the two families: no network is loaded, so that a shell that completes
a word needs no seconds.

``method_names()`` are the keys of ``lab.flow.methods.presets``, a test holds them together.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class _Member:
    """A class as its file has it."""

    bases: tuple[str, ...]
    values: dict[str, Any]
    """Class variables with a plain value."""
    is_control: bool
    """Its own ``is_control`` is True whatever its settings are."""


def method_names() -> list[str]:
    """Every preset: contexts alone, and before weights that train."""
    contexts, weights = _contexts(), _weights()
    names = [name for _, variants in contexts for name in variants]
    for name, variants in weights:
        names += [
            f"{'' if bare else context + '_'}{before}{name}"
            for bare, alone in contexts
            for context in alone
            for before in variants
        ]
    return names


def plain_names() -> list[str]:
    """Contexts alone and weights alone."""
    return [name for _, variants in _contexts() for name in variants] + [name for name, _ in _weights()]


def _contexts() -> list[tuple[bool, list[str]]]:
    """(bare, its names) of every context that is a way to work."""
    found = _read("lab.context")
    named = [(n, m) for n, m in found.items() if "name" in m.values and not m.is_control]
    return [
        (bool(_value(found, n, "bare")), list(_value(found, n, "variants") or [m.values["name"]])) for n, m in named
    ]


def _weights() -> list[tuple[str, list[str]]]:
    """(name, what may stand before it) of all weights that train."""
    found = _read("lab.weights")
    named = [(n, m) for n, m in found.items() if "name" in m.values and _value(found, n, "trains")]
    return [(m.values["name"], list(_value(found, n, "variants"))) for n, m in named]


def _value(found: dict[str, _Member], name: str, variable: str) -> Any:
    """A class variable, the class's own or inherited; None where no class of the package has it."""
    if name not in found:
        return None
    if variable in found[name].values:
        return found[name].values[variable]
    inherited = (_value(found, base, variable) for base in found[name].bases)
    return next((value for value in inherited if value is not None), None)


@cache
def _read(package: str) -> dict[str, _Member]:
    """Every class of a package's modules by its name."""
    folder = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    return {c.name: _member(c) for c in classes}


def _member(node: ast.ClassDef) -> _Member:
    values, control = {}, False
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and part.value is not None:
            try:
                values[part.target.id] = ast.literal_eval(part.value)
            except ValueError:
                continue  # A value that must be computed: none of those that make a name.
        elif isinstance(part, ast.FunctionDef) and part.name == "is_control":
            control = ast.unparse(part.body[-1]) == "return True"
    return _Member(tuple(b.id for b in node.bases if isinstance(b, ast.Name)), values, control)
