"""``lab view`` and ``lab open``: the right page, its path or address said, and a server that lets the query through."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.live.serve import LocalOnly, free_port, link, show_when_up
from tests.conftest import make_task

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def opened(monkeypatch):
    """Addresses that a browser was asked for."""
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda address: asked.append(address) or True)
    return asked


def report(folder, age=0):
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>report</p>")
    then = time.time() - age
    os.utime(folder / "report.html", (then, then))


def test_view_opens_the_newest_report_or_the_one_that_is_named(run, tmp_path, opened):
    report(tmp_path / "lab-reports" / "b new", age=10)
    report(tmp_path / "lab-reports" / "a", age=100)
    report(tmp_path / "lab-reports" / "z", age=200)
    status, out, _ = run("view")
    assert (status, out) == (0, "lab-reports/b new/report.html\n")
    assert opened == [(tmp_path / "lab-reports" / "b new" / "report.html").as_uri()]
    for named in ("lab-reports/a", "lab-reports/a/report.html"):
        assert run("view", named, "--no-browser")[1] == "lab-reports/a/report.html\n"
    assert len(opened) == 1


def test_view_says_so_where_no_browser_answers(run, tmp_path, monkeypatch):
    report(tmp_path / "lab-reports" / "a")
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    status, out, _ = run("view")
    assert status == 0 and out.startswith("lab-reports/a/report.html\n") and "No browser answers" in out


def test_view_names_the_command_that_is_missing(run, tmp_path, opened):
    from lab.tasks.task import write_task

    assert "make one with: lab decide TASK" in run("view")[2]
    write_task(make_task(40), tmp_path / "t")
    assert "a task and no report; make one with: lab decide t" in run("view", "t")[2]
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.json").write_text("{}")
    assert "write it with: lab report s" in run("view", "s")[2]
    status, _, err = run("view", "nowhere")
    assert status == 2 and err.startswith("lab: nowhere: no report") and err.count("\n") == 1
    report(tmp_path / "bare")
    assert "no such study; make one with lab decide" in run("view", "bare", "--notebook")[2]
    assert not opened


def test_open_knows_its_pages(run):
    status, _, err = run("open", "--page", "decision")
    assert status == 2 and "--page decision: one of start, decide, your_task" in err


def echo():
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['path']}?{scope['query_string'].decode()}".encode()})

    return inner


def fetch(port, path, cookie=""):
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request("GET", path, headers={"cookie": cookie} if cookie else {})
    answer = asked.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_the_door_keeps_the_rest_of_the_query(opened):
    """A real server over HTTP: the token goes into a cookie, all other fields arrive as they were."""
    import uvicorn

    port = free_port(0)
    to = link(port, "/decide", "secret", {"task": "my task & co", "model": "a/b", "none": ""})
    assert parse_qs(urlsplit(to).query) == {"access_token": ["secret"], "task": ["my task & co"], "model": ["a/b"]}
    waiting = show_when_up(to, port)
    time.sleep(0.3)
    assert not opened, "nobody listens yet"
    server = uvicorn.Server(uvicorn.Config(LocalOnly(echo(), "secret"), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waiting.join(timeout=30)
    assert opened == [to]
    path = to.removeprefix(f"http://127.0.0.1:{port}")
    status, headers, _ = fetch(port, f"{path}&x=1&x=2")
    assert status == 303 and "secret" not in headers["location"]
    status, _, body = fetch(port, headers["location"], headers["set-cookie"].split(";")[0])
    arrived = urlsplit(body)
    assert status == 200 and arrived.path == "/decide"
    assert parse_qs(arrived.query) == {"task": ["my task & co"], "model": ["a/b"], "x": ["1", "2"]}
    server.should_exit = True
    thread.join(timeout=30)


def test_the_notebook_of_a_report_is_served(tmp_path):
    """The whole way: a report's task and model in the address that is printed, and the page Decide behind it."""
    port = free_port(0)
    child = subprocess.Popen(
        [sys.executable, "-m", "lab", "view", str(ROOT / "reports" / "handbook"), "--notebook", "--no-browser"]
        + ["--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LAB_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        to = urlsplit(child.stdout.readline().strip())
        query = parse_qs(to.query)
        assert to.path == "/decide" and to.port == port
        assert (query["task"], query["model"]) == (["handbook"], ["nano"])
        until = time.time() + 120
        while True:
            try:
                status, headers, _ = fetch(port, f"{to.path}?{to.query}")
                break
            except OSError:
                assert time.time() < until and child.poll() is None
                time.sleep(0.3)
        assert status == 303 and headers["location"] == "/decide?task=handbook&model=nano"
        cookie, there = headers["set-cookie"].split(";")[0], headers["location"]
        status, headers, _ = fetch(port, there, cookie)
        assert status == 307 and headers["location"] == "/decide/?task=handbook&model=nano", "marimo's own loses these"
        status, _, body = fetch(port, headers["location"], cookie)
        assert status == 200 and "marimo" in body
        assert fetch(port, "/cost", cookie)[1]["location"] == "/cost/"
    finally:
        child.terminate()
        child.wait(timeout=30)
