"""Reports: every number traces to the study, and a kept study is read beneath the store."""

from __future__ import annotations

import json
import re
import sys

import pytest

from lab.cli import main
from lab.decision import Settings, decide
from lab.report.tables import choices_table, controls_table, grid_table
from lab.report.write import write_report
from lab.store import Store
from lab.study import Study
from lab.tasks.task import write_task
from tests.conftest import make_task
from tests.flow.test_runner import quick_plan, runner_for
from tests.report.rule import rich_study


@pytest.fixture(scope="module")
def study(tiny, tmp_path_factory):
    task = make_task(80)
    return runner_for(task, tiny, tmp_path_factory.mktemp("home")).run(quick_plan(task, sizes=(20, 40)))


def test_numbers_in_the_page_are_those_of_the_study(study, tmp_path):
    decision = decide(study, Settings(margin=0.1))
    paths = write_report(study, Settings(margin=0.1), tmp_path)
    page, text = paths["html"].read_text(), paths["markdown"].read_text()
    for arm in decision.arms:
        assert f"{100 * arm.accuracy:.1f} %" in page and f"{100 * arm.accuracy:.1f} %" in text
    assert json.loads(paths["json"].read_text())["sentence"] == decision.sentence
    rag = [c for c in study.cells if c.method == "rag"]
    row = controls_table(study)[0]
    assert row["retrieved"] == next(c.accuracy for c in rag if not c.control) and row["oracle"] == next(
        c.accuracy for c in rag if c.control == "oracle"
    )
    lora = next(g for g in grid_table(study) if g["label"] == "lora r2" and g["size"] == 40)
    assert lora["seeds"] == 2 and lora["accuracy"] == pytest.approx(
        sum(c.accuracy for c in study.cells_of("lora", 40)) / 2
    )
    assert {c["trials"] for c in choices_table(study)} == {2, 4}
    assert paths["chart"].read_text().count("<svg") == 1


def test_the_page_needs_nothing_from_outside(study, tmp_path):
    page = write_report(study, Settings(), tmp_path)["html"].read_text()
    assert "default-src 'none'; script-src 'sha256-" in page and "unsafe-eval" not in page
    outside_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']https?:", outside_scripts) and "@import" not in outside_scripts
    assert len(page.encode()) < 3_000_000


def test_the_decision_file_follows_its_schema(study, tmp_path):
    import jsonschema

    paths = write_report(study, Settings(), tmp_path)
    schema, decision = json.loads(paths["schema"].read_text()), json.loads(paths["json"].read_text())
    jsonschema.validate(decision, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(decision | {"arms": [decision["arms"][0] | {"accuracy": "high"}]}, schema)


def test_a_kept_study_answers_for_a_newcomer(tmp_path, monkeypatch, capsys):
    """``lab keep`` copies results without weights; another LAB_HOME with them beneath runs nothing again."""
    from lab.models.local import LocalModel

    def lab(*arguments):
        monkeypatch.setattr(sys, "argv", ["lab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "one"))
    write_task(make_task(60), tmp_path / "t")
    command = ("decide", "t", "--methods", "zero_shot,few_shot", "--sizes", "20", "--seeds", "2", "--no-forgetting")
    lab(*command, "--out", "r")
    lab("keep", "r", "--out", "reports/mine")
    assert not list((tmp_path / "reports").rglob("*.safetensors")) and list((tmp_path / "reports").rglob("record.json"))
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "two"))
    monkeypatch.setattr("lab.store.results.COMMITTED", tmp_path / "reports")
    monkeypatch.setattr(
        Store.__init__, "__defaults__", (None, tmp_path / "reports", ("adaptation", "evaluation", "choice"))
    )
    monkeypatch.setattr(LocalModel, "complete", lambda *a, **k: pytest.fail("completed again"))
    lab(*command, "--out", "again")
    lab("keep", "r", "--out", "private", "--no-texts")
    assert not list((tmp_path / "private").rglob("*.parquet"))


def test_a_shared_site_lists_and_holds_the_reports(study, tmp_path):
    from lab.report.share import share
    from lab.schema import LabError

    write_report(study, Settings(), tmp_path / "a&b")
    write_report(study, Settings(), tmp_path / "second")
    listed = share(tmp_path / "site", [tmp_path / "a&b", tmp_path / "second"])
    index = (tmp_path / "site" / "index.html").read_text()
    assert [entry.name for entry in listed] == ["a&b", "second"] and 'href="a%26b/report.html"' in index
    assert (tmp_path / "site" / "second" / "report.html").read_text() == (
        tmp_path / "second" / "report.html"
    ).read_text()
    with pytest.raises(LabError, match="no report in it"):
        share(tmp_path / "site", [tmp_path])


def test_a_redacted_study_holds_no_word_of_the_task(study, tmp_path):
    planted = Study.load(_saved(study, tmp_path))
    planted.groups = [f"Customer Mueller {i % 7}" for i in range(len(planted.items))]
    planted.items = [f"secret-{i}" for i in range(len(planted.items))]
    planted.findings = [
        {
            "level": "note",
            "kind": "balance",
            "text": "always answering 'Fraud - Mueller GmbH' gives 30 %",
            "ids": ["secret-1", "secret-2"],
        }
    ]
    shown = planted.redacted()
    write_report(shown, Settings(), tmp_path / "r")
    shown.save(tmp_path / "r" / "study.json")
    for path in (tmp_path / "r").iterdir():
        assert "Mueller" not in path.read_text() and "secret-" not in path.read_text(), path
    assert decide(shown).sentence == decide(planted).sentence, "numbers for names change no group"
    assert "balance (2 items)" in (tmp_path / "r" / "report.md").read_text()


def _saved(study, folder):
    study.save(folder / "planted.json")
    return folder / "planted.json"


@pytest.mark.parametrize(
    ("decoding", "extraction", "told"),
    [
        ({"max_tokens": 8, "stop": "", "allowed": "{}"}, "", "could write only what the task allows"),
        ({"max_tokens": 8, "stop": "", "allowed": "{}", "choose": "per_character"}, "", "label (per character)"),
        ({"max_tokens": 8, "stop": ""}, "last_line", "extracted (last line)"),
    ],
)
def test_how_answers_came_about_is_said(tmp_path, decoding, extraction, told):
    study = rich_study()
    paths = write_report(study, Settings(), tmp_path / "plain")
    assert told not in paths["html"].read_text()
    study.settings |= {"decoding": decoding, "extraction": extraction}
    paths = write_report(study, Settings(), tmp_path / "said")
    assert told in paths["html"].read_text() and told in (tmp_path / "said" / "report.md").read_text()
