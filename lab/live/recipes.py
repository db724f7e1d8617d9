"""A trained arm's recipe for other trainers: its pairs as files, and a script or configuration that trains alike.

``recipe(ready, "trl", Path("out"))`` writes ``train.jsonl``, ``validation.jsonl`` and ``train.py``. Prompts stand in
the files as the lab rendered them, so that no template is applied twice; learning rate, steps, batches and adapter are
the arm's own. Only TRL's is run by the lab's tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files import whole_folder, write_json, write_jsonl
from lab.flow.arm import Ready
from lab.live.export import base_of
from lab.models.likelihood import Encoded
from lab.report.rendering import template
from lab.schema import LabError
from lab.weights.training import DECAYS, VALIDATION_LOOKS, encode_pairs

Splits = dict[str, list[Encoded]]
WITH_LORA = {"lora": {}, "rslora": {"use_rslora": True}, "dora": {"use_dora": True}, "qlora": {}}
"""Weight methods that every trainer knows, and what they are called in peft's configuration."""


@dataclass(frozen=True)
class Recipe:
    """What a trainer is told, in no trainer's own words."""

    base: str
    dtype: str
    weights: str
    rank: int
    alpha: int
    learning_rate: float
    steps: int
    look_every: int
    batch_size: int
    warmup_steps: int
    decay: str
    """By transformers' name."""
    weight_decay: float
    length: int
    """Tokens of the longest pair."""
    seed: int


def recipe(ready: Ready, trainer: str, out: Path) -> list[str]:
    """Write the files of one trainer into the folder ``out``, which must not be there; their names.

    Raises LabError for an arm that a trainer can't make, and for an unknown trainer.
    """
    if trainer not in TRAINERS:
        raise LabError(f"--recipe {trainer}: one of {', '.join(TRAINERS)}")
    weights = None if ready.is_baseline else ready.spec.candidate.weights
    if weights is None or not weights.trains:
        raise LabError(f"{ready.name}: trains no language model, so there is no recipe for it")
    same = trainer == "trl" and weights.adapter and weights.merges and weights.learns == "pairs"
    if weights.name not in (*WITH_LORA, "full") and not same:
        raise LabError(f"--recipe {trainer}: can't train {weights.name} as the lab does; lab export takes the result")
    if weights.needs_general or weights.study:
        raise LabError(f"--recipe {trainer}: knows no reading of documents, no replay and no KL penalty")
    if out.exists():
        raise LabError(f"--out {out}: is there already; name a new folder")
    with whole_folder(out) as folder:
        data, model = ready.bench.training_data(ready.spec), ready.bench.model
        splits = {"train": encode_pairs(model, data.pairs), "validation": encode_pairs(model, data.validation)}
        TRAINERS[trainer](ready, _recipe_of(ready, splits["train"]), splits, folder)
        return sorted(p.name for p in folder.iterdir())


def _recipe_of(ready: Ready, train: list[Encoded]) -> Recipe:
    weights, bench = ready.spec.candidate.weights, ready.bench
    task, schedule = bench.scoped(ready.spec), weights.schedule
    steps = schedule.steps(len(task.train))
    config = weights.config() if weights.adapter else None
    return Recipe(
        base_of(ready),
        bench.model.precision,
        weights.name,
        getattr(config, "r", 0) or 0,
        getattr(config, "lora_alpha", 0) or 0,
        schedule.learning_rate,
        steps,
        max(1, steps // VALIDATION_LOOKS),
        schedule.batch_size,
        max(1, int(steps * schedule.warmup_share)),
        DECAYS[schedule.decay],
        schedule.weight_decay,
        max(e.size for e in train),
        ready.spec.seed,
    )


def _texts(ready: Ready, rows: list[Encoded]) -> Iterator[tuple[str, str]]:
    """(prompt, answer with what ends it) of each row."""
    text_of = ready.bench.model.text_of
    return ((text_of(e.context), text_of(e.target)) for e in rows)


# Trainers


def _trl(ready: Ready, told: Recipe, splits: Splits, folder: Path) -> None:
    for split, encoded in splits.items():
        masks = ([0] * len(e.context) + [1] * len(e.target) for e in encoded)
        rows = ({"input_ids": [*e.context, *e.target], "completion_mask": m} for e, m in zip(encoded, masks))
        write_jsonl(folder / f"{split}.jsonl", rows)
    weights = ready.spec.candidate.weights
    adapter = _plain(weights.config().to_dict()) if weights.adapter else None
    write_json(folder / "recipe.json", told.__dict__ | {"adapter": adapter}, indent=2)
    script = template("lab.live", "trl.py.txt").render(four_bits=told.weights == "qlora")
    (folder / "train.py").write_text(script, encoding="utf-8")


def _alike(told: Recipe) -> dict[str, Any]:
    """What transformers' trainer is told, by its own names, whatever stands around it."""
    return {
        "gradient_accumulation_steps": 1,
        "max_steps": told.steps,
        "eval_steps": told.look_every,
        "save_steps": told.look_every,
        "load_best_model_at_end": True,
        "learning_rate": told.learning_rate,
        "warmup_steps": told.warmup_steps,
        "weight_decay": told.weight_decay,
        "max_grad_norm": 1.0,
        "bf16": told.dtype == "bfloat16",
        "seed": told.seed,
        "output_dir": "out",
    }


def _axolotl(ready: Ready, told: Recipe, splits: Splits, folder: Path) -> None:
    for split, encoded in splits.items():
        texts = _texts(ready, encoded)
        rows = ({"segments": [{"label": False, "text": p}, {"label": True, "text": t}]} for p, t in texts)
        write_jsonl(folder / f"{split}.jsonl", rows)
    data = {"type": "input_output"}
    config = _alike(told) | {
        "base_model": told.base,
        "adapter": {"full": None, "qlora": "qlora"}.get(told.weights, "lora"),
        "load_in_4bit": told.weights == "qlora",
        "datasets": [{"path": "train.jsonl", "ds_type": "json"} | data],
        "test_datasets": [{"path": "validation.jsonl", "ds_type": "json", "split": "train"} | data],
        "sequence_len": told.length,
        "micro_batch_size": told.batch_size,
        "optimizer": "adamw_torch",
        "lr_scheduler": told.decay,
        "train_on_inputs": False,
        "sample_packing": False,
    }
    if told.rank:
        config |= {"lora_r": told.rank, "lora_alpha": told.alpha, "lora_dropout": 0.0, "lora_target_linear": True}
        config |= {f"peft_{k}": v for k, v in WITH_LORA.get(told.weights, {}).items()}
    _yaml(folder / "axolotl.yaml", config, "axolotl train axolotl.yaml")


def _llama_factory(ready: Ready, told: Recipe, splits: Splits, folder: Path) -> None:
    end = ready.bench.model.end_text
    for split, encoded in splits.items():
        texts = _texts(ready, encoded)
        rows = ({"instruction": p, "input": "", "output": t.removesuffix(end)} for p, t in texts)
        write_jsonl(folder / f"{split}.jsonl", rows)
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    info = {split: {"file_name": f"{split}.jsonl", "columns": columns} for split in splits}
    write_json(folder / "dataset_info.json", info, indent=2)
    config = _alike(told) | {
        "model_name_or_path": told.base,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full" if told.weights == "full" else "lora",
        "dataset_dir": ".",
        "dataset": "train",
        "eval_dataset": "validation",
        # The prompts are rendered already.
        "template": "empty",
        "cutoff_len": told.length,
        "per_device_train_batch_size": told.batch_size,
        "eval_strategy": "steps",
        "lr_scheduler_type": told.decay,
    }
    if told.rank:
        config |= {"lora_rank": told.rank, "lora_alpha": told.alpha, "lora_dropout": 0.0, "lora_target": "all"}
        config |= WITH_LORA.get(told.weights, {})
    if told.weights == "qlora":
        config |= {"quantization_bit": 4, "quantization_method": "bnb"}
    _yaml(folder / "llama_factory.yaml", config, "llamafactory-cli train llama_factory.yaml")


def _unsloth(ready: Ready, told: Recipe, splits: Splits, folder: Path) -> None:
    _trl(ready, told, splits, folder)
    script = template("lab.live", "unsloth.py.txt").render(four_bits=told.weights == "qlora")
    (folder / "train.py").write_text(script, encoding="utf-8")


TRAINERS: dict[str, Callable[[Ready, Recipe, Splits, Path], None]] = {
    "trl": _trl,
    "axolotl": _axolotl,
    "unsloth": _unsloth,
    "llama-factory": _llama_factory,
}


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """peft's configuration as JSON: sets as lists, enumerations as their values."""
    return {k: sorted(v) if isinstance(v, set) else getattr(v, "value", v) for k, v in config.items()}


def _yaml(path: Path, config: dict[str, Any], command: str) -> None:
    """JSON values are YAML values."""
    lines = [f"# {command}", *(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in config.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
