"""``lab serve``, asked over a real HTTP server by the client that everyone has."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import replace

import openai
import pytest
import uvicorn

from lab.context.base import Tools
from lab.flow.arm import Ready, arm_named, live_cell
from lab.flow.bench import Bench
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.live.endpoint import build_endpoint
from lab.live.serve import HOST, free_port
from lab.measure.arms import arms_at
from lab.store import Store
from tests.conftest import make_task


@pytest.fixture(scope="module")
def ready(nano, tmp_path_factory) -> Ready:
    """A prompt with retrieved passages, measured and ready."""
    task, store = make_task(60), Store(tmp_path_factory.mktemp("home"), committed=None)
    plan = expand(["rag"], [], [20], 1, task)
    plan.methods = [replace(m, candidates=m.candidates[:1]) for m in plan.methods]
    bench = Bench(task, nano, store, Tools(cache=store.cache / "vectors"))
    study = Runner(bench).run(plan)
    arm = arm_named(arms_at(study), "rag")
    return Ready(bench, study, live_cell(arm), arm.label)


@pytest.fixture(scope="module")
def address(ready):
    """The endpoint's address, as long as the tests run."""
    port = free_port(0)
    server = uvicorn.Server(uvicorn.Config(build_endpoint(ready), host=HOST, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://{HOST}:{port}/v1"
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(address) -> openai.OpenAI:
    return openai.OpenAI(base_url=address, api_key="none", max_retries=0)


def asked(ready, n=0) -> tuple[str, str]:
    text = ready.bench.task.test[n].input
    return text, ready.answers([("x", text)])[0]


def test_it_answers_as_the_arm_does(ready, client):
    text, wanted = asked(ready)
    found = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": text}])
    assert found.choices[0].message.content == wanted.text and found.choices[0].finish_reason == "stop"
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (
        wanted.prompt_tokens,
        wanted.completion_tokens,
    )
    parts = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    assert client.chat.completions.create(model="rag", messages=parts).choices[0].message.content == wanted.text
    assert client.completions.create(model="rag", prompt=text, temperature=0).choices[0].text == wanted.text
    assert [m.id for m in client.models.list()] == ["rag"] and client.models.retrieve("rag").id == "rag"


def test_a_stream_is_the_same_answer(ready, client):
    text, wanted = asked(ready, 1)
    events = list(
        client.chat.completions.create(
            model="rag",
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.delta.content or "" for e in events for c in e.choices) == wanted.text
    assert events[-1].usage.completion_tokens == wanted.completion_tokens
    assert [c.finish_reason for e in events for c in e.choices] == [None, "stop"]


def test_less_room_cuts_the_answer_and_says_so(ready, client):
    text, wanted = asked(ready)
    found = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": text}], max_tokens=1)
    assert found.choices[0].finish_reason == "length" and found.usage.completion_tokens == 1
    assert wanted.text.startswith(found.choices[0].message.content)


def test_requests_beside_each_other_are_all_answered(ready, client):
    wanted = [asked(ready, n)[1].text for n in range(6)]
    found = {}

    def ask(n):
        text = ready.bench.task.test[n].input
        found[n] = client.completions.create(model="rag", prompt=text).choices[0].text

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [found[n] for n in range(6)] == wanted


USER = {"role": "user", "content": "Where?"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"messages": [{"role": "system", "content": "Be brief."}, USER]}, "one user message"),
        ({"messages": []}, "one user message"),
        ({"messages": [USER | {"role": "assistant"}]}, "must be the user's"),
        ({"messages": [USER | {"content": " "}]}, "text is missing"),
        ({"messages": [USER | {"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "texts only"),
        ({"messages": [USER | {"content": "long " * 3000}]}, "window"),
        ({"model": "gpt-5"}, "no model 'gpt-5' here"),
        ({"temperature": 0.7}, "greedy"),
        ({"n": 2}, "one answer"),
        ({"stop": ["x"]}, "as they were measured"),
        ({"max_tokens": 0}, "whole number from 1"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools: not supported"),
        ({"logprobs": True}, "logprobs: not supported"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(client, change, says):
    with pytest.raises(openai.BadRequestError, match=says):
        client.chat.completions.create(**{"model": "rag", "messages": [USER]} | change)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Host": "rebound.example"}, {"prompt": "x"}, 403),
        ({"Origin": "https://evil.example"}, {"prompt": "x"}, 403),
        ({"Content-Type": "text/plain"}, {"prompt": "x"}, 400),
        ({}, "{oops", 400),
        ({}, "[" * 100_000, 400),
        ({}, [1], 400),
        ({}, {"prompt": ["a", "b"]}, 400),
        ({}, {"prompt": "x" * 2**22}, 400),
    ],
)
def test_foreign_and_broken_requests_end_in_one_line(address, headers, body, status):
    host, port = address.removeprefix("http://").removesuffix("/v1").split(":")
    connection = http.client.HTTPConnection(host, int(port))
    content = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", "/v1/completions", content, {"Content-Type": "application/json"} | headers)
    answer = connection.getresponse()
    assert answer.status == status
    told = json.loads(answer.read())["error"]["message"]
    assert told and "\n" not in told and "Traceback" not in told
