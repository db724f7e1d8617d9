"""From a name to a model: ``load_model("nano", machine("auto"))``; ``token_counter("nano")`` needs no weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lab.files import folder_revision
from lab.models.attention import attend_well
from lab.models.device import Machine
from lab.models.folders import BUNDLED, bundled_models, find_folder, folder_of, require_loadable
from lab.models.getting import catalogue
from lab.models.gguf import converted
from lab.models.local import LocalModel
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
    revision, dtype = folder_revision(folder), _number_format(folder, machine, precision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        network = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, trust_remote_code=False, use_safetensors=True
        )
    except Exception as error:
        raise LabError(f"--model {name}: can't be loaded: {first_line(error)}") from None
    # Greedy texts differ between formats as between models: the format is part of what a model is.
    if dtype != torch.float32:
        revision = f"{revision}:{str(dtype).removeprefix('torch.')}"
    if tokenizer.eos_token_id is None:
        raise LabError(
            f"--model {name}: its tokenizer has no end token, so no answer could end; set eos_token in {folder}"
            "/tokenizer_config.json"
        )
    if tokenizer.chat_template:
        revision = f"{revision}:{CONVERSATIONS}"
    network.generation_config.use_cache = True
    shown = Path(name).name if Path(name).is_dir() else name
    network = network.to(machine.device).eval()
    attend_well(network)
    return LocalModel(shown, network, tokenizer, machine, revision, folder)


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
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), int(tokenizer.model_max_length)
