"""Models behind an address, over a real HTTP server that does what real ones do: refuse, drop, cut, stream, forget."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

import lab.models.endpoint as endpoints
from lab.cli import main
from lab.live.serve import HOST, free_port
from lab.models.base import require
from lab.models.endpoint import endpoint, is_endpoint
from lab.schema import Decoding, Example, LabError, Passage, Prompt
from lab.tasks.task import write_task
from tests.conftest import make_task

PROMPT = Prompt("Name the town.", "Where does Ann live?", (Example("a", "Where is Bo?", "Oakley"),))
SECRET = "sk-planted-4711"


class Server:
    """Answers with ``reply``; of the first requests each goes through one of ``troubles`` instead."""

    def __init__(self) -> None:
        self.asked, self.keys, self.troubles = [], [], []
        self.most_beside = self._beside = 0
        self.reply = lambda body: "Tarnwick"
        self.shape = lambda body, text: JSONResponse(self.whole(text))
        self._lock = threading.Lock()

    def whole(self, text, **more):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | more
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}

    async def answer(self, request):
        import anyio

        body = json.loads(await request.body())
        with self._lock:
            self.asked.append(body)
            self.keys.append(request.headers.get("authorization"))
            trouble = self.troubles.pop(0) if self.troubles else None
            self._beside += 1
            self.most_beside = max(self.most_beside, self._beside)
        try:
            await anyio.sleep(0.02)
            return trouble(body) if trouble else self.shape(body, self.reply(body))
        finally:
            with self._lock:
                self._beside -= 1


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    # The client waits half a second and more before it tries again.
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_: 0.01)
    made, port = Server(), free_port(0)
    app = Starlette(routes=[Route("/v1/chat/completions", made.answer, methods=["POST"])])
    running = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="critical"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    made.name = f"http://{HOST}:{port}/v1#small@2026-11-27"
    yield made
    running.should_exit = True
    thread.join()


def error(status, told="no"):
    return lambda body: JSONResponse({"error": {"message": told, "type": "x"}}, status)


def complete(server, prompts=(PROMPT,), cache=None):
    return endpoint(server.name, cache).complete([(str(n), p) for n, p in enumerate(prompts)], Decoding(8))


def test_a_prompt_is_a_conversation_and_usage_is_the_servers(server):
    passages = Prompt("Name the town.", "Where?", (), (Passage("d#0", "d", "Ann lives in Tarnwick."),))
    first, second = complete(server, [PROMPT, passages])
    assert first.text == second.text == "Tarnwick" and first.finished and second.passages == ("d#0",)
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (11, 3)
    bodies = sorted(server.asked, key=lambda b: len(b["messages"]))
    assert [m["role"] for m in bodies[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert bodies[0]["messages"][1]["content"] == "Passage: Ann lives in Tarnwick.\n\nWhere?"
    assert bodies[0]["max_tokens"] == 8 and bodies[0]["temperature"] == 0 and bodies[0]["stop"] == ["\n"]
    assert set(server.keys) == {f"Bearer {SECRET}"}


def test_requests_go_side_by_side_and_stay_in_order(server):
    server.reply = lambda body: body["messages"][-1]["content"]
    prompts = [Prompt("", f"number {n}") for n in range(30)]
    assert [c.text for c in complete(server, prompts)] == [p.input for p in prompts]
    assert 2 < server.most_beside <= endpoints.BESIDE


def drop(body):
    """A connection that ends in the middle of the body."""

    async def parts():
        yield b'{"id": "x", "choi'
        raise ConnectionResetError

    return StreamingResponse(parts(), media_type="application/json", headers={"content-length": "4000"})


def cut(body):
    """A body that ends too soon, and says it was whole."""
    return PlainTextResponse('{"id": "x", "choices": [{"index": 0, "mess', media_type="application/json")


@pytest.mark.parametrize(
    "troubles",
    [
        [error(429, "slow down")] * 3,
        [error(500), error(503), error(429)],
        [drop, drop],
        [cut, cut],
        [lambda body: JSONResponse({"choices": []})],
        [lambda body: JSONResponse([1]), lambda body: JSONResponse({"choices": [5]})],
        [lambda body: PlainTextResponse('data: {"choices": [5]}\n\n', media_type="text/event-stream")],
        [lambda body: PlainTextResponse("<html>gateway</html>", media_type="text/html")],
    ],
    ids=["429", "5xx", "dropped", "cut off", "no choices", "other objects", "odd events", "html"],
)
def test_what_passes_is_tried_again(server, troubles):
    server.troubles = list(troubles)
    (found,) = complete(server)
    assert found.text == "Tarnwick" and not found.error and len(server.asked) == len(troubles) + 1


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (error(429, "quota"), "429 after 7 tries .*quota.*goes on from there"),
        (error(500), "500 after 7 tries"),
        (error(401, f"Incorrect key {SECRET}"), r"refused \(.*\*\*\*.*\); set OPENAI_API_KEY"),
        (error(404, "no such model"), "not there"),
        (cut, "answers with what is no completion .*goes on from there"),
        (drop, "can't be reached|what is no completion"),
    ],
)
def test_what_stays_ends_in_one_line_without_the_key(server, trouble, says):
    server.troubles = [trouble] * 100
    with pytest.raises(LabError, match=says) as told:
        complete(server)
    assert "\n" not in str(told.value) and "planted" not in str(told.value)


def test_what_was_answered_before_a_failure_is_kept_and_not_asked_again(server, tmp_path):
    prompts = [Prompt("", f"number {n}") for n in range(20)]
    server.reply = lambda body: body["messages"][-1]["content"]
    server.troubles = [None] * 10 + [error(401)]
    with pytest.raises(LabError, match="refused"):
        complete(server, prompts, cache=tmp_path)
    before = len(server.asked)
    assert [c.text for c in complete(server, prompts, cache=tmp_path)] == [p.input for p in prompts]
    assert len(server.asked) - before <= 10
    (file,) = (tmp_path / "endpoint").glob("*.jsonl")
    assert SECRET not in file.read_text()
    # A kill in the middle of a line costs that answer alone.
    file.write_bytes(file.read_bytes()[:-20])
    before = len(server.asked)
    complete(server, prompts, cache=tmp_path)
    assert len(server.asked) - before == 1
    # Another day is another revision.
    server.name = server.name.replace("11-27", "11-28")
    complete(server, prompts[:1], cache=tmp_path)
    assert len(server.asked) - before == 2


def test_a_refused_prompt_is_that_items_error(server):
    server.troubles = [error(400, "context length exceeded")]
    first, second = endpoint(server.name).complete([("a", PROMPT)], Decoding(8)) + complete(server)
    assert first.error.endswith("context length exceeded'}}") or "context length" in first.error
    assert first.text == "" and second.text == "Tarnwick"


def test_servers_that_do_other_than_asked(server):
    server.shape = lambda body, text: JSONResponse(server.whole("Tarnwick\nAnd more that nobody wanted"))
    assert complete(server)[0].text == "Tarnwick", "a server that ignores stop"
    server.shape = lambda body, text: JSONResponse(server.whole("Tarn", finish_reason="length"))
    assert not complete(server)[0].finished
    server.shape = lambda body, text: JSONResponse({k: v for k, v in server.whole(text).items() if k != "usage"})
    (found,) = complete(server)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (14, 2), "letters over four, each message"
    server.shape = lambda body, text: JSONResponse(server.whole(None, finish_reason="content_filter"))
    assert "content filter" in complete(server)[0].error

    def streamed(body, text):
        def event(**choice):
            return f"data: {json.dumps({'choices': [{'index': 0} | choice]})}\n\n"

        async def events():
            for letter in "Tarnwick":
                yield event(delta={"content": letter})
            yield event(delta={}, finish_reason="stop")
            yield 'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 8}}\n\ndata: [DONE]\n\n'

        return StreamingResponse(events(), media_type="text/event-stream")

    server.shape = streamed
    (found,) = complete(server)
    assert found.text == "Tarnwick" and found.usage.completion_tokens == 8


def test_newer_models_are_asked_as_they_want_it(server):
    def picky(body, text):
        if "max_tokens" in body:
            return error(400, "Unsupported parameter: use 'max_completion_tokens' instead")(body)
        if "temperature" in body:
            return error(400, "Unsupported value: 'temperature' does not support 0")(body)
        return JSONResponse(server.whole(text))

    server.shape = picky
    found = complete(server, [Prompt("", f"number {n}") for n in range(12)])
    assert [c.text for c in found] == ["Tarnwick"] * 12 and not any(c.error for c in found), "side by side as well"
    assert server.asked[-1].get("max_completion_tokens") == 8 and "temperature" not in server.asked[-1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("https://api.example.org/v1", "URL#MODEL"),
        ("https://#m", "URL#MODEL"),
        ("https://me:secret@example.org/v1#m", "a key belongs into OPENAI_API_KEY"),
        ("https://example.org/v1?key=1#m", "a key belongs into OPENAI_API_KEY"),
        ("http://example.org/v1#m", "unencrypted"),
        ("https://example.org:port/v1#m@2026-13-40", "."),
        ("http://[::1/v1#m", "."),
    ],
)
def test_addresses_that_are_none(monkeypatch, name, says):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert is_endpoint(name)
    with pytest.raises(LabError, match=says) as told:
        endpoint(name)
    assert "secret@" not in str(told.value)


def test_it_can_complete_and_nothing_else(server):
    model = endpoint(server.name)
    require(model, ["complete"], "x")
    for ability in ("train", "choose", "likelihood"):
        with pytest.raises(LabError, match="take a local model"):
            require(model, [ability], "--methods lora")
    assert model.revision.endswith("#small@2026-11-27") and SECRET not in json.dumps(model.facts)


def test_nobody_listening(monkeypatch):
    monkeypatch.setattr(endpoints, "RETRIES", 1)
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_: 0.01)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with pytest.raises(LabError, match="can't be reached"):
        endpoint(f"http://{HOST}:{port}/v1#m@2026-11-27").complete([("a", PROMPT)], Decoding(8))


def test_a_decision_on_a_hosted_model(server, tmp_path, monkeypatch, capsys):
    task = make_task(60)
    write_task(task, tmp_path / "t")
    right = {s.input: s.target for s in (*task.labelled, *task.test)}

    def answer(body):
        asked = body["messages"][-1]["content"].rsplit("\n\n", 1)[-1]
        known = "Passage" in body["messages"][-1]["content"]
        return right.get(asked, "nothing") if known else "I can't know that"

    server.reply = answer
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def lab(*arguments):
        monkeypatch.setattr(sys, "argv", ["lab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr()

    command = ["decide", "t", "--model", server.name, "--methods", "zero_shot,rag", "--out", "r"]
    prices = ["--hosting", "api", "--usd-per-million-prompt-tokens", "1000", "--usd-per-million-completion-tokens", "0"]
    status, told = lab(*command, "--plan-json", *prices)
    tokens = json.loads(told.out.splitlines()[-1])["tokens"]
    # 4 candidates on 12 validation items, then 16 test items, and some timed alone and looked at: of every arm.
    assert (
        set(tokens) == {"zero_shot", "rag", ""} and 60 * 10 < tokens["zero_shot"]["prompts"] < tokens["rag"]["prompts"]
    )
    usd = sum(t["prompts"] for t in tokens.values()) / 1000
    assert f"probes included: about {usd:.2f} USD" in " ".join(told.out.split())
    assert "give its prices" in " ".join(lab(*command, "--plan-only")[1].out.split())
    assert len(server.asked) < 20, "a plan asks for nothing but what it must know"
    status, told = lab(*command)
    assert status == 0, told.err
    decision = json.loads((tmp_path / "r" / "decision.json").read_text())
    assert decision["chosen"] == "rag" and "Take rag" in told.out
    assert "Use rag: lab predict r INPUTS, lab serve r, lab export r --out FOLDER" in told.out
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert written and not [p for p in written if SECRET.encode() in p.read_bytes()]
    assert SECRET not in told.out + told.err
    asked = len(server.asked)
    assert asked < sum(t["prompts"] for t in tokens.values()) / 10
    assert lab(*command)[0] == 0 and len(server.asked) == asked, "nothing is paid twice"
    status, told = lab("decide", "t", "--model", server.name, "--methods", "lora")
    assert status == 2 and "--methods lora: needs a model that can be trained" in told.err
    status, told = lab("decide", "t", "--model", server.name, "--methods", "rag", "--decoding", "constrained")
    assert status == 2 and told.err.count("\n") == 1
    (tmp_path / "new.jsonl").write_text(json.dumps({"input": task.test[0].input}) + "\n")
    status, told = lab("predict", "r", "new.jsonl")
    assert status == 0 and json.loads(told.out)["answer"] == task.test[0].target
