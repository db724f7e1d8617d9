"""An endpoint of another house: ``transformers serve`` as it comes from the index, over the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab.live.serve import HOST, free_port
from lab.models.endpoint import endpoint
from lab.models.loading import load_model
from lab.schema import Decoding, Example, Prompt
from tests.models.templates import TEMPLATES

pytest.importorskip("fastapi")
PROMPTS = [
    ("a", Prompt("Answer the question.", "What is the capital of France?")),
    ("b", Prompt("Answer.", "Where is Ann?", (Example("1", "Where is Bo?", "Oakley"),))),
    ("c", Prompt("", "Count to three.")),
]


@pytest.fixture
def folder(tmp_path, here) -> Path:
    """The bundled network as a chat model in float32."""
    made = tmp_path / "chatty"
    load_model("nano", here, "float32").save(made)
    (made / "chat_template.jinja").write_text(TEMPLATES["smollm2"][0])
    return made


@pytest.fixture
def address(tmp_path):
    port = free_port(0)
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", HOST, "--port", str(port)]
    with (tmp_path / "serve.log").open("w") as log:
        served = subprocess.Popen(
            [*command, "--device", "cpu", "--dtype", "float32"],
            stdout=log,
            stderr=log,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        for _ in range(120):
            if served.poll() is not None:
                pytest.fail((tmp_path / "serve.log").read_text()[-800:])
            try:
                urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://{HOST}:{port}/v1"
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(20)


@pytest.mark.slow
def test_it_answers_through_the_client_as_the_same_weights_do_here(folder, address, here, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    decoding = Decoding(12, "")
    served = endpoint(f"{address}#{folder}@2026-11-27").complete(PROMPTS, decoding)
    mine = load_model(str(folder), here, "float32").complete(PROMPTS, decoding)
    assert [c.text for c in served] == [c.text for c in mine]
    assert all(c.usage.prompt_tokens > 5 and 0 < c.usage.completion_tokens <= 12 and not c.error for c in served)
    assert [c.usage.prompt_tokens for c in served] == [c.usage.prompt_tokens for c in mine]
