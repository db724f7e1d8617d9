"""A causal language model on this machine, in the ``transformers`` format.

``load_model("nano", machine("auto"))`` takes a bundled name, a local folder or a Hub id; the result renders
prompts, cuts them to its window and completes them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lab.models.device import Machine
from lab.models.generation import generate
from lab.models.likelihood import Encoded, nats_of
from lab.models.prompts import render
from lab.schema import Completion, Decoding, LabError, Prompt, Usage

BUNDLED = Path(__file__).parent / "bundled"
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as tokens, and what was cut from it."""

    tokens: list[int]
    prompt: Prompt
    cut_passages: int = 0
    cut_examples: int = 0
    error: str = ""


class LocalModel:
    """A network with its tokenizer, revision and machine."""

    def __init__(self, name: str, network, tokenizer, machine: Machine, revision: str, folder: Path | None = None) -> None:
        self.name, self.network, self.tokenizer, self.machine, self.revision, self.folder = name, network, tokenizer, machine, revision, folder
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @cached_property
    def window(self) -> int:
        """Tokens that prompt and completion may take together."""
        limits = [getattr(self.network.config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        return min(int(n) for n in limits if n and n < 10**9)

    def with_network(self, network) -> LocalModel:
        """The same model with other weights."""
        return LocalModel(self.name, network, self.tokenizer, self.machine, self.revision, self.folder)

    @cached_property
    def pretraining(self) -> dict[str, Any]:
        """The record of its pretraining, where it was made by ``lab pretrain``; empty for every other model."""
        path = self.folder / "pretraining.json" if self.folder else None
        return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}

    @property
    def pad(self) -> int:
        """Token id that fills rows up."""
        return self.tokenizer.pad_token_id or 0

    def copy_network(self):
        """A fresh copy of the base network; the base itself is never changed."""
        return copy.deepcopy(self.network)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text without begin and end tokens."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def render(self, prompt: Prompt) -> str:
        """The prompt as text, in the tokenizer's chat template where it has one."""
        text = render(prompt)
        if self.tokenizer.chat_template:
            return self.tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        return text

    def encode(self, prompt: Prompt, reserve: int) -> EncodedPrompt:
        """Tokens of a prompt cut so that ``reserve`` more fit the window: whole passages, then whole examples, last first."""
        passages, examples = len(prompt.passages), len(prompt.examples)
        while True:
            cut = Prompt(prompt.instruction, prompt.input, prompt.examples[:examples], prompt.passages[:passages], prompt.wording)
            tokens = self.tokenizer(self.render(cut), add_special_tokens=not self.tokenizer.chat_template)["input_ids"]
            if len(tokens) + reserve <= self.window:
                return EncodedPrompt(tokens, cut, len(prompt.passages) - passages, len(prompt.examples) - examples)
            if passages > (1 if examples else 0):
                passages -= 1
            elif examples:
                examples -= 1
            else:
                error = f"instruction and input take {len(tokens)} tokens, {reserve} are kept for the answer, the window of {self.name} is {self.window}"
                return EncodedPrompt([], cut, len(prompt.passages), len(prompt.examples), error)

    def encode_target(self, target: str) -> list[int]:
        """A completion as training sees it: a space, the target, the end token."""
        lead = "" if self.tokenizer.chat_template else " "
        return self.tokenizer(lead + target, add_special_tokens=False)["input_ids"] + [self.tokenizer.eos_token_id]

    def complete(self, items: Sequence[tuple[str, Prompt]], decoding: Decoding, progress: Callable[[int], None] = lambda done: None) -> list[Completion]:
        """One completion for each (sample id, prompt), in order; a prompt too long for the window ends as an error."""
        encoded = [self.encode(prompt, decoding.max_tokens) for _, prompt in items]
        fitting = [i for i, e in enumerate(encoded) if not e.error]
        generated = dict(zip(fitting, generate(self.network, self.tokenizer, [encoded[i].tokens for i in fitting], decoding, progress=progress)))
        completions = []
        for i, ((sample_id, _), e) in enumerate(zip(items, encoded)):
            if i not in generated:
                completions.append(Completion(sample_id, "", Usage(0, 0), error=e.error))
                continue
            g = generated[i]
            completions.append(Completion(
                sample_id, g.text, Usage(len(e.tokens), g.tokens, g.cached_tokens, g.seconds), g.finished,
                passages=tuple(p.id for p in e.prompt.passages), cut_passages=e.cut_passages, cut_examples=e.cut_examples))
        return completions

    def choose(self, items: Sequence[tuple[str, Prompt, Sequence[str]]], progress: Callable[[int], None] = lambda done: None) -> list[Completion]:
        """For each (sample id, prompt, candidates) the likeliest candidate, by log likelihood a character (lm-eval's acc_norm)."""
        completions = []
        for sample_id, prompt, candidates in items:
            targets = [self.encode_target(c) for c in candidates]
            prompt_tokens = self.encode(prompt, max(map(len, targets)))
            progress(1)
            if prompt_tokens.error:
                completions.append(Completion(sample_id, "", Usage(0, 0), error=prompt_tokens.error))
                continue
            started = time.perf_counter()
            nats = nats_of(self.network, [Encoded(prompt_tokens.tokens, t) for t in targets], self.pad, self.network.device)
            best = min(range(len(candidates)), key=lambda i: nats[i][0] / max(1, len(candidates[i])))
            usage = Usage(len(prompt_tokens.tokens), len(targets[best]), seconds=time.perf_counter() - started)
            completions.append(Completion(sample_id, candidates[best], usage))
        return completions

    def encode_text(self, text: str) -> Encoded:
        """A whole text, cut to the window, every token but the first to be predicted."""
        ids = self.tokenizer(text)["input_ids"][:self.window]
        return Encoded(ids[:1], ids[1:])

    def text_nll(self, texts: Sequence[str], base: LocalModel | None = None) -> list[tuple[float, int, float]]:
        """Of each text, cut to the window: (negative log likelihood in nats, predicted tokens, summed KL(base || this); 0 without ``base``)."""
        return nats_of(self.network, [self.encode_text(t) for t in texts], self.pad, self.network.device, base.network if base else None)


def bundled_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob("*/pretraining.json"))


def folder_of(name: str) -> Path:
    """The folder of a bundled model or embedder, else the name as a path of the user's."""
    return BUNDLED / name if (BUNDLED / name).is_dir() else Path(name)


def load_model(name: str, machine: Machine) -> LocalModel:
    """A bundled name, a local folder or a Hub id as a model in float32 (bf16 on CUDA).

    Raises LabError for a folder without config, tokenizer or safetensors weights, and for an unknown name.
    """
    folder = folder_of(name)
    if folder.is_dir():
        _require_loadable(folder)
        revision = folder_revision(folder)
        source = str(folder)
    elif name.count("/") == 1 and not name.startswith((".", "/")):
        folder = hub_folder(name, "--model")
        _require_loadable(folder)
        revision, source = folder_revision(folder), str(folder)
    else:
        raise LabError(f"--model {name}: no bundled model (there are {', '.join(bundled_models()) or 'none'}), no folder, and no Hub id (owner/name)")
    dtype = torch.bfloat16 if machine.device == "cuda" else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        network = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, trust_remote_code=False, use_safetensors=True)
    except Exception as error:
        raise LabError(f"--model {name}: can't be loaded: {str(error).splitlines()[0]}") from None
    if dtype != torch.float32:
        revision = f"{revision}:{str(dtype).removeprefix('torch.')}"
    network.generation_config.use_cache = True
    return LocalModel(Path(name).name if Path(name).is_dir() else name, network.to(machine.device).eval(), tokenizer, machine, revision, Path(source))


def hub_folder(name: str, option: str) -> Path:
    """The local snapshot of a Hub repository: safetensors, tokenizer and configuration only; raises LabError where it can't be had."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]))
    except Exception as error:
        raise LabError(f"{option} {name}: can't be had from the Hub: {str(error).splitlines()[0]}") from None


def _require_loadable(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise LabError(f"{folder}: no config.json; a model folder in the transformers format is needed")
    if not any((folder / f).exists() for f in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise LabError(f"{folder}: no tokenizer (tokenizer.json); save it there with tokenizer.save_pretrained('{folder}')")
    if not list(folder.glob("*.safetensors")):
        pickles = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        if pickles:
            raise LabError(f"{folder}: only pickle weights ({pickles[0]}), which can run code when loaded; convert them with save_pretrained(..., safe_serialization=True)")
        raise LabError(f"{folder}: no .safetensors weights in it")


def folder_revision(folder: Path) -> str:
    """SHA-256 over the weights, config and tokenizer of a model folder (what changes its output)."""
    sha = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"):
            sha.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        elif path.name in ("chat_template.jinja", "modules.json"):
            sha.update(path.name.encode() + path.read_bytes())
        elif path.name in ("config.json", "tokenizer_config.json", "generation_config.json"):
            config = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("transformers_version", "_name_or_path")}
            sha.update(path.name.encode() + json.dumps(config, sort_keys=True).encode())
    return sha.hexdigest()
