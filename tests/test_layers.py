"""Imports point downward only, rooms keep to themselves what is theirs, and the light ones never import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
FLOORS = [
    {"schema"},
    {"files"},
    {"study", "tasks", "models", "store"},
    {"measure"},
    {"context", "weights"},
    {"world", "decision"},
    {"flow"},
    {"report"},
    {"experiments"},
    {"live"},
    {"commands"},
    {"api", "cli"},
    {"__main__"},
]
"""Rooms by floor, the lowest first; a room imports from itself and from floors below: so there is no circle."""
TOP = {"__init__", "__main__", "api", "cli", "decision", "files", "schema", "study"}
"""Modules at the top level: no further one may be added, there is a room for everything."""
LIGHT = ("measure", "decision", "report", "experiments.why.ledger", "experiments.why.page", "experiments.levers.points")
MAKERS = {"world/pretrain.py", "world/tokenizer.py", "world/embedder.py", "context/retrieval/embedding.py"}
"""Beside ``models`` and ``weights`` these touch networks and tokenizers: they make models, or hold an embedder."""
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = [p for p in LAB.rglob("*.py") if p != LAB / "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(LAB).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lab":
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "lab")


def arrows() -> set[tuple[str, str]]:
    """(room, room that it imports from)."""
    found = {(room_of(path), m.split(".")[1]) for path in FILES for m in imports_of(path) if "." in m}
    return {(a, b) for a, b in found if a != b}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LAB)))
def test_imports_point_downward(path):
    mine = room_of(path)
    for module in imports_of(path):
        parts = module.split(".")
        if len(parts) == 1:
            continue
        other = parts[1]
        assert other in FLOOR, f"{path}: room {other} has no floor"
        assert other == mine or FLOOR[other] < FLOOR[mine], f"{path} imports {module}, which is not below it"


def test_nothing_is_added_at_the_top():
    assert {p.stem for p in LAB.glob("*.py")} <= TOP
    assert not [p for p in LAB.iterdir() if p.is_file() and p.suffix not in (".py", "")]


@pytest.mark.parametrize("page", ["docs/DESIGN.md"])
def test_the_map_has_every_room(page):
    text = (LAB.parent / page).read_text(encoding="utf-8")
    for room in FLOOR.keys() - {"__main__"}:
        assert f"{room}/" in text or f"{room}.py" in text, f"{page} does not name {room}"


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_never_load_torch(room):
    """Every module of the room in one process; ``python -X importtime`` shows who is to blame."""
    path = LAB / room.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    names = [".".join(("lab", *f.relative_to(LAB).with_suffix("").parts)).removesuffix(".__init__") for f in files]
    code = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=LAB.parent, check=False).returncode == 0


def test_context_and_weights_never_meet():
    for room, other in (("context", "weights"), ("weights", "context")):
        for path in (LAB / room).rglob("*.py"):
            assert not any(m.startswith(f"lab.{other}") for m in imports_of(path)), path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LAB)))
def test_networks_and_tokenizers_are_touched_where_they_belong(path):
    name = str(path.relative_to(LAB))
    if room_of(path) in ("models", "weights") or name in MAKERS:
        return
    tree = ast.parse(path.read_text())
    touched = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {"network", "tokenizer", "_network"}
    imported = {
        m.split(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for m in ([n.module or ""] if isinstance(n, ast.ImportFrom) else [a.name for a in n.names])
    } & {"transformers", "peft"}
    assert not touched and not imported, f"{name}: {touched or imported} belong to models/ and weights/"


@pytest.mark.parametrize("room", ["weights", "context", "flow", "measure", "report", "live", "experiments"])
def test_no_room_asks_for_an_attribute_instead_of_a_trait(room):
    """What a method is, it says itself: ``hasattr`` would leave out the next one."""
    for path in (LAB / room).rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "hasattr"], path


if __name__ == "__main__":
    rooms = sorted(FLOOR, key=lambda r: FLOOR[r])
    print(f"{len(rooms)} rooms, {len(FLOORS)} floors, {len(arrows())} arrows")
    for room in rooms:
        print(f"{FLOOR[room]:>2} {room}: {', '.join(sorted(b for a, b in arrows() if a == room))}")
