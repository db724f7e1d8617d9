"""GGUF files as models: their weights dequantised once into a folder in the ``transformers`` format.

``converted(Path("model.gguf"))`` is that folder, under ``LAB_HOME/models/gguf`` by the file's checksum.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.files import lab_home, whole_folder
from lab.schema import LabError, extra, first_line


def converted(file: Path) -> Path:
    """The folder of a GGUF file, made where it was not yet; raises LabError for a file that can't be read."""
    if not file.is_file():
        raise LabError(f"--model {file}: no such file")
    with open(file, "rb") as opened:
        if opened.read(4) != b"GGUF":
            raise LabError(f"--model {file}: no GGUF file (it does not begin with GGUF)")
        opened.seek(0)
        checksum = hashlib.file_digest(opened, "sha256").hexdigest()
    folder = lab_home() / "models" / "gguf" / checksum[:32]
    if not folder.is_dir():
        with whole_folder(folder) as making:
            convert(file, making)
    return folder


def convert(file: Path, out: Path) -> None:
    """Write a GGUF file's network (float32), tokenizer and chat template into a folder that is there.

    Raises LabError where it can't be read.
    """
    with extra("gguf", f"{file.name}: reading GGUF"):
        import gguf  # noqa: F401
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    except Exception as error:
        raise LabError(f"{file}: can't be read as GGUF: {first_line(error)}") from None
    config = loaded.config
    # What was dequantised counts as quantised and refuses to be saved: its values go into a plain network.
    for mark in ("quantization_config", "_pre_quantization_dtype"):
        vars(config).pop(mark, None)
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)
