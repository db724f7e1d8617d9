"""The Python API: its examples run, its names are the package's, and importing the package loads nothing heavy."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import lab
from lab import api
from lab.live.shelf import Shelf
from lab.store import Store

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = [name for name in api.__all__ if inspect.isfunction(getattr(api, name))]


@pytest.mark.parametrize("name", ["", *FUNCTIONS])
def test_every_example_does_what_it_says(name, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    documented = getattr(api, name) if name else api
    tests = [t for t in doctest.DocTestFinder(recurse=False).find(documented, name or "lab.api", module=api)]
    results = [doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(t) for t in tests]
    assert sum(r.failed for r in results) == 0
    assert sum(r.attempted for r in results) > 0 or name == "write_report"


@pytest.mark.parametrize("name", api.__all__)
def test_names_of_the_package_are_those_of_the_api(name):
    assert getattr(lab, name) is getattr(api, name) and name in dir(lab)


def test_the_rest_of_the_package_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing_such'"):
        lab.nothing_such  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed_and_documented(name):
    function = getattr(api, name)
    hints = inspect.signature(function)
    assert function.__doc__ and hints.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in hints.parameters.values())
    for annotation in inspect.get_annotations(function).values():
        assert annotation and not isinstance(annotation, typing.ForwardRef)


def test_importing_loads_nothing_heavy():
    code = "import lab, sys; assert 'lab.api' not in sys.modules; lab.load_study; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_report_is_written_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = lab.write_report(lab.load_study("reports/triage"), tmp_path, lab.Settings(margin=0.1), texts=False)
    text = page.read_text()
    assert "Take lora r16" in text and '"margin":0.1' in text


def test_a_study_from_python_is_one_of_the_users_own(tmp_path, monkeypatch):
    """As those of ``lab decide``: notebooks find it, and it says what it was asked."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    asked = {"methods": ["zero_shot"], "items": 12, "forgetting": False, "seeds": 1}
    study = lab.decide(ROOT / "datasets" / "triage", **asked, out=tmp_path / "out")
    mine = [s for s in Shelf.read(Store(committed=None), ()).studies if not s.committed]
    assert [s.study.settings["command"] for s in mine] == [study.settings["command"]]
    assert "methods=['zero_shot'], sizes=[2300], ranks=[16], seeds=1, items=12" in study.settings["command"]
    assert lab.load_study(tmp_path / "out") == lab.load_study(mine[0].path) and "finished" in mine[0].study.made


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"methods": ["fine_tuning"]}, "unknown method 'fine_tuning'"),
        ({"sizes": [3]}, "--sizes 3: from 4 to the 2300"),
        ({"seeds": 0}, "--seeds 0: from 1 to"),
        ({"methods": ["rag"]}, "documents"),
        ({"methods": ["zero_shot"], "model": "nowhere"}, "--model nowhere"),
        ({"methods": ["lora"], "items": -1}, "--items -1"),
    ],
)
def test_what_cannot_be_run_is_one_line_as_of_the_command(asked, says):
    with pytest.raises(lab.LabError, match=re.escape(says)):
        lab.decide(ROOT / "datasets" / "triage", **asked)


def test_one_size_has_no_curve():
    with pytest.raises(lab.LabError, match="one data size"):
        lab.size_chart(lab.load_study(ROOT / "reports/smollm2/triage"))
