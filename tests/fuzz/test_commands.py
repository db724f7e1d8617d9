"""Whatever people hand over: an end with a status, one clear line, in time, and nothing written elsewhere.

All commands over all of ``cases.py``; ``make test-slow`` runs every case, the ordinary suite every fortieth.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys

import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lab.cli import main
from lab.models.device import machine
from lab.models.loading import load_model
from lab.tasks.task import write_task
from tests.conftest import make_task
from tests.fuzz.cases import DECIDE, all_cases

CASES = all_cases()
SECONDS = 60
"""After which a command hangs."""


class Late(BaseException):
    """No error that a command could take for one of its own."""


def run(arguments, capsys) -> tuple[int, str]:
    """(exit status, standard error) of a command in this process."""

    def late(number, frame):
        raise Late(f"lab {' '.join(arguments)[:200]}: no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    argv, sys.argv = sys.argv, ["lab", *arguments]
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        sys.argv = argv
    return status, capsys.readouterr().err


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder with one good file of every kind, made by the commands themselves."""
    folder = tmp_path_factory.mktemp("good")
    task = make_task(60)
    write_task(task, folder / "task")
    rows = pd.DataFrame({"id": s.id, "input": s.input, "target": s.target} for s in task.labelled)
    rows.to_csv(folder / "rows.csv", index=False)
    rows.to_json(folder / "rows.jsonl", orient="records", lines=True)
    rows.to_json(folder / "rows.json", orient="records")
    rows.to_parquet(folder / "rows.parquet")
    (folder / "documents").mkdir()
    (folder / "documents" / "a.md").write_text("# Towns\n\nPerson 1 lives in Oakley.\n")
    suite = {"ind": 1, "ctx": "A man sits", "endings": ["down.", "up.", "in.", "out."], "label": 0}
    (folder / "suite.jsonl").write_text("".join(json.dumps(suite | {"ind": n}) + "\n" for n in range(9)))
    (folder / "prices.toml").write_text(
        '[mine]\nwhat = "an example"\nsource = "https://example.org"\ndate = 2026-11-01\n'
        "usd_per_million_prompt_tokens = 1.0\nusd_per_million_completion_tokens = 2.0\n"
    )
    (folder / "general.txt").write_text("\f".join(f"The town of Oakley has {n} houses and a mill." for n in range(40)))
    write_task(make_task(20, documents=False), folder / "probe")
    tokenizer = load_model("nano", machine("cpu")).tokenizer
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), max_position_embeddings=256, tie_word_embeddings=True, **sizes, **special
        )
    )
    network.save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def prepared(good):
    """The same, with a store and a report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(good / "home"))
        patch.chdir(good)
        patch.setattr(sys, "argv", ["lab", *DECIDE, "--out", "report"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    return good


def _run_case(case, prepared, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "inside" / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.setenv("LAB_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("mine", None)
    case.spoil(folder)
    status, told = run(case.command, capsys)
    assert "this is a bug" not in told and "Traceback" not in told, ascii(told)
    lines = [x for x in told.strip().splitlines() if x.startswith("lab: ")]
    assert status in (0, 1, 2) and (status != 2 or len(lines) == 1), (status, ascii(told))
    assert [p.name for p in (tmp_path, tmp_path / "inside")] and list(tmp_path.iterdir()) == [tmp_path / "inside"]
    assert list((tmp_path / "inside").iterdir()) == [folder], "something was written outside the folder"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_bad_input(case, prepared, tmp_path, monkeypatch, capsys):
    _run_case(case, prepared, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("case", CASES[::40], ids=lambda c: c.name)
def test_some_bad_inputs(case, prepared, tmp_path, monkeypatch, capsys):
    _run_case(case, prepared, tmp_path, monkeypatch, capsys)
