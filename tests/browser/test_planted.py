"""Texts that try to become code, in every name, label, text and file name, through every page in a real browser; keys
in the environment, looked for in everything that is written."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from lab.live.pages import PAGES, address
from lab.schema import Document
from lab.tasks.task import write_task
from tests.browser.conftest import serving
from tests.conftest import make_task

EVIL = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>[a](javascript:window.hacked=1){{7*7}}$x$"
IN_A_FILE_NAME = "<img src=x onerror=window.hacked=1>"
KEYS = {
    name: f"planted-{name.lower()}-5f3a9c"
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LAB_SECRET", "DATABASE_URL")
}
METHODS = ("--methods", "zero_shot,few_shot,rag", "--seeds", "2", "--sizes", "20", "--no-forgetting", "--full-grid")


def lab(folder, *arguments, **more):
    surroundings = os.environ | KEYS | {"LAB_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, **more)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A task all of whose texts are planted, decided on, reported and shared."""
    folder, task = tmp_path_factory.mktemp("planted"), make_task(60)

    def spoiled(sample):
        mark = {"id": f"{sample.id}{EVIL}", "group": f"{sample.group}{EVIL}", "input": f"{sample.input} {EVIL}"}
        return replace(
            sample, **mark, target=f"{sample.target}{EVIL}", evidence=tuple(e + EVIL for e in sample.evidence)
        )

    splits = {name: tuple(map(spoiled, task.split(name))) for name in ("train", "validation", "test")}
    documents = tuple(Document(d.id + EVIL, f"{d.text} {EVIL}", EVIL) for d in task.documents)
    evil = replace(task, name=EVIL, instruction=EVIL, documents=documents, **splits)
    write_task(evil, folder / f"task{IN_A_FILE_NAME}")
    done = lab(folder, "decide", f"task{IN_A_FILE_NAME}", *METHODS, "--out", f"lab-reports/r{IN_A_FILE_NAME}")
    assert done.returncode == 0, done.stderr
    assert lab(folder, "share", "site").returncode == 0
    return folder


def is_untouched(page) -> bool:
    return page.evaluate("window.hacked === undefined && !document.querySelector('img[src=x]')")


def test_planted_texts_stay_texts_in_the_report_and_on_the_site(planted, watch):
    pages = [*planted.glob("lab-reports/*/report.html"), *planted.rglob("site/**/*.html")]
    assert len(pages) >= 3
    for path in pages:
        page = watch().page
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        for opened in page.query_selector_all("details"):
            opened.evaluate("d => { d.open = true }")
        assert is_untouched(page), path
        shown = page.inner_text("body")
        wanted = (IN_A_FILE_NAME,) if path.name == "index.html" else ("<script>window.hacked", "{{7*7}}", "$x$")
        assert all(text in shown for text in wanted), path


def test_planted_texts_stay_texts_in_every_notebook(planted, watch):
    with serving(planted, KEYS) as at:
        page = watch().page
        for place in (address(p) for p in PAGES):
            page.goto(at(place))
            page.wait_for_selector("h1", timeout=120_000)
            page.wait_for_timeout(3000)
            assert is_untouched(page), place


def test_keys_of_the_environment_are_written_nowhere(planted):
    failed = lab(planted, "--debug", "decide", f"task{IN_A_FILE_NAME}", *METHODS, "--model", "nowhere/nothing")
    assert failed.returncode != 0 and "Traceback" in failed.stderr
    said = failed.stdout + failed.stderr
    written = [p for p in planted.rglob("*") if p.is_file()]
    assert len(written) > 20
    for name, value in KEYS.items():
        assert value not in said and not [p for p in written if value.encode() in p.read_bytes()], name
