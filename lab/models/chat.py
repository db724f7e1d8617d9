"""How a chat model is asked: its template, and what the template can and can't do, found by trying.

A prompt becomes a conversation: the instruction as system message, worked examples as turns (user, assistant), passages
and input as the last user message; or, in one block, a single user message. Training and inference go through the same
functions, so that an answer is learned behind exactly the tokens that it is asked with::

    chat.encode(messages) + chat.answer_ids("Paris")     # what training sees
    chat.encode(messages)                                # what generation begins with
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from lab.models.prompts import render
from lab.schema import LabError, Passage, Prompt, first_line

Message = dict[str, str]
MARK = "MARKOFTHELAB"
"""A word that no template writes itself."""


RENDERING_SECONDS = 5.0
"""After which a template that renders one message is taken to be without an end."""


def in_time(render: Callable[[], str], name: str) -> str:
    """What ``render`` gives; raises LabError where it takes RENDERING_SECONDS.

    By tracing, which is slow and knows no signals: so it works in any thread, and is used once a template.
    """
    until, before = time.monotonic() + RENDERING_SECONDS, sys.gettrace()

    def watch(frame, event, argument):
        if time.monotonic() > until:
            raise _Endless
        return watch

    sys.settrace(watch)
    try:
        return render()
    except _Endless:
        raise LabError(f"{name}: its chat template does not end (within {RENDERING_SECONDS:g} seconds)") from None
    finally:
        sys.settrace(before)


class _Endless(BaseException):
    """Nothing that a template could take for an error of its own."""


class Chat:
    """A tokenizer's chat template; raises LabError where it can't render even one user message."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name, self.tokenizer = name, tokenizer
        if MARK not in in_time(lambda: self._text([{"role": "user", "content": MARK}]), name):
            raise LabError(f"{name}: its chat template leaves out what the user says")

    # What the template can do

    @cached_property
    def has_system(self) -> bool:
        """Whether a system message reaches the model: some templates refuse it (Gemma, Mistral), some drop it."""
        try:
            messages = [{"role": "system", "content": MARK}, {"role": "user", "content": "x"}]
            return MARK in self._text(messages)
        except LabError:
            return False

    @cached_property
    def has_turns(self) -> bool:
        """Whether worked examples can stand as earlier turns."""
        try:
            user, assistant = {"role": "user", "content": "x"}, {"role": "assistant", "content": MARK}
            return MARK in self._text([user, assistant, user])
        except LabError:
            return False

    @cached_property
    def turn_end(self) -> list[int]:
        """Tokens that end an answer: the template's own end of a turn, which need not be the tokenizer's end token."""
        user, assistant = {"role": "user", "content": "x"}, {"role": "assistant", "content": MARK}
        try:
            after = self._text([user, assistant], answering=False).rsplit(MARK, 1)[1]
        except (LabError, IndexError):
            after = ""
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"] if after else []
        special = {*self.tokenizer.all_special_ids, *_marked_special(self.tokenizer)}
        first = next((n for n, token in enumerate(ids) if token in special), None)
        return ids[: first + 1] if first is not None else [self.tokenizer.eos_token_id]

    # Prompts and answers

    def messages(self, prompt: Prompt) -> list[Message]:
        """The conversation that a prompt stands for."""
        return messages_of(prompt, self.has_system, self.has_turns)

    def text(self, prompt: Prompt) -> str:
        """The prompt's conversation as the template writes it."""
        return self._text(self.messages(prompt))

    def encode(self, messages: list[Message]) -> list[int]:
        """Tokens up to where the answer begins; special-token text within the messages is plain text."""
        if not any(holds_special(self.tokenizer, m["content"]) for m in messages):
            return self.tokenizer(self._text(messages), add_special_tokens=False)["input_ids"]
        marked = [m | {"content": f"{MARK}{n}X"} for n, m in enumerate(messages)]
        ids, rest = [], self._text(marked)
        for n, message in enumerate(messages):
            before, rest = rest.split(f"{MARK}{n}X", 1)
            ids += self.tokenizer(before, add_special_tokens=False)["input_ids"]
            ids += plain_ids(self.tokenizer, message["content"])
        return ids + self.tokenizer(rest, add_special_tokens=False)["input_ids"]

    def answer_ids(self, target: str) -> list[int]:
        """An answer as training sees it behind ``encode``'s tokens, with the end of its turn."""
        return plain_ids(self.tokenizer, target) + self.turn_end

    def _text(self, messages: list[Message], answering: bool = True) -> str:
        try:
            return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answering)
        except Exception as error:
            raise LabError(f"{self.name}: its chat template can't render a conversation: {first_line(error)}") from None


def messages_of(prompt: Prompt, has_system: bool = True, has_turns: bool = True) -> list[Message]:
    """The conversation that a prompt stands for; what a template lacks goes into the first user message."""
    if prompt.layout == "block" or (prompt.examples and not has_turns):
        return [{"role": "user", "content": render(prompt)}]
    turns: list[Message] = []
    # Best examples stand first in a prompt and next to the input in a conversation.
    for example in reversed(prompt.examples):
        asked = _with_passages(prompt, example.passages if prompt.passages else (), example.input)
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": example.target}]
    turns.append({"role": "user", "content": _with_passages(prompt, prompt.passages, prompt.input)})
    if not prompt.instruction:
        return turns
    if has_system:
        return [{"role": "system", "content": prompt.instruction}, *turns]
    return [turns[0] | {"content": f"{prompt.instruction}\n\n{turns[0]['content']}"}, *turns[1:]]


def _with_passages(prompt: Prompt, passages: Sequence[Passage], question: str) -> str:
    return "\n\n".join([*(f"{prompt.wording.passage}: {p.text}" for p in passages), question])


def _marked_special(tokenizer: Any) -> dict[int, str]:
    """Added tokens that are marked as special, though they may have no role of their own (an end of turn)."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return {number: str(token) for number, token in added.items() if token.special}


def special_texts(tokenizer: Any) -> list[str]:
    """Texts that a tokenizer reads as one special token."""
    return [t for t in {*tokenizer.all_special_tokens, *_marked_special(tokenizer).values()} if t.strip()]


def holds_special(tokenizer: Any, text: str) -> bool:
    """Whether a text holds the text of a special token."""
    return any(t in text for t in special_texts(tokenizer))


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text from outside: what looks like a special token is text."""
    if not holds_special(tokenizer, text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
