"""From a name to a model: ``load_model("nano", machine("auto"))``; ``token_counter("nano")`` needs no weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from lab.files import folder_revision, read_object
from lab.models.attention import attend_well
from lab.models.device import Machine
from lab.models.folders import BUNDLED, bundled_models, find_folder, folder_of, require_loadable
from lab.models.getting import catalogue
from lab.models.gguf import converted
from lab.models.local import LocalModel
from lab.models.placing import placement, put
from lab.schema import LabError, first_line

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


PRECISIONS = ("auto", "float32", "bfloat16")
CONVERSATIONS = "turns2"
"""Part of a chat model's revision; raised when prompts become conversations in another way."""


def load_model(name: str, machine: Machine, precision: str = "auto") -> LocalModel:
    """A bundled name, a local folder or a Hub id as a model in one number format, its ``precision``.

    ``auto`` takes what the machine's probe found fastest; the bundled model, by which the lab is calibrated, is float32
    everywhere. Raises LabError for a folder without config, tokenizer or safetensors weights, and for an unknown name.
    """
    folder = _folder(name)
    require_loadable(folder)
    dtype = _number_format(folder, machine, precision)
    with _told(name):
        config = _require_layers(folder)
        revision = folder_revision(folder)
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        network, told = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            device_map=placement(config, dtype, machine),
        )
        _require_whole(folder, network, told)
    # Greedy texts differ between formats as between models: the format is part of what a model is.
    if dtype != torch.float32:
        revision = f"{revision}:{str(dtype).removeprefix('torch.')}"
    if tokenizer.eos_token_id is None:
        raise LabError(
            f"--model {name}: its tokenizer has no end token, so no answer could end; set eos_token in {folder}"
            "/tokenizer_config.json"
        )
    if not isinstance(tokenizer.model_max_length, int | float):
        raise LabError(f"{folder}/tokenizer_config.json: model_max_length is no number")
    if tokenizer.chat_template:
        revision = f"{revision}:{CONVERSATIONS}"
    network.generation_config.use_cache = True
    shown = Path(name).name if Path(name).is_dir() else name
    network, machine = put(network.eval(), machine)
    attend_well(network)
    with _told(name):
        return LocalModel(shown, network, tokenizer, machine, revision, folder)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever transformers makes of a model folder that isn't right is one line that names the model."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"--model {name}: can't be loaded: {first_line(error)}") from None


def _require_whole(folder: Path, network: PreTrainedModel, told: dict[str, Any]) -> None:
    """Raise LabError where the configuration and the weights are of two networks: what has no weights in the files
    would stand at random, and what the configuration has no place for would be left out."""
    if network.config.num_hidden_layers < 1:
        raise LabError(f"{folder}/config.json: {network.config.num_hidden_layers} layers; at least 1 is needed")
    for said, keys in (("no weights for", told["missing_keys"]), ("more weights than its config:", _layers(told))):
        if keys:
            raise LabError(
                f"{folder}: {said} {sorted(keys)[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
            )


def _require_layers(folder: Path) -> PretrainedConfig:
    """Its configuration; raises LabError for more layers than there are weights: building them would never end."""
    read_object(folder / "config.json")
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    layers = config.num_hidden_layers
    held = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            held += len(file.keys())
    if isinstance(layers, int) and layers > held:
        raise LabError(f"{folder}/config.json: more layers than its weights have tensors ({held})")
    return config


def _layers(told: dict[str, Any]) -> list[str]:
    """Weights of blocks that the configuration doesn't have; other extras (a vision tower) are no part of the texts."""
    return [key for key in told["unexpected_keys"] if re.search(r"\b(layers|h|blocks)\.\d+\.", key)]


def _number_format(folder: Path, machine: Machine, precision: str) -> torch.dtype:
    if precision not in PRECISIONS:
        raise LabError(f"--precision {precision}: one of {', '.join(PRECISIONS)}")
    if precision != "auto":
        return getattr(torch, precision)
    return torch.float32 if folder.parent == BUNDLED else machine.torch_dtype


def _folder(name: str) -> Path:
    """Where a model lies: a GGUF file is converted once, a known one that is not here names the command."""
    if name.lower().endswith(".gguf"):
        return converted(Path(name))
    if name in catalogue() and not folder_of(name).is_dir():
        raise LabError(f"--model {name}: not here yet; bring it with: lab get {name}")
    return find_folder(name, "--model", " or ".join(bundled_models()))


def token_counter(name: str) -> tuple[Callable[[str], int] | None, int | None]:
    """A model's token counter and window from its tokenizer alone; (None, None) where it has none at hand."""
    folder = folder_of(name)
    if not (folder / "tokenizer.json").exists():
        return None, None
    with _told(name):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        window = int(tokenizer.model_max_length)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), window
