"""Studies, decisions and records that someone damaged: one line that names the file, never a report of nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.commands.results import settings_of_decision
from lab.measure.settings import Settings
from lab.report.share import share
from lab.report.write import write_report
from lab.schema import LabError
from lab.store import Store
from lab.study import Study
from tests.report.rule import rich_study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path):
    rich_study().save(tmp_path / "study.json")
    return tmp_path / "study.json"


def drop(key):
    return lambda s: s.pop(key)


def put(*where, value):
    def change(study):
        for key in where[:-1]:
            study = study[key]
        study[where[-1]] = value

    return change


NOTHING = {"key": "k", "method": "lora", "size": 1, "rank": 1, "trials": [], "chosen": 0}
FAULTS = {
    "no task": drop("task"),
    "task a list": put("task", value=[]),
    "task without a digest": lambda s: s["task"].pop("digest"),
    "no items": drop("items"),
    "made empty": put("made", value={}),
    "seeds a text": put("settings", "seeds", value="three"),
    "a cell without outcomes": lambda s: s["cells"][0].pop("outcomes"),
    "fewer outcomes": put("cells", 0, "outcomes", value="cw"),
    "unknown letters": lambda s: s["cells"][0].update(outcomes="x" * len(s["items"])),
    "usage a text": put("cells", 0, "usage", "seconds", value="0.1"),
    "usage no number": put("cells", 0, "usage", "seconds", value=float("nan")),
    "an unknown field": put("cells", 0, "colour", value="red"),
    "choices broken": put("choices", value=[{}]),
    "a choice of nothing": put("choices", value=[NOTHING]),
    "another schema": put("schema", value=99),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study(path, fault):
    Study.load(path)
    study = json.loads(path.read_text())
    FAULTS[fault](study)
    path.write_text(json.dumps(study))
    with pytest.raises(LabError) as error:
        Study.load(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", "\\xff", '{"schema": 2}', "null"])
def test_what_is_no_study(path, text):
    path.write_text(text)
    with pytest.raises(LabError, match="damaged study"):
        Study.load(path)


def test_every_committed_study_is_sound():
    found = sorted((ROOT / "reports").rglob("study.json"))
    assert len(found) > 10
    for path in found:
        assert Study.load(path).cells


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"sentence": 5}', "[" * 100_000])
def test_a_decision_that_is_none_is_not_shared(tmp_path, text):
    write_report(rich_study(), Settings(), tmp_path / "r")
    (tmp_path / "r" / "decision.json").write_text(text)
    with pytest.raises(LabError, match="damaged decision"):
        share(tmp_path / "site", [tmp_path / "r"])
    if "sentence" not in text:
        with pytest.raises(LabError, match="damaged decision"):
            settings_of_decision(tmp_path / "r" / "decision.json")


@pytest.mark.parametrize(
    "change",
    [put("what", value=[]), drop("what"), drop("made"), put("made", value="x"), put("made", "date", value=5)]
    + [put("made", "seconds", value="long"), put("result", value=None)],
)
def test_a_record_that_is_none_is_listed_as_damaged(tmp_path, monkeypatch, capsys, change):
    from lab.commands.results import runs

    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    entry = Store(tmp_path, committed=None).once("evaluation", {"kind": "evaluation"}, lambda draft: {"ok": 1}, {})
    record = json.loads((entry.folder / "record.json").read_text())
    change(record)
    (entry.folder / "record.json").write_text(json.dumps(record))
    assert entry.damaged and not entry.readable
    runs()
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize("changed", [{"months": 10**400}, {"monthly_requests": 10**400}, {"price_per_hour_usd": 1e308}])
def test_amounts_beyond_reason(changed):
    with pytest.raises(LabError, match="1e[+]12") as error:
        Settings(**changed)
    assert len(str(error.value)) < 150
