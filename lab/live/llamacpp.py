"""A model folder as one GGUF file, by llama.cpp's own converter: the one that its authors keep for every architecture.

``write_gguf(folder, Path("model.gguf"), "f16")`` runs ``convert_hf_to_gguf.py`` of the llama.cpp that is found: the
checkout that LLAMA_CPP names, else the script on PATH (Homebrew and conda put it there).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.schema import LabError, extra

SCRIPT = "convert_hf_to_gguf.py"
KINDS = ("f16", "bf16", "f32", "q8_0")
"""Number formats that it writes; smaller ones are made from these by llama-quantize."""
GET_IT = "git clone --depth 1 https://github.com/ggml-org/llama.cpp, then LLAMA_CPP=llama.cpp before the command"
SECONDS = 3600


def require_converter(kind: str) -> Path:
    """Where the converter lies; raises LabError for an unknown number format, and where it or its packages are not."""
    if kind not in KINDS:
        raise LabError(f"--gguf {kind}: one of {', '.join(KINDS)}")
    with extra("gguf", "--gguf"):
        import gguf  # noqa: F401
        import sentencepiece  # noqa: F401
    named = os.environ.get("LLAMA_CPP", "")
    if named:
        script = Path(named).expanduser() / SCRIPT
        if not script.is_file():
            raise LabError(f"LLAMA_CPP={named}: no {SCRIPT} in it; name a checkout of llama.cpp")
        return script
    on_path = shutil.which(SCRIPT)
    if on_path is None:
        raise LabError(f"--gguf takes llama.cpp's own converter ({SCRIPT}), which is not here: {GET_IT}")
    return Path(on_path)


def write_gguf(model: Path, out: Path, kind: str) -> None:
    """Write a folder in transformers' layout as the file ``out``.

    Raises LabError with the converter's own last line where it can't: an architecture or a tokenizer that llama.cpp
    does not know.
    """
    script = require_converter(kind)
    command = [sys.executable, str(script), str(model), "--outfile", str(out), "--outtype", kind]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"--gguf: {script} did not end ({error})") from None
    if done.returncode or not out.is_file():
        raise LabError(f"--gguf: llama.cpp's converter refuses this model: {_last_line(done.stderr)}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
