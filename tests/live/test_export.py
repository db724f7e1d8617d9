"""What is taken away says what was measured: files without the lab, answers with it, an endpoint."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from lab.context.base import Tools
from lab.decision import decide
from lab.flow.arm import Ready, arm_named, live_cell
from lab.flow.bench import Bench
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.live.export import export
from lab.measure.arms import arms_at
from lab.schema import LabError
from lab.store import Store, read_completions
from tests.conftest import make_task

PROMPTS = ("zero_shot", "few_shot", "few_shot_nearest", "rag", "few_shot_rag", "nearest_rag")
METHODS = (*PROMPTS, "lora", "rag_lora", "last_layers", "prompt_tuning", "rag_prefix_tuning")
QUICK = {"epochs": 1, "minimum_steps": 4}


@pytest.fixture(scope="module")
def measured(nano, tmp_path_factory):
    """(bench, study) of every kind of arm, its trainings of four steps; items that ask with single letters."""
    task = make_task(60)
    store = Store(tmp_path_factory.mktemp("home"), committed=None)
    plan = expand(list(METHODS), [2], [20], 1, task)
    for n, m in enumerate(plan.methods):
        quick = [replace(c, weights=replace(c.weights, **QUICK)) for c in m.candidates] if m.trains else m.candidates
        plan.methods[n] = replace(m, candidates=tuple(quick[:2]))
    bench = Bench(task, nano, store, Tools(cache=store.cache / "vectors"))
    return bench, Runner(bench).run(plan)


def taken(measured, name) -> tuple:
    bench, study = measured
    arm = arm_named(arms_at(study), name)
    return Ready(bench, study, live_cell(arm), arm.label), study, arm


def script_of(folder):
    spec = importlib.util.spec_from_file_location("answer", folder / "answer.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("name", METHODS)
def test_the_same_answers_as_were_measured(measured, name):
    ready, _, arm = taken(measured, name)
    entry = ready.bench.store.find("evaluation", arm.cells[0].evaluation)
    wanted = [c.text.strip() for c in read_completions(entry)]
    test = ready.bench.task.test
    # Ids of training items are ids like any other here.
    inputs = [(ready.bench.task.train[n].id, s.input) for n, s in enumerate(test)]
    assert [a.text for a in ready.answers(inputs)] == wanted
    assert any(a.passages for a in ready.answers(inputs[:2])) == ("rag" in name)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_the_files_answer_as_the_lab_does(measured, tmp_path, name, merged):
    ready, study, arm = taken(measured, name)
    if merged and not ready.cell.adaptation:
        pytest.skip("frozen weights can't be merged")
    if merged and not ready.spec.candidate.weights.merges:
        with pytest.raises(LabError, match="--merged: .* can't be merged"):
            export(ready, study, arm, decide(study), tmp_path / "out", merged)
        assert not (tmp_path / "out").exists()
        return
    names = export(ready, study, arm, decide(study), tmp_path / "out", merged)
    if name == "nearest_rag":
        assert names == ["README.md"] and "takes the lab" in (tmp_path / "out" / "README.md").read_text()
        return
    assert all((tmp_path / "out" / n).exists() for n in names)
    inputs = [s.input for s in ready.bench.task.test[:6]] + ['[x] ⟦input⟧ {{a}} \\n "quoted"']
    wanted = [a.text for a in ready.answers([(str(n), text) for n, text in enumerate(inputs)])]
    script = script_of(tmp_path / "out")
    network, tokenizer = script.load()
    search = script.Search() if script.ARM["search"] else None
    assert [script.answered(script.prompt_of(t, search), network, tokenizer) for t in inputs] == wanted
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"# {arm.label} for {study.task['name']}" in card and study.task["digest"][:16] in card
    adapter = tmp_path / "out" / "adapter" / "adapter_model.safetensors"
    assert adapter.exists() == (not merged and ready.cell.weights["name"] in ("lora", "prompt_tuning", "prefix_tuning"))
    if adapter.exists():
        kept = ready.bench.store.find("adaptation", ready.cell.adaptation).folder / "adapter_model.safetensors"
        assert load_file(adapter).keys() == load_file(kept).keys()
    with pytest.raises(LabError, match="is there already"):
        export(ready, study, arm, decide(study), tmp_path / "out")


def test_the_script_runs_by_itself(measured, tmp_path):
    ready, study, arm = taken(measured, "few_shot_rag")
    export(ready, study, arm, decide(study), tmp_path / "out")
    text = ready.bench.task.test[0].input
    done = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "answer.py")],
        input=f"{text}\n\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    (answer,) = ready.answers([("1", text)])
    assert [json.loads(x) for x in done.stdout.splitlines()] == [{"input": text, "answer": answer.text}]


def test_a_task_that_changed_is_refused(measured):
    bench, study = measured
    other = replace(bench.task, train=bench.task.train[1:])
    arm = arm_named(arms_at(study), "lora")
    with pytest.raises(LabError, match="no longer what it was trained with"):
        Ready(Bench(other, bench.model, bench.store, bench.tools), study, live_cell(arm), arm.label)
    with pytest.raises(LabError, match="--arm full: no arm of this study; one of .*lora r2"):
        arm_named(arms_at(study), "full")
