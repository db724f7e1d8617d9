"""Imports point downward only, and the rooms that must stay light never import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
LAYERS = [
    {"schema"}, {"study", "families", "prices"}, {"tasks"}, {"store"}, {"models"}, {"measure"}, {"context", "weights"}, {"methods", "world"}, {"plan"}, {"producing"}, {"abilities"}, {"decide", "runner"}, {"sweep"}, {"why"},
    {"report"}, {"forecast", "cards", "terminal"}, {"live"}, {"commands"}, {"cli"}, {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def room_of(path: Path) -> str:
    return path.relative_to(LAB).parts[0].removesuffix(".py")


def imports_of(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lab"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("lab"))


FILES = [p for p in LAB.rglob("*.py") if p != LAB / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LAB)))
def test_imports_point_downward(path):
    mine = room_of(path)
    for module in imports_of(path):
        parts = module.split(".")
        if len(parts) == 1:
            continue
        other = parts[1]
        assert other in LEVEL, f"{path}: room {other} has no place in the layers"
        assert other == mine or LEVEL[other] < LEVEL[mine], f"{path} imports {module}, which is not below it"


@pytest.mark.parametrize("module", ["lab.measure.arms", "lab.measure.power", "lab.decide", "lab.report.write", "lab.report.sweep", "lab.measure.cost", "lab.measure.ledger", "lab.measure.memory", "lab.measure.forgetting", "lab.prices", "lab.study", "lab.schema"])
def test_light_rooms_never_load_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=LAB.parent, check=False).returncode == 0


def test_context_and_weights_never_meet():
    for room, other in (("context", "weights"), ("weights", "context")):
        for path in (LAB / room).rglob("*.py"):
            assert not any(m.startswith(f"lab.{other}") for m in imports_of(path)), path
