"""One arm as an OpenAI-compatible endpoint: ``/v1/models``, ``/v1/chat/completions`` and ``/v1/completions``.

A request's only user message (or its prompt) is one input; instruction, examples and passages are the arm's own. What
the arm can't do as asked is refused in the API's own form of an error, never left out without a word.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anyio import Lock
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lab.live.serve import asks_here

if TYPE_CHECKING:
    from lab.flow.arm import Answer, Ready

LONGEST_BODY = 2**22
"""Bytes of a request; a window of a hundred thousand tokens is far below."""
KNOWN = {"model", "messages", "prompt", "stream", "stream_options", "temperature", "n", "user", "seed", "store"}
KNOWN |= {"max_tokens", "max_completion_tokens", "top_p", "stop", "frequency_penalty", "presence_penalty"}
"""Fields of a request; those that choose among answers only at values that change nothing."""


class Refused(Exception):
    """A request that the arm can't answer as asked."""


def build_endpoint(ready: Ready) -> Starlette:
    """The ASGI application; requests are answered one after the other, as one base is in memory."""
    lock, made = Lock(), int(time.time())

    async def models(request: Request) -> Response:
        return _checked(request) or JSONResponse({"object": "list", "data": [_model(ready, made)]})

    async def one_model(request: Request) -> Response:
        if refused := _checked(request):
            return refused
        known = request.path_params["name"] == ready.name
        return JSONResponse(_model(ready, made)) if known else _error(f"no model {request.path_params['name']!r}", 404)

    async def completions(request: Request) -> Response:
        if refused := _checked(request):
            return refused
        chat = request.url.path.endswith("/chat/completions")
        try:
            asked = await _body(request)
            text, room = _input_of(asked, chat, ready), _room(asked)
        except Refused as error:
            return _error(str(error), 400)
        async with lock:
            (answer,) = await run_sync(lambda: ready.answers([("request", text)], room=room))
        if answer.problem and not answer.text:
            return _error(answer.problem, 400)
        if asked.get("stream"):
            beside = (asked.get("stream_options") or {}).get("include_usage", False)
            return StreamingResponse(_streamed(answer, ready, chat, beside), media_type="text/event-stream")
        return JSONResponse(_whole(answer, ready, chat))

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", one_model),
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/completions", completions, methods=["POST"]),
        ]
    )


def _model(ready: Ready, made: int) -> dict[str, Any]:
    return {"id": ready.name, "object": "model", "created": made, "owned_by": "decision-lab"}


def _checked(request: Request) -> Response | None:
    """A refusal of what comes from a website, or believes to talk to another host."""
    if asks_here(request.headers.get("host", ""), request.headers.get("origin", "")):
        return None
    return _error("only programs of this machine may ask", 403)


def _error(told: str, status: int) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": told, "type": kind, "param": None, "code": None}}, status)


async def _body(request: Request) -> dict[str, Any]:
    # A website's form can send a text without asking first, and not JSON.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused("the content type must be application/json")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LONGEST_BODY:
            raise Refused(f"a request holds at most {LONGEST_BODY:,} bytes")
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON") from None
    if not isinstance(asked, dict):
        raise Refused("the body must be an object")
    return asked


def _input_of(asked: dict[str, Any], chat: bool, ready: Ready) -> str:
    """The input of a request; raises Refused where it asks for something else than one greedy answer of this arm."""
    if asked.get("model", ready.name) != ready.name:
        raise Refused(f"no model {asked['model']!r} here; this is {ready.name}")
    if unknown := sorted(k for k, v in asked.items() if k not in KNOWN and v not in (None, [], {})):
        raise Refused(f"{unknown[0]}: not supported by this endpoint")
    if asked.get("n") not in (None, 1):
        raise Refused("n: one answer a request")
    if asked.get("temperature") not in (None, 0, 0.0):
        raise Refused("temperature: answers are greedy, as they were measured; leave it out or set 0")
    if asked.get("top_p") not in (None, 1, 1.0) or asked.get("stop") not in (None, [], ""):
        raise Refused("top_p, stop: answers are decoded as they were measured; leave them out")
    if any(asked.get(f"{p}_penalty") not in (None, 0, 0.0) for p in ("frequency", "presence")):
        raise Refused("penalties: answers are decoded as they were measured; leave them out")
    text = _message(asked.get("messages")) if chat else asked.get("prompt")
    if not isinstance(text, str) or not text.strip():
        raise Refused("messages: the user's text is missing" if chat else "prompt: one text that isn't empty")
    return text


def _room(asked: dict[str, Any]) -> int | None:
    """How many tokens the caller allows; raises Refused for what is no number of them."""
    wanted = asked.get("max_completion_tokens", asked.get("max_tokens"))
    if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1):
        raise Refused("max_tokens: a whole number from 1")
    return wanted


def _message(messages: Any) -> Any:
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise Refused("messages: one user message, the input; the arm brings its own instruction and examples")
    if messages[0].get("role") != "user":
        raise Refused("messages: the one message must be the user's")
    content = messages[0].get("content")
    if isinstance(content, list):
        parts = [p.get("text") if isinstance(p, dict) and p.get("type") == "text" else None for p in content]
        if None in parts:
            raise Refused("messages: texts only")
        return "".join(parts)
    return content


def _whole(answer: Answer, ready: Ready, chat: bool) -> dict[str, Any]:
    message = {"message": {"role": "assistant", "content": answer.text}} if chat else {"text": answer.text}
    choice = {"index": 0, **message, "logprobs": None, "finish_reason": _reason(answer)}
    return _head(ready, "chat.completion" if chat else "text_completion", chat) | {
        "choices": [choice],
        "usage": _usage(answer),
    }


def _streamed(answer: Answer, ready: Ready, chat: bool, usage: bool) -> Iterator[str]:
    """The whole answer as one event, as it is known at once; then how it ended."""
    head = _head(ready, "chat.completion.chunk" if chat else "text_completion", chat)
    body = {"delta": {"role": "assistant", "content": answer.text}} if chat else {"text": answer.text}
    last = {"delta": {}} if chat else {"text": ""}
    events = [
        head | {"choices": [{"index": 0, **body, "finish_reason": None}]},
        head | {"choices": [{"index": 0, **last, "finish_reason": _reason(answer)}]},
    ]
    if usage:
        events.append(head | {"choices": [], "usage": _usage(answer)})
    yield from (f"data: {json.dumps(e)}\n\n" for e in events)
    yield "data: [DONE]\n\n"


def _head(ready: Ready, kind: str, chat: bool) -> dict[str, Any]:
    identity = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
    return {"id": identity, "object": kind, "created": int(time.time()), "model": ready.name}


def _reason(answer: Answer) -> str:
    return "length" if answer.problem else "stop"


def _usage(answer: Answer) -> dict[str, int]:
    prompt, completion = answer.prompt_tokens, answer.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
