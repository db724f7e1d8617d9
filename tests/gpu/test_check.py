"""The GPU script goes through all its parts on a CPU, with shapes of no meaning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*asked: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "reports/gpu/check.py", *asked]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_training_and_completing_stand_on_the_page(tmp_path):
    done = run(str(tmp_path), "--tiny", "--only", "training,qlora,evaluation")
    assert not done.returncode, done.stdout + done.stderr
    parts = json.loads((tmp_path / "check.json").read_text())["parts"]
    for method in ("lora", "full"):
        row = parts["training"][method]
        assert row["tokens_a_second"] * min(row["seconds"]) == pytest.approx(parts["training"]["tokens"])
        assert 0 < row["share_of_product"] and row["forecast"]["total"] > 0
    assert parts["evaluation"]["same_as_processor"] == parts["evaluation"]["asked"] == 48
    page = (tmp_path / "check.md").read_text()
    assert "## Training" in page and "## Completing" in page and "(cpu, " in page


@pytest.mark.slow
def test_the_whole_script_ends_with_a_verdict(tmp_path):
    done = run(str(tmp_path), "--tiny")
    assert not done.returncode, done.stdout + done.stderr
    parts = json.loads((tmp_path / "check.json").read_text())["parts"]
    assert list(parts) == ["tests", "decision", "training", "qlora", "evaluation"]
    assert "rag" in parts["decision"]["verdict"] and parts["decision"]["cells"] >= 4
    assert parts["decision"]["verdict"] in (tmp_path / "check.md").read_text()


def test_a_machine_without_a_gpu_and_an_unknown_part_are_told_in_a_line(tmp_path):
    done = run(str(tmp_path), "--only", "speed")
    assert done.returncode == 1 and done.stderr.strip().startswith("--only speed: one of tests, decision")
