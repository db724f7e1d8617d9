"""What the lab does on a GPU, in one script: its tests there, a decision in bf16, training and completing beside the
tools that people use, QLoRA, and memory forecasts beside what the allocator says.

    make gpu-check OUT=reports/gpu/h100
    python reports/gpu/check.py FOLDER [--only tests,training] [--tiny]

writes check.json and check.md into the folder, after every part what is known by then; about five minutes on an H100.
Needs the repository and the wheels of the lab, plus trl and bitsandbytes: a part without its package says so.
``--tiny`` goes through all of it on a CPU with shapes of no meaning (a test does).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from lab.measure.flops import Shape, training_flops
from lab.measure.memory import forecast_training
from lab.models.attention import attend_well
from lab.models.device import Machine, machine
from lab.models.folders import folder_of
from lab.models.generation import generate
from lab.models.likelihood import Encoded
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.schema import Decoding, LabError
from lab.weights.full import Full
from lab.weights.lora import Lora
from lab.weights.qlora import QLora
from lab.weights.trained import Trained
from lab.weights.training import Schedule, count_tokens, train
from lab.world.probes import probe

ROOT = Path(__file__).resolve().parents[2]
RATE, RANK, BATCH = 1e-4, 16, 8
NEW, ROUNDS = 24, 2
DATASHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16 FLOP/s of the makers' data sheets (SXM cards)."""


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    config: dict[str, int]
    items: int
    """Training items of one run."""
    lengths: tuple[int, int]
    """Shortest and longest of them, in tokens."""
    prompts: int
    shared: int
    """Tokens that all prompts of the shared case begin with."""
    own: int
    """Tokens of a prompt that shares nothing."""
    product: int
    """Rows of the square product whose rate is the card's peak."""
    decision: tuple[str, ...]


LARGE = Scale(
    {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
    | {"num_key_value_heads": 8, "vocab_size": 32_000, "max_position_embeddings": 4096},
    items=256,
    lengths=(256, 768),
    prompts=64,
    shared=512,
    own=320,
    product=8192,
    decision=("--sizes", "200", "--seeds", "3"),
)
TINY = Scale(
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    | {"num_key_value_heads": 2, "vocab_size": 5_000, "max_position_embeddings": 512},
    items=16,
    lengths=(16, 48),
    prompts=4,
    shared=32,
    own=16,
    product=128,
    decision=("--sizes", "20", "--items", "12", "--seeds", "1", "--no-forgetting"),
)


class Missing(Exception):
    """A part's package is not there."""


@dataclass(frozen=True)
class Check:
    """What every part is given."""

    here: Machine
    scale: Scale
    folder: Path

    def model(self) -> LocalModel:
        """A Llama of random weights in the machine's number format."""
        tokenizer = AutoTokenizer.from_pretrained(folder_of("nano"))
        tokenizer.model_max_length = self.scale.config["max_position_embeddings"]
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        config = LlamaConfig(**self.scale.config, **ends, tie_word_embeddings=True)
        torch.manual_seed(0)
        with torch.device(self.here.device):
            network = AutoModelForCausalLM.from_config(config, dtype=self.here.torch_dtype)
        attend_well(network)
        # A random network ends its texts by chance; its completions are to be of one length.
        network.generation_config.eos_token_id = None
        return LocalModel("random", network.eval(), tokenizer, self.here, "random")

    def items(self, count: int | None = None) -> list[Encoded]:
        """Random training items: a prompt, and a short target."""
        rng, (least, most) = random.Random(0), self.scale.lengths
        found = []
        for _ in range(count or self.scale.items):
            ids = [rng.randrange(3, 1000) for _ in range(rng.randint(least, most))]
            found.append(Encoded(ids[: -least // 8], ids[-least // 8 :]))
        return found

    def wait(self) -> None:
        """Until the card is done."""
        if self.here.device == "cuda":
            torch.cuda.synchronize()

    def timed(self, work: Callable[[], Any]) -> float:
        """Seconds."""
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def allocated(self) -> int:
        """Bytes that tensors hold on the card."""
        return torch.cuda.memory_allocated() if self.here.device == "cuda" else 0

    def free(self) -> None:
        """Give back what is not held any more."""
        import gc

        gc.collect()
        if self.here.device == "cuda":
            torch.cuda.empty_cache()


def tests(check: Check) -> dict[str, Any]:
    """``tests/gpu``, in four processes."""
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-p", "no:cacheprovider", "--tb=short"]
    log = check.folder / "tests.log"
    # As they go, so that a run that is cut says how far it came.
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [*command, "-n", "4", "-v", "--durations=12"], cwd=ROOT, stdout=out, stderr=out, timeout=240
        )
    said = log.read_text(encoding="utf-8").strip().splitlines()[-1].strip("= ")
    if done.returncode not in (0, 5):
        raise LabError(f"{said}: {log}")
    return {"said": said}


def decision(check: Check) -> dict[str, Any]:
    """A bundled task decided by the command that people use, in bf16."""
    command = [sys.executable, "-m", "lab", "decide", "datasets/handbook", "--methods", "zero_shot,few_shot,rag,lora"]
    command += [*check.scale.decision, "--precision", "bfloat16", "--fresh", "--device", check.here.device]
    with tempfile.TemporaryDirectory() as folder:
        out, started = Path(folder) / "report", time.perf_counter()
        done = subprocess.run(
            [*command, "--out", str(out)],
            cwd=ROOT,
            env=os.environ | {"LAB_HOME": folder},
            capture_output=True,
            text=True,
            timeout=240,
        )
        seconds = time.perf_counter() - started
        (check.folder / "decision.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            raise LabError(f"lab decide ended with {done.returncode}: {check.folder}/decision.log")
        said = json.loads((out / "decision.json").read_text(encoding="utf-8"))["sentence"]
        cells = len(json.loads((out / "study.json").read_text(encoding="utf-8"))["cells"])
    return {"verdict": said, "seconds": seconds, "cells": cells, "command": " ".join(["lab", *command[3:]])}


def product_rate(check: Check) -> float:
    """FLOP/s of a square product in the machine's number format."""
    n = check.scale.product
    a, b = (torch.randn(n, n, device=check.here.device).to(check.here.torch_dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    repeats = 10
    return repeats * 2 * n**3 / check.timed(lambda: [a @ b for _ in range(repeats)])


def _lab_training(check: Check, model: LocalModel, weights: Trained, items: list[Encoded]) -> dict[str, Any]:
    """One epoch in the lab's loop: seconds of the best round, tokens a second, the last loss and the peak of memory."""
    schedule, logs = Schedule(RATE, 1, 1, BATCH), []
    with weights.prepared(model, 0, None) as network:
        held = check.allocated()
        # The first few steps find their kernels.
        for some in (items[: 3 * BATCH], *[items] * ROUNDS):
            logs.append(train(model, network, some, [], schedule, 0, lambda done, total, words: None, "check"))
    best = min(logs[1:], key=lambda log: log.seconds)
    return {
        "seconds": [log.seconds for log in logs[1:]],
        "tokens_a_second": count_tokens(items) / best.seconds,
        "loss": best.curve[-1]["loss"],
        "held": held,
        "peak": max(log.peak_bytes for log in logs),
        "trained": best.trained_parameters,
    }


def _trl_training(check: Check, model: LocalModel, items: list[Encoded], bf16: bool) -> dict[str, Any]:
    """The same items, labels, rate and rank in TRL's SFTTrainer, its own batches."""
    try:
        from peft import get_peft_model
        from trl import SFTConfig, SFTTrainer

        from datasets import Dataset
    except ImportError as error:
        raise Missing(f"{error.name} is not installed: pip install trl") from None
    rows = [
        {"input_ids": [*e.context, *e.target], "completion_mask": [0] * len(e.context) + [1] * len(e.target)}
        for e in items
    ]
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"output_dir": folder, "per_device_train_batch_size": BATCH, "num_train_epochs": 1}
            settings |= {"learning_rate": RATE, "bf16": bf16, "use_cpu": check.here.device == "cpu", "report_to": []}
            settings |= {"gradient_checkpointing": False, "completion_only_loss": True, "save_strategy": "no"}
            settings |= {"logging_steps": 1, "disable_tqdm": True, "dataloader_pin_memory": False}
            trainer = SFTTrainer(
                model=get_peft_model(model.copy_network(), Lora(rank=RANK).config()),
                processing_class=model.tokenizer,
                train_dataset=Dataset.from_list(rows),
                args=SFTConfig(**settings),
            )
            seconds = check.timed(trainer.train)
            losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
            found.append((seconds, losses[-1]))
            del trainer
            check.free()
    seconds = [s for s, _ in found]
    return {"seconds": seconds, "tokens_a_second": count_tokens(items) / min(seconds), "loss": found[0][1]}


def _forecast(model: LocalModel, method: str, items: list[Encoded]) -> dict[str, float]:
    shape = Shape.of(model.config.to_dict())
    longest = max(len(e.context) + len(e.target) for e in items)
    target = max(len(e.target) for e in items)
    found = forecast_training(
        shape,
        method,
        batch=BATCH,
        sequence=longest,
        rank=RANK,
        bytes_each=model.bytes_each,
        logit_positions=target + 1,
    )
    return asdict(found) | {"total": found.total}


def training(check: Check) -> dict[str, Any]:
    """LoRA and full fine-tuning of the random model, LoRA beside TRL's trainer."""
    items, peak = check.items(), product_rate(check)
    before = check.allocated()
    model = check.model()
    shape, tokens = Shape.of(model.config.to_dict()), count_tokens(items)
    attended = statistics.fmean(len(e.context) + len(e.target) for e in items) / 2
    targets = sum(len(e.target) for e in items)
    found: dict[str, Any] = {"parameters": model.parameters, "items": len(items), "tokens": tokens, "product": peak}
    found["precision"] = model.precision
    for name, weights in {"lora": Lora(rank=RANK), "full": Full()}.items():
        row = _lab_training(check, model, weights, items)
        adapter = row["trained"] if name == "lora" else 0
        flops = training_flops(shape, tokens, attended, targets, adapter)
        row["flops_a_second"] = flops / min(row["seconds"])
        row["share_of_product"] = row["flops_a_second"] / peak
        # Beyond what was there before the model: full fine-tuning holds a copy, the base stays beside it.
        row["measured"] = row["held"] + row["peak"] - before
        row["forecast"] = _forecast(model, name, items)
        found[name] = row
        check.free()
    try:
        found["trl"] = _trl_training(check, model, items, model.precision == "bfloat16")
    except Missing as error:
        found["trl"] = {"missing": str(error)}
    return found


def qlora(check: Check) -> dict[str, Any]:
    """The lab's QLoRA: LoRA beside weights in four bits (bitsandbytes' NF4, double quantisation)."""
    try:
        import bitsandbytes
    except ImportError:
        raise Missing("bitsandbytes is not installed: pip install bitsandbytes") from None
    before = check.allocated()
    model, items = check.model(), check.items()
    row = _lab_training(check, model, QLora(rank=RANK), items)
    row |= {"version": bitsandbytes.__version__, "measured": row["held"] + row["peak"] - before}
    return row | {"forecast": _forecast(model, "qlora", items)}


def _with_generate(check: Check, model: LocalModel, prompts: list[list[int]], batch: int) -> list[list[int]]:
    """transformers' own way: batches in their order, filled up on the left."""
    found = []
    for start in range(0, len(prompts), batch):
        rows = prompts[start : start + batch]
        width = max(map(len, rows))
        written = model.network.generate(
            input_ids=torch.tensor([[model.pad] * (width - len(r)) + r for r in rows], device=check.here.device),
            attention_mask=torch.tensor(
                [[0] * (width - len(r)) + [1] * len(r) for r in rows], device=check.here.device
            ),
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=model.pad,
        )
        found += [row[width:].tolist() for row in written]
    return found


def evaluation(check: Check) -> dict[str, Any]:
    """Completing prompts beside ``generate``, and the bundled model's texts beside those of the processor."""
    rng, scale, model = random.Random(1), check.scale, check.model()
    block = [rng.randrange(3, 1000) for _ in range(scale.shared)]

    def ids(least: int, most: int) -> list[int]:
        return [rng.randrange(3, 1000) for _ in range(rng.randint(least, most))]

    cases = {
        f"{scale.shared} tokens shared by all": [block + ids(8, 40) for _ in range(scale.prompts)],
        "nothing shared": [ids(scale.own // 2, 3 * scale.own // 2) for _ in range(scale.prompts)],
    }
    found: dict[str, Any] = {"prompts": scale.prompts, "new": NEW, "cases": {}}
    for says, prompts in cases.items():
        seconds: dict[str, list[float]] = {}
        ways: dict[str, Callable[[], Any]] = {
            "lab": lambda p=prompts: generate(model.network, model.tokenizer, p, Decoding(NEW, "")),
            "generate_16": lambda p=prompts: _with_generate(check, model, p, 16),
            "generate_all": lambda p=prompts: _with_generate(check, model, p, len(p)),
        }
        for _ in range(ROUNDS + 1):
            for name, way in ways.items():
                seconds.setdefault(name, []).append(check.timed(way))
        found["cases"][says] = {name: s[1:] for name, s in seconds.items()}
    nano = load_model("nano", check.here)
    asked = [(s.id, p) for name in ("public_facts", "word_operations") for s, p in probe(name, 24).items]
    there = load_model("nano", machine("cpu")).complete(asked, Decoding(NEW))
    same = sum(a.text == b.text for a, b in zip(nano.complete(asked, Decoding(NEW)), there))
    return found | {"same_as_processor": same, "asked": len(asked)}


PARTS = {"tests": tests, "decision": decision, "training": training, "qlora": qlora, "evaluation": evaluation}


def about(here: Machine) -> dict[str, Any]:
    """The card, the date and the versions."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    names = ("torch", "transformers", "peft", "trl", "bitsandbytes", "faiss-cpu", "sentence-transformers")
    told = {"device": here.device, "name": here.name, "dtype": here.dtype, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    if here.device == "cuda":
        told |= {"cuda": torch.version.cuda, "memory": torch.cuda.get_device_properties(0).total_memory}
    return told | {"versions": {n: installed(n) for n in names}}


def page(found: dict[str, Any]) -> str:
    """Everything as Markdown."""
    here = found["about"]
    versions = ", ".join(f"{n} {v}" for n, v in here["versions"].items())
    lines = [
        f"# The lab on one {here['name']}",
        "",
        f"Made on {here['date']} by `make gpu-check` ({here['device']}, {here['dtype']}; {versions}).",
        "",
        "| part | seconds | |",
        "|---|---|---|",
    ]
    for name, part in found["parts"].items():
        ended = part.get("failed") or part.get("missing") or part.get("said") or part.get("verdict") or "done"
        lines.append(f"| {name} | {part['took']:.0f} | {ended} |")
    for name, write in {"decision": _decision, "training": _training, "evaluation": _evaluation}.items():
        part = found["parts"].get(name, {})
        if part and not {"failed", "missing"} & part.keys():
            lines += ["", *write(part, found)]
    return "\n".join([*lines, ""])


def _decision(part: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        "## A decision",
        "",
        f"`{part['command']}`: {part['cells']} cells in {part['seconds']:.0f} s. {part['verdict']}",
    ]


def _training(part: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [
        f"## Training a random Llama of {part['parameters'] / 1e9:.2f}B parameters ({part['precision']})",
        "",
        f"{part['items']} items of {part['tokens'] / part['items']:.0f} tokens on average, targets of an eighth of the "
        f"shortest, batches of {BATCH}, LoRA of rank {RANK} on all linear layers; best of {ROUNDS} rounds. FLOPs by "
        f"`lab/measure/flops.py`; a square product in this number format runs at {part['product'] / 1e12:.0f} TFLOP/s "
        "here.",
        "",
        "| | seconds | tokens a second | TFLOP/s | of the product's | last loss |",
        "|---|---|---|---|---|---|",
    ]
    rows = {"the lab, LoRA": part["lora"], "TRL's SFTTrainer, LoRA": part["trl"], "the lab, full": part["full"]}
    if "tokens_a_second" in (four := found["parts"].get("qlora", {})):
        rows["the lab, QLoRA (NF4)"] = four
    for says, row in rows.items():
        if "missing" in row:
            lines.append(f"| {says} | {row['missing']} | | | | |")
            continue
        rate = f"{row['flops_a_second'] / 1e12:.1f}" if "flops_a_second" in row else ""
        share = f"{row['share_of_product']:.0%}" if "share_of_product" in row else ""
        seconds = ", ".join(f"{s:.2f}" for s in row["seconds"])
        lines.append(f"| {says} | {seconds} | {row['tokens_a_second']:.0f} | {rate} | {share} | {row['loss']:.2f} |")
    lines += ["", "| peak of memory, GB | forecast | measured | forecast is |", "|---|---|---|---|"]
    for says, row in rows.items():
        if row.get("measured"):
            wanted = row["forecast"]["total"] + (row["held"] if says.endswith("full") else 0)
            lines.append(
                f"| {says} | {wanted / 1e9:.2f} | {row['measured'] / 1e9:.2f} | {wanted / row['measured'] - 1:+.0%} |"
            )
    return lines


def _evaluation(part: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [
        f"## Completing {part['prompts']} prompts, {part['new']} new tokens each, the same random model",
        "",
        "| prompts | the lab, s | `generate`, batches of 16, s | `generate`, one batch, s | times the better's pace |",
        "|---|---|---|---|---|",
    ]
    for says, ways in part["cases"].items():
        best = {name: min(seconds) for name, seconds in ways.items()}
        better = min(best["generate_16"], best["generate_all"]) / best["lab"]
        shown = " | ".join(", ".join(f"{s:.2f}" for s in seconds) for seconds in ways.values())
        lines.append(f"| {says} | {shown} | {better:.1f} |")
    same = f"{part['same_as_processor']} of {part['asked']}"
    return [*lines, "", f"Texts of the bundled model in float32 that are those of the processor: {same}."]


def _earlier(folder: Path, here: dict[str, Any]) -> dict[str, Any]:
    """Parts that the folder holds of this day, card and these versions; they stay where others are asked for."""
    path = folder / "check.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return before["parts"] if before.get("about") == here else {}


def main() -> None:
    """Every part; the folder holds what is known after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--tiny", action="store_true", help="shapes of no meaning, on the CPU")
    asked = parser.parse_args()
    wanted = [p for p in asked.only.split(",") if p] or list(PARTS)
    if unknown := [p for p in wanted if p not in PARTS]:
        sys.exit(f"--only {unknown[0]}: one of {', '.join(PARTS)}")
    if not asked.tiny and not torch.cuda.is_available():
        sys.exit("make gpu-check: no CUDA device on this machine; --tiny goes through it on the CPU")
    here = machine("cpu" if asked.tiny else "cuda")
    asked.folder.mkdir(parents=True, exist_ok=True)
    check = Check(here, TINY if asked.tiny else LARGE, asked.folder)
    found = {"about": about(here), "parts": _earlier(asked.folder, about(here)) if asked.only else {}}
    for name in wanted:
        started = time.perf_counter()
        try:
            part = PARTS[name](check)
        except Missing as error:
            part = {"missing": str(error)}
        except Exception as error:
            traceback.print_exc()
            part = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"}
        check.free()
        found["parts"][name] = part | {"took": time.perf_counter() - started}
        print(name, json.dumps(found["parts"][name])[:1500], flush=True)
        (asked.folder / "check.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (asked.folder / "check.md").write_text(page(found), encoding="utf-8")
    sys.exit(any("failed" in part for part in found["parts"].values()))


if __name__ == "__main__":
    main()
