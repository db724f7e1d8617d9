"""The Python API: its examples run, its names are the package's, and importing the package loads nothing heavy."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import lab
from lab import api

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


def test_one_size_has_no_curve():
    with pytest.raises(lab.LabError, match="one data size"):
        lab.size_chart(lab.load_study(ROOT / "reports/smollm2/triage"))
