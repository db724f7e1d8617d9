"""A causal language model on this machine: a ``transformers`` network with its tokenizer.

One base is held in memory. What a method attaches to it (an adapter, merged or beside) is lent out as a model of its
own and taken off again before the base is used, by whoever asks for it::

    tuned = weights.apply(model, folder)     # the base's network, the adapter merged into it
    tuned.complete(...)
    model.complete(...)                      # the base again, bit for bit; ``tuned`` is gone
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lab.files import read_object
from lab.models.base import ABILITIES, Size
from lab.models.chat import Chat, holds_special, plain_ids
from lab.models.choosing import likelihoods
from lab.models.constraint import Constraint
from lab.models.device import Machine
from lab.models.generation import Generated, end_tokens, generate
from lab.models.likelihood import Encoded, Logits, completion_logits, nats_of
from lab.models.pristine import Pristine
from lab.models.prompts import render
from lab.models.virtual import lead_of
from lab.schema import Completion, Decoding, Prompt, Usage


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as tokens, and what was cut from it."""

    tokens: list[int]
    prompt: Prompt
    cut_passages: int = 0
    cut_examples: int = 0
    error: str = ""


class LocalModel:
    """A network with its tokenizer, revision and machine; can do everything that a model can."""

    can = frozenset(ABILITIES)

    def __init__(
        self,
        name: str,
        network: torch.nn.Module,
        tokenizer: Any,
        machine: Machine,
        revision: str,
        folder: Path | None = None,
        base_logits: Logits | None = None,
    ) -> None:
        self.name, self.tokenizer, self.machine, self.revision, self.folder = name, tokenizer, machine, revision, folder
        self.base_logits = base_logits
        """Of a model that was made from a base: what the base says of a batch."""
        self._network: torch.nn.Module | None = network
        self._constraints: dict[str, Constraint] = {}
        self._lent: tuple[LocalModel, Callable[[], None]] | None = None
        self.config, self.dtype, self.bytes_each = network.config, network.dtype, network.dtype.itemsize
        self.parameters = sum(p.numel() for p in network.parameters())
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.chat = Chat(name, tokenizer) if tokenizer.chat_template else None
        """How it is asked, where it has a chat template; None for a base model."""

    # The one network

    @property
    def network(self) -> torch.nn.Module:
        """The model's own network; what was lent out is taken off first. Raises RuntimeError where it was taken off."""
        self.take_back()
        if self._network is None:
            raise RuntimeError(f"{self.name}: what was attached to the base has been taken off again")
        return self._network

    def lend(self, network: torch.nn.Module, undo: Callable[[], None], base_logits: Logits | None = None) -> LocalModel:
        """The base's network with something attached, until the base is wanted again; ``undo`` takes it off."""
        lent = self._with(network, base_logits)
        self._lent = (lent, undo)
        return lent

    def take_back(self) -> None:
        """Take off what is attached; the model that was lent can't be used any more."""
        if self._lent:
            (lent, undo), self._lent = self._lent, None
            lent.take_back()
            lent._network = None
            undo()

    def beside(self, network: torch.nn.Module) -> LocalModel:
        """A model with a network of its own (full fine-tuning); the base stays beside it."""
        return self._with(network, self.logits)

    def _with(self, network: torch.nn.Module, base_logits: Logits | None) -> LocalModel:
        return LocalModel(self.name, network, self.tokenizer, self.machine, self.revision, self.folder, base_logits)

    @property
    def gone(self) -> bool:
        """Whether what this model lent has been taken off again."""
        return self._network is None

    @cached_property
    def pristine(self) -> Pristine:
        """The base's own values, for putting them back after a merge."""
        return Pristine(self.network, self.folder)

    def save(self, folder: Path) -> None:
        """Write network and tokenizer in the transformers layout; what is merged is within the weights."""
        self.network.save_pretrained(str(folder), safe_serialization=True)
        self.tokenizer.save_pretrained(str(folder))

    def copy_network(self) -> torch.nn.Module:
        """A second set of weights, for what changes all of them."""
        return copy.deepcopy(self.network)

    # What it is

    @cached_property
    def window(self) -> int:
        """Tokens that prompt and completion may take together."""
        limits = [getattr(self.config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        return min(int(n) for n in limits if n and n < 10**9) - (len(lead_of(self._network)) if self._network else 0)

    @property
    def precision(self) -> str:
        """The number format of its weights, in which it trains, is validated and answers."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def facts(self) -> dict[str, Any]:
        """What a study says of it."""
        told = {"name": self.name, "revision": self.revision, "parameters": self.parameters, "window": self.window}
        return told | {"precision": self.precision}

    @property
    def size(self) -> Size | None:
        """What its recipes are made for; None for the lab's own models, whose recipes are fixed: they are its
        calibration weight."""
        return None if self.pretraining else Size(self.config.hidden_size, self.parameters)

    @property
    def layers(self) -> int:
        """Blocks of the network."""
        return self.config.num_hidden_layers

    @cached_property
    def pretraining(self) -> dict[str, Any]:
        """The record of its pretraining, where it was made by ``lab pretrain``; empty for every other model."""
        path = self.folder / "pretraining.json" if self.folder else None
        return read_object(path) if path and path.exists() else {}

    # Texts and tokens

    @property
    def pad(self) -> int:
        """Token id that fills rows up."""
        return self.tokenizer.pad_token_id or 0

    def count_tokens(self, text: str) -> int:
        """Tokens of a text without begin and end tokens."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def is_chat(self) -> bool:
        """Whether it has a chat template."""
        return self.chat is not None

    def render(self, prompt: Prompt) -> str:
        """The prompt as text, in the tokenizer's chat template where it has one."""
        return self.chat.text(prompt) if self.chat else render(prompt)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Tokens of a prompt, up to where its answer begins."""
        if self.chat:
            return self.chat.encode(self.chat.messages(prompt))
        text = render(prompt)
        ids = self.tokenizer(text, split_special_tokens=holds_special(self.tokenizer, text))["input_ids"]
        # A tokenizer that closes every text with its end token would have the model go on behind an end.
        return ids[:-1] if len(ids) > 1 and ids[-1] == self.tokenizer.eos_token_id else ids

    def encode(self, prompt: Prompt, reserve: int) -> EncodedPrompt:
        """Tokens of a prompt cut so that ``reserve`` more fit the window:
        whole passages, then whole examples, last first."""
        passages, examples = len(prompt.passages), len(prompt.examples)
        while True:
            cut = replace(prompt, examples=prompt.examples[:examples], passages=prompt.passages[:passages])
            tokens = self.prompt_ids(cut)
            if len(tokens) + reserve <= self.window:
                return EncodedPrompt(tokens, cut, len(prompt.passages) - passages, len(prompt.examples) - examples)
            if passages > (1 if examples else 0):
                passages -= 1
            elif examples:
                examples -= 1
            else:
                error = (
                    f"instruction and input take {len(tokens)} tokens, {reserve} are kept for the answer, the "
                    f"window of {self.name} is {self.window}"
                )
                return EncodedPrompt([], cut, len(prompt.passages), len(prompt.examples), error)

    def misfit(self, prompt: Prompt, reserve: int) -> str:
        """Why a prompt can't be asked with ``reserve`` tokens kept for the answer; empty where it can."""
        return self.encode(prompt, reserve).error

    def encode_target(self, target: str) -> list[int]:
        """A completion as training sees it: the answer behind its prompt, and what ends it."""
        if self.chat:
            return self.chat.answer_ids(target)
        return [*plain_ids(self.tokenizer, f" {target}"), self.tokenizer.eos_token_id]

    def target_tokens(self, target: str) -> int:
        """Tokens of a completion as training sees it."""
        return len(self.encode_target(target))

    @cached_property
    def turn_ends(self) -> frozenset[int]:
        """Tokens that end an answer beside the tokenizer's and the network's own."""
        return frozenset(self.chat.turn_end[-1:]) if self.chat else frozenset()

    def text_of(self, ids: Sequence[int]) -> str:
        """Tokens as text, special ones written out."""
        return self.tokenizer.decode(list(ids))

    @property
    def end_text(self) -> str:
        """The tokenizer's end token as it is written."""
        return self.tokenizer.eos_token

    @property
    def ends(self) -> set[int]:
        """All tokens that end an answer."""
        return end_tokens(self.network, self.tokenizer) | self.turn_ends

    def encode_text(self, text: str) -> Encoded:
        """A whole text, cut to the window, every token but the first to be predicted."""
        ids = self.tokenizer(text)["input_ids"][: self.window]
        return Encoded(ids[:1], ids[1:])

    def within_window(self, text: str) -> str:
        """The part of a text that the window holds."""
        return self.tokenizer.decode(self.tokenizer(text)["input_ids"][: self.window], skip_special_tokens=True)

    # What it does

    def complete(
        self,
        items: Sequence[tuple[str, Prompt]],
        decoding: Decoding,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Completion]:
        """One completion for each (sample id, prompt), in order; a prompt too long for the window ends as an error."""
        if decoding.choose:
            labels = json.loads(decoding.allowed)["labels"]
            return self.choose([(i, p, labels) for i, p in items], progress, decoding.choose)
        encoded = [self.encode(prompt, decoding.max_tokens) for _, prompt in items]
        fitting = [i for i, e in enumerate(encoded) if not e.error]
        tokens = [encoded[i].tokens for i in fitting]
        found = generate(
            self.network,
            self.tokenizer,
            tokens,
            decoding,
            progress=progress,
            more_ends=self.turn_ends,
            constraint=self._constraint(decoding.allowed) if decoding.allowed else None,
        )
        generated = dict(zip(fitting, found))
        return [_completion(sample_id, encoded[i], generated.get(i)) for i, (sample_id, _) in enumerate(items)]

    def _constraint(self, allowed: str) -> Constraint:
        if allowed not in self._constraints:
            ends = self.ends
            vocabulary = self.network.get_output_embeddings().weight.shape[0]
            self._constraints[allowed] = Constraint(self.tokenizer, allowed, ends, vocabulary)
        return self._constraints[allowed]

    def choose(
        self,
        items: Sequence[tuple[str, Prompt, Sequence[str]]],
        progress: Callable[[int], None] = lambda done: None,
        by: str = "per_character",
    ) -> list[Completion]:
        """For each (sample id, prompt, candidates) the likeliest candidate: by log likelihood a character (lm-eval's
        acc_norm), or by that of the ``whole`` (its acc)."""
        targets = {c: self.encode_target(c) for _, _, candidates in items for c in candidates}
        encoded = [self.encode(p, max(len(targets[c]) for c in candidates)) for _, p, candidates in items]
        fitting = [i for i, e in enumerate(encoded) if not e.error]
        asked = [[targets[c] for c in items[i][2]] for i in fitting]
        started = time.perf_counter()
        told = self._likelihoods([encoded[i].tokens for i in fitting], asked, progress)
        seconds = (time.perf_counter() - started) / max(1, len(fitting))
        found = dict(zip(fitting, told))
        completions = []
        for i, (sample_id, _, candidates) in enumerate(items):
            if encoded[i].error:
                completions.append(_completion(sample_id, encoded[i], None))
                continue
            length = [len(c) if by == "per_character" else 1 for c in candidates]
            best = max(range(len(candidates)), key=lambda n: found[i][n] / max(1, length[n]))
            chosen = Generated(candidates[best], len(targets[candidates[best]]), True, 0, seconds)
            completions.append(_completion(sample_id, encoded[i], chosen))
        return completions

    def _likelihoods(
        self, prompts: list[list[int]], candidates: list[list[list[int]]], progress: Callable[[int], None]
    ) -> list[list[float]]:
        """Of each prompt's candidates; one by one where layers look back over a window that texts outgrow, which a
        mask of one pass does not know."""
        look_back = getattr(self.config, "sliding_window", None) or self.window
        longest = max((len(p) + max(map(len, c)) for p, c in zip(prompts, candidates)), default=0)
        if longest <= look_back:
            return likelihoods(self.network, prompts, candidates, progress)
        found = []
        for prompt, each in zip(prompts, candidates):
            nats = nats_of(self.network, [Encoded(prompt, c) for c in each], self.pad, self.network.device)
            found.append([-n for n, _, _ in nats])
            progress(1)
        return found

    def logits(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """What the network says of a batch's target tokens: (rows, longest target, vocabulary)."""
        return completion_logits(self.network, batch, self.pad, self.network.device)[0]

    def text_nll(self, texts: Sequence[str], against_base: bool = False) -> list[tuple[float, int, float]]:
        """Of each text, cut to the window: (negative log likelihood in nats, predicted tokens, summed KL(base || this);
        0 unless asked for ``against_base``)."""
        if against_base and self.base_logits is None:
            raise RuntimeError(f"{self.name}: merged into the base, which so can't be asked beside it")
        base = self.base_logits if against_base else None
        return nats_of(self.network, [self.encode_text(t) for t in texts], self.pad, self.network.device, base)


def _completion(sample_id: str, encoded: EncodedPrompt, generated: Generated | None) -> Completion:
    if generated is None:
        return Completion(sample_id, "", Usage(0, 0), error=encoded.error)
    return Completion(
        sample_id,
        generated.text,
        Usage(len(encoded.tokens), generated.tokens, generated.cached_tokens, generated.seconds),
        generated.finished,
        passages=tuple(p.id for p in encoded.prompt.passages),
        cut_passages=encoded.cut_passages,
        cut_examples=encoded.cut_examples,
    )
