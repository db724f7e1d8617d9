"""Memory beyond the loaded base: LoRA training, a merged adapter at work, merged and beside one after the other.

    python reports/benchmarks/one_base.py --before ../base      # beside a checkout of another commit, in the same run

A random network of SmolLM2-135M's shape in float32 with nano's tokenizer. Peaks of the process (RSS without pages of
files) above what it holds with the base loaded, each piece of work in a process of its own. ``--before`` measures the
same work with the code of another checkout; commit 7aff178 is the last that copied the network for each of the three.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

HERE = Path(__file__).resolve()
WORK = {
    "train": "LoRA training, 2 steps of 16 items",
    "apply": "completing 8 prompts with the adapter merged",
    "side_by_side": "the same, then again with the adapter beside the weights",
}
SHAPE = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49_152,
    "tie_word_embeddings": True,
    "max_position_embeddings": 512,
}


def model():
    """The base, its weights on disk as any model's are."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    import lab.models
    from lab.models.device import machine

    folder = Path(tempfile.gettempdir()) / "decision-lab-135m"
    bundled = Path(lab.models.__file__).parent / "bundled" / "nano"
    if not (folder / "tokenizer.json").exists():
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig(**SHAPE)).save_pretrained(folder)
        AutoTokenizer.from_pretrained(bundled).save_pretrained(folder)
    try:
        from lab.models.loading import load_model
    except ImportError:
        from lab.models.local import load_model
    return load_model(str(folder), machine("cpu"))


class Peak:
    """Most that the process holds for itself beyond the beginning, sampled; the same for every checkout."""

    def __enter__(self) -> Peak:
        self.process, self.ended = psutil.Process(), threading.Event()
        self.before = self.most = self.held()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()
        self.bytes = self.most - self.before

    def held(self) -> int:
        """Resident bytes but for pages of files."""
        info = self.process.memory_info()
        return info.rss - info.shared

    def watch(self) -> None:
        """Sample until the end."""
        while not self.ended.wait(0.005):
            self.most = max(self.most, self.held())


def measure(work: str, adapter: Path) -> dict[str, float]:
    """Peak MB beyond the base of one piece of work."""
    from lab.schema import Decoding, Prompt
    from lab.weights.base import TrainingData
    from lab.weights.lora import Lora

    base, weights = model(), Lora(rank=16, epochs=1, minimum_steps=2)
    for parameter in base.network.parameters():
        # In memory, and no longer in the file that it was mapped from.
        parameter.data = parameter.data.clone()
    pairs = tuple(
        (Prompt("Answer.", f"What is number {i} of the long list of numbers?"), f"it is {i}") for i in range(32)
    )
    asked = [(str(n), prompt) for n, (prompt, _) in enumerate(pairs[:8])]
    held = sum(p.numel() * p.element_size() for p in base.network.parameters()) / 1e6
    with Peak() as memory:
        if work == "train":
            weights.adapt(base, TrainingData(pairs), adapter, 0, lambda done, total, words: None)
        else:
            merged = weights.apply(base, adapter)
            merged.complete(asked, Decoding(4, ""))
            if work == "side_by_side":
                beside = getattr(weights, "beside", None) or weights.alongside
                beside(base, adapter).complete(asked, Decoding(4, ""))
    return {"base": held, "peak": memory.bytes / 1e6}


def measured(checkout: Path) -> dict[str, dict[str, float]]:
    """All three with the code of a checkout, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for work in WORK:
            command = [sys.executable, str(HERE), "--child", work, "--adapter", folder]
            done = subprocess.run(
                command, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=True
            )
            found[work] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="a checkout of another commit")
    parser.add_argument("--child", choices=WORK)
    parser.add_argument("--adapter", type=Path)
    given = parser.parse_args()
    if given.child:
        sys.path.insert(0, os.environ["PYTHONPATH"])
        print(json.dumps(measure(given.child, given.adapter)))
        return
    now = measured(HERE.parents[2])
    before = measured(given.before.resolve()) if given.before else {}
    rows = [f"base {now['train']['base']:.0f} MB", "", "| work | before, MB | now, MB |", "|---|---|---|"]
    for work, says in WORK.items():
        earlier = f"{before[work]['peak']:.0f}" if before else ""
        rows.append(f"| {says} | {earlier} | {now[work]['peak']:.0f} |")
    print("\n".join(rows))
    if before:
        commit = subprocess.check_output(["git", "-C", str(given.before), "rev-parse", "--short", "HEAD"], text=True)
        told = f"""# One base in memory

Peaks beyond the loaded base, a random network of SmolLM2-135M's shape in float32, by
`python reports/benchmarks/one_base.py --before CHECKOUT`; before: commit {commit.strip()}, which copied the network for
training, for applying and for timing beside. The script's docstring says how it is measured.

"""
        HERE.with_suffix(".md").write_text(told + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
