"""Packages that only an extra brings: where one is missing, a person reads what to install."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from lab.flow.workers import Workers
from lab.live.llamacpp import require_converter
from lab.live.shared import uv_at_hand
from lab.models.constraint import Constraint
from lab.models.endpoint import endpoint
from lab.models.folders import folder_of
from lab.models.gguf import convert
from lab.schema import LabError, extra
from lab.tasks.documents import READERS
from lab.tasks.tables import read_table
from lab.weights.qlora import rounded
from lab.world.embedder import train_embedder

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def _constrain(folder: Path) -> None:
    Constraint(AutoTokenizer.from_pretrained(folder_of("nano")), '"a" | "b"', {0}, 10)


def _read_document(kind: str):
    def read(folder: Path) -> None:
        (folder / f"a{kind}").write_bytes(b"<p>Oakley</p>")
        READERS[kind](folder / f"a{kind}")

    return read


USES = {
    "llguidance": ("constrained", _constrain),
    "inscriptis": ("documents", _read_document(".html")),
    "pypdf": ("documents", _read_document(".pdf")),
    "docx": ("documents", _read_document(".docx")),
    "gguf": ("gguf", lambda folder: convert(folder / "a.gguf", folder)),
    "sentencepiece": ("gguf", lambda folder: require_converter("f16")),
    "bitsandbytes": ("qlora", lambda folder: rounded(torch.nn.Linear(2, 2)).__enter__()),
    "openai": ("api", lambda folder: endpoint("https://example.org/v1#m@2026-11-27")),
    "ray": ("ray", lambda folder: Workers(1, address="auto").start()),
    "uv": ("share", lambda folder: uv_at_hand()),
    "datasets": ("hub", lambda folder: read_table("someone/something")),
    "datasets ": ("embedder", lambda folder: train_embedder(None, folder / "out")),
}
"""Package: the extra that brings it, and a use of it."""


def named_extras() -> set[str]:
    """First arguments of every ``extra(...)`` of the package."""
    calls = (n for f in (ROOT / "lab").rglob("*.py") for n in ast.walk(ast.parse(f.read_text())))
    named = (c for c in calls if isinstance(c, ast.Call) and getattr(c.func, "id", "") == "extra")
    return {c.args[0].value for c in named}


def test_every_extra_is_declared_used_and_tried_here():
    """``dev`` and ``docs`` are for who changes the lab: nothing in it asks for their packages."""
    assert named_extras() == set(DECLARED) - {"dev", "docs"} == {name for name, _ in USES.values()}


@pytest.mark.parametrize("package", USES)
def test_a_missing_package_is_one_line_with_the_command(package, tmp_path, monkeypatch):
    name, use = USES[package]
    # uv is a program, which may lie on the path as well.
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setitem(sys.modules, package.strip(), None)
    with pytest.raises(LabError, match=re.escape(f"pip install 'decision-lab[{name}]'")) as told:
        use(tmp_path)
    assert package.strip() in str(told.value) and "\n" not in str(told.value)


def test_another_error_within_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError), extra("gguf", "this"):
        raise ZeroDivisionError
