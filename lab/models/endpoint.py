"""A model behind an OpenAI-compatible endpoint: hosted, served by vLLM, or another lab's ``lab serve``.

``endpoint("https://api.openai.com/v1#gpt-4.1-mini@2026-11-27", machine_cache)`` completes prompts as conversations. The
date stands for a revision, which such models don't tell: what was answered under it is kept and never paid twice. The
key comes from the environment (OPENAI_API_KEY) and goes nowhere but to the address.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.files import digest, parsed, tell
from lab.models.base import Size
from lab.models.chat import Message, messages_of
from lab.models.device import Machine
from lab.models.pace import Pace
from lab.models.prompts import render
from lab.schema import Completion, Decoding, LabError, Prompt, Usage, extra, first_line

KEY = "OPENAI_API_KEY"
BESIDE = 8
"""Requests at a time."""
RETRIES = 6
"""The client's own, with growing pauses, after 429s, 5xx and lost connections."""
TRIES = 5
"""Of what the client takes for an answer and isn't one, and of other ways of asking."""
TIMEOUT_SECONDS = 120.0
WINDOW = 32_768
"""Tokens; what is longer is refused by the endpoint itself, item by item."""
LETTERS_A_TOKEN = 4
"""About, in English: for forecasts, and where an endpoint reports no usage."""
DATED = re.compile(r"@(\d{4}-\d{2}-\d{2})$")


def is_endpoint(name: str) -> bool:
    """Whether a model's name is an address."""
    return name.startswith(("http://", "https://"))


def endpoint(name: str, cache: Path | None = None) -> Endpoint:
    """The model of a name ``URL#MODEL`` or ``URL#MODEL@DATE``; raises LabError for an address that can't be one, or
    that a key would reach in the clear."""
    address, sign, model = name.partition("#")
    found = DATED.search(model)
    model, day = (DATED.sub("", model), found[1]) if found else (model, date.today().isoformat())
    try:
        parts, day = urlsplit(address), date.fromisoformat(day).isoformat()
        host = parts.hostname or ""
    except ValueError as error:
        raise LabError(f"--model {name}: {error}") from None
    if not (sign and model and host):
        raise LabError(f"--model {name}: an endpoint is URL#MODEL, such as https://api.openai.com/v1#gpt-4.1-mini")
    if parts.username or parts.password or parts.query:
        raise LabError(f"--model: a key belongs into {KEY} and not into the address")
    if parts.scheme == "http" and os.environ.get(KEY) and host not in ("127.0.0.1", "localhost", "::1"):
        raise LabError(f"--model {name}: {KEY} would go there unencrypted; use https, or unset it")
    if not found:
        tell(f"answers of {model} are kept under {day}; to use them another day: --model '{address}#{model}@{day}'")
    return Endpoint(address.rstrip("/"), model, day, cache)


@dataclass(frozen=True)
class Told:
    """What an endpoint answered to one request."""

    text: str = ""
    finished: bool = True
    error: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class Endpoint:
    """Completes prompts over HTTP, some at a time; can do nothing else."""

    can = frozenset({"complete"})
    is_chat = True
    size: Size | None = None
    window = WINDOW
    precision = "its own number format"
    pretraining: dict[str, Any] = {}

    def __init__(self, address: str, model: str, day: str, cache: Path | None = None) -> None:
        with extra("api", "a model behind an endpoint"):
            import openai
        self.name, self.address, self.day = model, address, day
        self.revision = f"{address}#{model}@{day}"
        self.machine = Machine("endpoint", "", BESIDE, urlsplit(address).netloc)
        self._openai = openai
        self._client = openai.OpenAI(
            base_url=address,
            api_key=os.environ.get(KEY) or "none",
            max_retries=RETRIES,
            timeout=TIMEOUT_SECONDS,
        )
        self._kept = _Kept(cache / "endpoint" / f"{digest(self.revision)[:16]}.jsonl" if cache else None)
        self._options: dict[str, Any] = {"room": "max_tokens", "temperature": 0}
        self._estimates = False

    # What it is

    @property
    def facts(self) -> dict[str, Any]:
        """What a study says of it."""
        told = {"name": self.name, "revision": self.revision, "address": self.address, "window": self.window}
        return told | {"precision": self.precision}

    def count_tokens(self, text: str) -> int:
        """About: its tokenizer is not at hand."""
        return -(-len(text) // LETTERS_A_TOKEN)

    def target_tokens(self, target: str) -> int:
        """About, the end of the turn included."""
        return self.count_tokens(target) + 1

    def misfit(self, prompt: Prompt, reserve: int) -> str:
        """Only what is far too long: the endpoint knows its window."""
        tokens = self.count_tokens(render(prompt))
        return "" if tokens + reserve <= self.window else f"the prompt has about {tokens} tokens"

    # What it does

    def complete(
        self,
        items: Sequence[tuple[str, Prompt]],
        decoding: Decoding,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Completion]:
        """One completion for each (sample id, prompt), in order; what was asked before under this date is not asked
        again. Raises LabError where the endpoint can't be had; what it has answered until then is kept."""
        if decoding.allowed:
            raise LabError(f"{self.name}: constrained decoding and choosing need a local model; leave --decoding out")
        asked = [messages_of(prompt) for _, prompt in items]
        beside = max(1, min(BESIDE, len(items)))
        with ThreadPoolExecutor(beside) as pool:
            waiting = [pool.submit(self._answer, messages, decoding) for messages in asked]
            told = []
            try:
                for future in waiting:
                    told.append(future.result())
                    progress(1)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [self._completion(i, p, t, beside) for (i, p), t in zip(items, told)]

    @property
    def pace(self) -> Pace:
        """Seconds a token, from what was answered so far: of an endpoint only the answer's tokens take time."""
        known = [t for t in self._kept.answers() if t.completion_tokens]
        alone = sum(t.seconds for t in known) / max(1, sum(t.completion_tokens for t in known)) if known else 0.05
        return Pace(reading=0.0, writing=alone / BESIDE, attending=0.0, alone=alone)

    def _completion(self, sample_id: str, prompt: Prompt, told: Told, beside: int) -> Completion:
        usage = Usage(told.prompt_tokens, told.completion_tokens, told.cached_tokens, told.seconds / beside)
        passages = tuple(p.id for p in prompt.passages)
        return Completion(sample_id, told.text, usage, told.finished, told.error, passages)

    def _answer(self, messages: list[Message], decoding: Decoding) -> Told:
        key = digest({"messages": messages, "max_tokens": decoding.max_tokens, "stop": decoding.stop})
        if (known := self._kept.get(key)) is None:
            known = self._ask(messages, decoding)
            self._kept.put(key, known)
        return known

    def _ask(self, messages: list[Message], decoding: Decoding) -> Told:
        broken = ""
        # A body that was cut off looks like an answer to the client, which therefore does not try again.
        for _ in range(TRIES):
            started, options = time.perf_counter(), dict(self._options)
            try:
                content, kind = self._sent(messages, decoding, options)
                return self._read(content, kind, messages, decoding, time.perf_counter() - started)
            except self._openai.BadRequestError as error:
                # Another request may have found out already how this model wants to be asked.
                if options == self._options and not self._other_options(error):
                    return Told(error=self._clean(error))
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                broken = first_line(error)
        raise LabError(f"{self.revision}: answers with what is no completion ({broken}); {KEPT}")

    def _sent(self, messages: list[Message], decoding: Decoding, options: dict[str, Any]) -> tuple[str, str]:
        """(body, content type) of the endpoint's answer."""
        wanted = {options["room"]: decoding.max_tokens}
        if options["temperature"] is not None:
            wanted["temperature"] = options["temperature"]
        if decoding.stop:
            wanted["stop"] = [decoding.stop]
        try:
            raw = self._client.chat.completions.with_raw_response.create(model=self.name, messages=messages, **wanted)
        except (self._openai.AuthenticationError, self._openai.PermissionDeniedError) as error:
            raise LabError(f"{self.revision}: refused ({self._clean(error)}); set {KEY}") from None
        except self._openai.NotFoundError as error:
            raise LabError(f"{self.revision}: not there ({self._clean(error)})") from None
        except self._openai.BadRequestError:
            raise
        except self._openai.APIStatusError as error:
            told = f"{error.status_code} after {RETRIES + 1} tries ({self._clean(error)})"
            raise LabError(f"{self.revision}: {told}; {KEPT}") from None
        except self._openai.APIError as error:
            raise LabError(f"{self.revision}: can't be reached ({self._clean(error)}); {KEPT}") from None
        return raw.http_response.text, raw.http_response.headers.get("content-type", "")

    def _other_options(self, error: Exception) -> bool:
        """Whether another way of asking for the same may do: newer models name the room otherwise, some take no
        temperature."""
        told = str(error)
        if "max_completion_tokens" in told and self._options["room"] == "max_tokens":
            self._options["room"] = "max_completion_tokens"
            return True
        if "temperature" in told and self._options["temperature"] is not None:
            self._options["temperature"] = None
            tell(f"{self.name}: takes no temperature, so its answers may differ from time to time")
            return True
        return False

    def _read(self, content: str, kind: str, messages: list[Message], decoding: Decoding, seconds: float) -> Told:
        """The completion in a body; raises ValueError for a body without one."""
        streamed = kind.startswith("text/event-stream")
        text, reason, usage = _of_stream(content) if streamed else _of_object(parsed(content))
        if reason == "content_filter":
            return Told(error="the endpoint's content filter held the answer back", seconds=seconds)
        before, stopped, _ = text.partition(decoding.stop) if decoding.stop else (text, "", "")
        if not usage and not self._estimates:
            self._estimates = True
            tell(f"{self.name}: reports no usage; tokens are estimated at {LETTERS_A_TOKEN} letters each")
        prompt = sum(self.count_tokens(m["content"]) for m in messages)
        details = usage.get("prompt_tokens_details") or {}
        return Told(
            before,
            bool(stopped) or reason != "length",
            "",
            int(usage.get("prompt_tokens") or prompt),
            int(details.get("cached_tokens") or 0),
            int(usage.get("completion_tokens") or self.count_tokens(text)),
            seconds,
        )

    def _clean(self, error: Exception) -> str:
        """An error in one line, the key blotted out wherever it stands."""
        told = first_line(error)[:300]
        key = os.environ.get(KEY, "")
        return re.sub(r"sk-[\w*.-]+", "***", told.replace(key, "***") if key else told)


KEPT = "what was answered is kept, the same command goes on from there"


def _of_object(body: Any) -> tuple[str, str, dict[str, Any]]:
    """(text, finish reason, usage) of a completion object."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or message.get("refusal") or ""
        if not isinstance(text, str):
            raise TypeError
        return text, choice.get("finish_reason") or "stop", body.get("usage") or {}
    except (LookupError, TypeError, AttributeError):
        raise ValueError("an object without choices") from None


def _of_stream(content: str) -> tuple[str, str, dict[str, Any]]:
    """The same of a stream of events, which some servers send though nobody asked for one."""
    text, reason, usage = "", "", {}
    for event in _events(content):
        usage = event.get("usage") or usage
        for choice in event.get("choices") or []:
            text += (choice.get("delta") or {}).get("content") or ""
            reason = choice.get("finish_reason") or reason
    if not reason:
        raise ValueError("a stream without an end")
    return text, reason, usage


def _events(content: str) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data and data != "[DONE]":
            event = parsed(data)
            if not isinstance(event, dict):
                raise ValueError("an event that is no object")
            yield event


class _Kept:
    """Answers by key, in a file that only grows; one that was cut off in the middle is left out."""

    def __init__(self, path: Path | None) -> None:
        self.path, self._lock, self._known = path, threading.Lock(), {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    key = row.pop("key")
                    self._known[key] = Told(**row)
                except (ValueError, TypeError, LookupError, AttributeError):
                    continue

    def get(self, key: str) -> Told | None:
        """What was answered; None where it was not asked."""
        with self._lock:
            return self._known.get(key)

    def put(self, key: str, told: Told) -> None:
        """Keep an answer, also for another process."""
        with self._lock:
            self._known[key] = told
            if self.path is None:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key} | asdict(told)) + "\n")

    def answers(self) -> list[Told]:
        """All of them."""
        with self._lock:
            return list(self._known.values())
