"""How the two families find their members: every module of a package is imported, every named class is a member.

Adding a method is one file in ``lab/context`` or ``lab/weights``; no list is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields
from functools import lru_cache
from types import ModuleType
from typing import Any

from lab.schema import LabError


@lru_cache(maxsize=4)
def members(package: ModuleType) -> dict[str, type]:
    """Named classes of a package's modules, by ``name``."""
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and value.__module__ == module.__name__
                and isinstance(vars(value).get("name"), str)
            ):
                found[value.name] = value
    return dict(sorted(found.items()))


def settings_of(member: Any) -> dict[str, Any]:
    """What a member does, as JSON: its name, its version where above 1,
    and the fields that are not at their default."""
    changed = {f.name: getattr(member, f.name) for f in fields(member) if getattr(member, f.name) != f.default}
    version = {"version": member.version} if member.version != 1 else {}
    return {"name": member.name} | version | changed


def member_from(package: ModuleType, settings: dict[str, Any]) -> Any:
    """The member that ``settings_of`` described; raises LabError for unknown names, listing the valid ones."""
    settings = dict(settings)
    settings.pop("version", None)
    name = settings.pop("name")
    kind = package.__name__.rsplit(".", 1)[-1]
    known = members(package)
    if name not in known:
        raise LabError(f"unknown {kind} {name!r}; one of {', '.join(known)}")
    axes = [f.name for f in fields(known[name])]
    for axis in settings:
        if axis not in axes:
            raise LabError(f"{kind} {name} has no axis {axis!r}; one of {', '.join(axes)}")
    return known[name](**settings)
