"""Completion through the shells' own protocol, in processes of their own: the right words, quickly, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import make_task

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3.0
"""Bound of one completion on a busy machine; it takes about 0.3."""
CODE = "import sys; sys.argv[0] = 'lab'; from lab.cli import main; main()"


def environment(folder):
    return os.environ | {"PYTHONPATH": str(ROOT), "LAB_HOME": str(folder / "home")}


def complete(folder, line, shell="bash"):
    """What the shell gets for a command line whose last word is being typed."""
    words = line.split(" ")
    how = {"_LAB_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        how |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    else:
        how |= {"_TYPER_COMPLETE_ARGS": line}
    if shell == "fish":
        how |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=folder,
        env=environment(folder) | how,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not found.stderr, found.stderr
    return found.stdout


@pytest.fixture
def place(tmp_path):
    """A folder with a task here, one in datasets/, a report, and what is neither."""
    from lab.tasks.task import write_task

    for folder in ("mine", "datasets/triage", "datasets/tickets"):
        write_task(make_task(40), tmp_path / folder)
    for folder in ("lab-reports/one", "lab-reports/two", "reports/old"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "report.html").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "home" / "models" / "brought").mkdir(parents=True)
    (tmp_path / "home" / "models" / "brought" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lab ini", ["init"]),
        ("lab decide ", ["mine", "datasets/tickets", "datasets/triage"]),
        ("lab decide datasets/tr", ["datasets/triage"]),
        ("lab check m", ["mine"]),
        ("lab view ", ["lab-reports/one", "lab-reports/two", "reports/old"]),
        ("lab predict lab-reports/t", ["lab-reports/two"]),
        ("lab open --page your", ["your_task"]),
        ("lab decide mine --model ", ["nano", "brought"]),
        ("lab decide mine --methods zero", ["zero_shot"]),
        ("lab decide mine --methods zero_shot,rag_l", ["zero_shot,rag_lora", "zero_shot,rag_last_layers"]),
        ("lab decide mine --methods lora,lora", []),
        ("lab decide mine --device c", ["cpu", "cuda"]),
        ("lab get mini", ["minilm"]),
    ],
)
def test_values_are_completed(place, line, expected):
    assert sorted(complete(place, line).split()) == sorted(expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_quick(place, shell):
    started = time.time()
    assert "zero_shot" in complete(place, "lab decide mine --methods zero", shell)
    assert time.time() - started < SECONDS


def test_completers_load_no_torch(place):
    code = (
        "import sys, lab.cli, lab.commands.completion as c\n"
        "for f in (c.tasks, c.reports, c.methods, c.models, c.embedders, c.known, c.pages, c.prices):\n"
        "    f(''), f('a,b')\n"
        "sys.exit(bool({'torch', 'pandas', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=place, env=environment(place), check=False).returncode == 0


def test_names_of_methods_are_those_that_there_are():
    from lab.flow.methods import presets
    from lab.flow.names import method_names, plain_names

    assert sorted(method_names()) == sorted(presets()) and set(plain_names()) <= set(presets())
    assert {"zero_shot", "few_shot_rag", "lora"} <= set(plain_names())
    assert "rag_lora" not in plain_names() and "study_lora" not in plain_names()


def test_the_shell_gets_its_script(place):
    shown = subprocess.run(
        [sys.executable, "-c", CODE, "--show-completion", "bash"],
        cwd=place,
        env=environment(place) | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0 and "_LAB_COMPLETE=complete_bash" in shown.stdout, shown.stderr
