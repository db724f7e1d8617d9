"""Every kind of file in a store, damaged in every way: told in a line, made again, and never another result."""

from __future__ import annotations

import shutil

import pytest

from lab.flow.calibration import calibrate
from lab.flow.runner import Runner
from tests.conftest import make_task
from tests.flow.test_runner import bench_for, quick_plan, what_was_measured

WAYS = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "grown": lambda content: content + b"x",
    "gone": None,
    "a folder": None,
}
KINDS = {
    "completions": "results/evaluation/*/completions.parquet",
    "weights": "results/adaptation/*/adapter_model.safetensors",
    "config": "results/adaptation/*/adapter_config.json",
    "record": "results/evaluation/*/record.json",
    "vectors": "cache/vectors/*.safetensors",
}


@pytest.fixture(scope="module")
def measured(tiny, tmp_path_factory):
    """A finished study and its store."""
    home, task = tmp_path_factory.mktemp("whole"), make_task(60)
    study = Runner(bench_for(task, tiny, home)).run(quick_plan(task, seeds=1))
    return task, home, what_was_measured(study)


def damage(path, way):
    content = path.read_bytes()
    path.unlink()
    if way == "a folder":
        path.mkdir()
    elif way != "gone":
        path.write_bytes(WAYS[way](content))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_costs_its_piece_and_nothing_else(measured, tiny, tmp_path, capsys, kind, way):
    task, whole, wanted = measured
    home = tmp_path / "home"
    shutil.copytree(whole, home)
    hit = sorted(home.glob(KINDS[kind]))
    assert hit, "the study has such files"
    for path in hit:
        damage(path, way)
    if kind in ("weights", "config", "vectors"):
        # What was made with them is gone as well, so that they are needed.
        shutil.rmtree(home / "results" / "evaluation")
    if kind == "vectors":
        shutil.rmtree(home / "results" / "choice")
    study = Runner(bench_for(task, tiny, home)).run(quick_plan(task, seeds=1))
    assert what_was_measured(study) == wanted
    told = capsys.readouterr().err
    quiet = way == "gone" and kind in ("weights", "vectors", "record")
    assert quiet or kind == "record" or f"lab: {home}" in told
    assert all(line.startswith("lab: ") for line in told.splitlines() if str(home) in line)


@pytest.mark.parametrize("way", [w for w in WAYS if w != "gone"])
def test_damaged_rates_are_measured_again(tiny, tmp_path, capsys, way):
    calibrate(tiny, tmp_path)
    (path,) = (tmp_path / "calibration").glob("*.json")
    damage(path, way if way != "flipped" else "cut")
    if way == "a folder":
        path.rmdir()
        path.write_text("[]")
    assert calibrate(tiny, tmp_path).reading > 0
    path.write_text('{"reading": 1.0}')
    assert calibrate(tiny, tmp_path).reading != 1.0
    assert "the rates are measured again" in capsys.readouterr().err
