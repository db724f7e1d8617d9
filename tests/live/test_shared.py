"""*Decide* for a reader's browser: its verdicts without numpy, what a site carries, and what is told where it can't."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.decision import Settings, decide
from lab.live import shared
from lab.live.scenes import Scenes, read
from lab.live.wheels import FILE, lab_wheel
from lab.schema import LabError
from lab.study import Study

REPORTS = Path(__file__).resolve().parents[2] / "reports"
STUDY = REPORTS / "triage_reference"
MOVED = (
    {},
    {"size": 100, "rank": 4, "requests": 1_000_000, "margin": 0.5, "price": 3.0, "months": 1},
    {"size": 25, "latency": 0.01},
    {"size": 400, "forgetting": 2, "shared_model": True, "margin": 20.0},
)
START = {
    "size": 1600,
    "rank": None,
    "requests": 10_000,
    "margin": 5.0,
    "price": 1.0,
    "months": 12,
    "latency": 0.0,
    "forgetting": 5,
    "shared_model": False,
}
"""Where the controls stand at first."""
HEAVY = (
    "torch faiss transformers sentence_transformers peft sklearn vl_convert datasets numpy scipy pandas altair pyarrow"
)
DRIVER = f"""
import importlib.util, json, sys
from pathlib import Path
from types import SimpleNamespace

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY.split()}:
            raise ImportError(f"refused: {{name}}")

sys.meta_path.insert(0, Refusing())
spec = importlib.util.spec_from_file_location("shared_decide", sys.argv[1])
notebook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(notebook)
told = []
for controls in json.loads(sys.argv[2]):
    defs = {{name: SimpleNamespace(value=value) for name, value in controls.items()}}
    shown, known = notebook.app.run(defs=defs)
    texts = " ".join(o.text for o in shown if o is not None and not isinstance(o, dict))
    told.append([known["decision"].as_json(), texts])
outputs, known = notebook.app.run()
import lab
print(json.dumps([told, known["decision"].sentence, lab.__file__]))
"""


@pytest.fixture
def unpacked(tmp_path):
    """The notebook beside its scenes, and the lab as a browser gets it: out of the wheel."""
    beside = tmp_path / "beside"
    (beside / "public").mkdir(parents=True)
    (beside / shared.NOTEBOOK).write_bytes((shared.NOTEBOOKS / shared.NOTEBOOK).read_bytes())
    (beside / "public" / "scenes.json").write_bytes(Scenes.of(Study.load(STUDY / "study.json")).written())
    with zipfile.ZipFile(io.BytesIO(lab_wheel())) as wheel:
        wheel.extractall(tmp_path / "site-packages")
    return tmp_path


def settings_of(controls) -> Settings:
    return Settings(
        margin=controls["margin"] / 100,
        monthly_requests=controls["requests"],
        price_per_hour_usd=controls["price"],
        months=controls["months"],
        latency_limit_seconds=controls["latency"] or None,
        forgetting_limit=controls["forgetting"] / 100 if controls["shared_model"] else None,
    )


def test_the_notebook_decides_as_the_lab_does_with_nothing_heavy_at_hand(unpacked):
    places = [START | moved for moved in MOVED]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, unpacked / "beside" / shared.NOTEBOOK, json.dumps(places)],
        capture_output=True,
        text=True,
        cwd=unpacked,
        env=os.environ | {"PYTHONPATH": str(unpacked / "site-packages")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told, at_first, where = json.loads(done.stdout.splitlines()[-1])
    assert Path(where).is_relative_to(unpacked), "the lab of the wheel was tried"
    study = Study.load(STUDY / "study.json").redacted()
    wanted = [decide(study, settings_of(at), at["size"], at["rank"]) for at in places]
    assert [decision for decision, _ in told] == [json.loads(json.dumps(d.as_json())) for d in wanted]
    assert len({d.sentence for d in wanted}) == len(MOVED) and at_first == wanted[0].sentence
    for (_, texts), decision in zip(told, wanted):
        assert decision.sentence in texts and decision.standings[-1].why in texts


def test_scenes_come_back_as_they_were_written():
    study = Study.load(REPORTS / "handbook" / "study.json")
    scenes = Scenes.of(study)
    assert read(scenes.written()) == scenes
    assert scenes.at(None, None) == scenes.shown[-1] and scenes.forgets
    words = {item for item in study.items if len(item) > 3}
    assert not any(f'"{word}"' in scenes.written().decode() for word in words), "ids of the task's items stay at home"
    with pytest.raises(ValueError):
        read(b'{"task": "t"}')


def test_the_wheel_holds_code_and_no_weights():
    with zipfile.ZipFile(io.BytesIO(lab_wheel())) as wheel:
        names = wheel.namelist()
        record = wheel.read("decision_lab-0.dist-info/RECORD").decode().splitlines()
        assert "Requires-Dist" not in wheel.read("decision_lab-0.dist-info/METADATA").decode()
    assert [line.split(",")[0] for line in record] == names
    assert {"lab/decision.py", "lab/measure/draws.json", "lab/live/templates/verdict.html"} <= set(names)
    assert not any("bundled" in name for name in names)
    assert FILE in (shared.NOTEBOOKS / shared.NOTEBOOK).read_text(), "the notebook installs this file"
    assert lab_wheel() == lab_wheel()


def test_share_writes_a_page_that_decides_in_the_browser(run, no_imports):
    earlier = Path("site/live/triage_reference/public/scenes.json")
    earlier.parent.mkdir(parents=True)
    earlier.write_text("of an earlier study")
    status, out, err = run(
        "share", "site", REPORTS / "triage", "--live", STUDY, "--live", REPORTS / "handbook", "--json"
    )
    assert status == 0, err
    told = json.loads(out)
    assert told["live"] == ["live/triage_reference/index.html", "live/handbook/index.html"] and told["notebooks"] == []
    made = Path("site/live/triage_reference")
    page = (made / "index.html").read_text()
    assert "scenes.json" in page and "marimo" in page
    assert (made / "public" / FILE).read_bytes() == lab_wheel()
    assert read((made / "public" / "scenes.json").read_bytes()).task == "triage"
    assert not (made / "CLAUDE.md").exists() and not list(Path("site").rglob("study.json"))
    index = Path("site/index.html").read_text()
    assert 'href="live/handbook/index.html"' in index and "cdn.jsdelivr.net" in index and "over HTTP" in index


def test_what_is_missing_is_told(run, tmp_path, monkeypatch):
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "uv", None)
    status, _, err = run("share", "site", REPORTS / "triage", "--live", STUDY)
    assert status == 2 and "pip install 'decision-lab[share]'" in err
    status, _, err = run("share", "site", REPORTS / "triage", "--live", tmp_path)
    assert status == 2 and "no such study" in err
    status, _, err = run("share", "site", REPORTS / "triage", "--live", STUDY, "--live", STUDY)
    assert status == 2 and "two reports are called triage_reference" in err
    assert not Path("site/index.html").exists()


def test_what_marimo_said_is_told(tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho broken ruff >&2\nexit 3\n")
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    with pytest.raises(LabError, match="(?s)could not export it: .*broken ruff"):
        shared.share_live(tmp_path / "site", STUDY)
