"""What programs and scripts get: one JSON value, the bare result, an exit status that means something."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.commands import exits
from lab.commands.decide import missed_wish
from lab.tasks.task import write_task
from tests.conftest import make_task

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--methods", "zero_shot,few_shot", "--sizes", "20", "--seeds", "1", "--no-forgetting")


def test_a_decision_as_json_as_a_word_and_as_a_status(run, tmp_path):
    """One run; the same command again finds all of it stored, however its result is told."""
    write_task(make_task(60), tmp_path / "t")
    status, out, err = run("decide", "t", *QUICK, "--out", "r", "--json", "--fail-under", "0.9")
    decision = json.loads((tmp_path / "r" / "decision.json").read_text())
    assert json.loads(out) == decision and status == exits.FAILED
    assert "Forecast: " in err and err.endswith("lab: --fail-under 0.9: no arm is taken\n")
    kept = json.loads((tmp_path / "r" / "study.json").read_text())["settings"]["command"]
    assert kept == f"lab decide t {' '.join(QUICK)}", "how a result is told is no part of the command"
    assert len(list((tmp_path / "home" / "studies").iterdir())) == 1
    status, out, err = run("decide", "t", *QUICK, "--out", "r", "-q")
    assert (status, err) == (0, "") and out == f"{decision['sentence']}\nr/report.html\n"
    assert len(list((tmp_path / "home" / "studies").iterdir())) == 1
    status, out, err = run("decide", "t", *QUICK, "--plan-only", "--json")
    assert status == 0 and set(json.loads(out)["cells"]) == {"zero_shot", "few_shot size 20 seed 1"}
    status, out, _ = run("decide", "t", *QUICK, "--plan-json")
    assert status == 0 and json.loads(out.strip().splitlines()[-1])["cells"], "as the notebooks read it"

    status, out, err = run("report", "r", "--json")
    made = json.loads(out)
    assert (status, err) == (0, "") and made["sentence"] == decision["sentence"]
    assert all((tmp_path / path).is_file() for path in made["written"].values()) and len(made["written"]) == 5
    status, out, err = run("keep", "r", "--out", "kept", "--quiet")
    assert (status, out, err) == (0, "kept\n", "")
    found = json.loads(run("runs", "--json")[1])
    own = [s for s in found["studies"] if not s["committed"]]
    assert {(s["task"], s["model"], tuple(s["arms"])) for s in own} == {("toy", "nano", tuple(own[0]["arms"]))}
    assert {"kind", "key", "what", "seconds", "date", "committed"} <= found["results"][0].keys()
    site = json.loads(run("share", "site", "r", "--json")[1])
    assert site["written"] == "site/index.html" and site["entries"][0]["verdict"] == "provisional"
    assert (site["entries"][0]["task"], site["entries"][0]["model"]) == ("toy", "nano")


def decision_with(chosen, **accuracies):
    return SimpleNamespace(chosen=chosen, arms=[SimpleNamespace(label=k, accuracy=v) for k, v in accuracies.items()])


@pytest.mark.parametrize(
    ("decision", "least", "says"),
    [
        (decision_with("rag", rag=0.8, lora=0.9), 0.8, ""),
        (decision_with("rag", rag=0.799, lora=0.9), 0.8, "--fail-under 0.8: rag is right on 79.9 %"),
        (decision_with("", rag=0.9), 0.0, "--fail-under 0: no arm is taken"),
        (decision_with("", rag=0.9), None, ""),
    ],
)
def test_a_wish_is_held_against_the_arm_that_is_taken(decision, least, says):
    assert missed_wish(decision, least) == says


def test_a_wish_that_is_none_is_refused_before_anything_runs(run, tmp_path):
    write_task(make_task(60), tmp_path / "t")
    status, out, err = run("decide", "t", "--fail-under", "80", "--json")
    assert status == exits.WRONG and not out and "--fail-under 80: a share of 1 is needed" in err


def test_findings_paths_and_tables_as_json(run, tmp_path):
    task = make_task(60)
    write_task(task, tmp_path / "t")
    row = json.loads((tmp_path / "t" / "train.jsonl").read_text().splitlines()[0]) | {"id": "leak", "group": "new"}
    with open(tmp_path / "t" / "test.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    status, out, _ = run("check", "t", "--json")
    found = json.loads(out)
    assert status == exits.FAILED and found["task"] == "toy"
    assert [f["kind"] for f in found["findings"] if f["level"] == "error"] and "leak" in found["findings"][0]["ids"]
    (tmp_path / "q.csv").write_text("question,answer\n" + "".join(f"question {n},{n % 7}\n" for n in range(40)))
    status, out, err = run("import", "q.csv", "--out", "q", "--json")
    made = json.loads(out)
    assert status == 0 and made["written"] == "q" and made["train"] + made["validation"] + made["test"] == 40
    assert made["columns"] | {"input": "", "target": ""} == dict.fromkeys(made["columns"], "") and "q: " in err
    assert run("import", "q.csv", "--out", "p", "--quiet") == (0, "p\n", "")

    status, out, err = run("memory", "gpt2", "--batch", "2", "--json")
    used = json.loads(out)
    assert (status, err, used["batch"]) == (0, "", 2) and {"full", "lora", "qlora"} <= set(used["training_bytes"])
    for parts in used["training_bytes"].values():
        assert parts["total"] == pytest.approx(sum(v for k, v in parts.items() if k != "total"))
    assert used["serving_bytes"]["weights"] == 2 * used["parameters"]
    status, out, err = run("prices", "--json")
    listed = {row["name"]: row for row in json.loads(out)}
    assert (status, err) == (0, "") and listed["h100-specialty"]["fields"]["price_per_hour_usd"] == 2.5
    status, out, err = run("get", "--json")
    assert (status, err) == (0, "") and {r["name"]: r["folder"] for r in json.loads(out)}["minilm"] == ""


def test_quiet_still_tells_errors(run, tmp_path):
    """A leak that is allowed is no reason to stop, and no reason to be silent."""
    write_task(make_task(60), tmp_path / "t")
    row = json.loads((tmp_path / "t" / "train.jsonl").read_text().splitlines()[0]) | {"id": "leak", "group": "new"}
    with open(tmp_path / "t" / "test.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    status, out, err = run("decide", "t", *QUICK, "--plan-only", "--quiet", "--allow-leak")
    assert status == 0 and "leak" in err and all(line.startswith("lab: ") for line in err.splitlines())
    assert json.loads(out)["seconds"] > 0 and out.count("\n") == 1


def test_the_help_ends_in_the_statuses_and_stands_on_stdout(run):
    status, bare, err = run()
    assert (status, err) == (0, "") and bare.startswith("Usage: ") and bare == run("--help")[1]
    told = {int(n) for n in re.findall(r"^ +(\d+)  ", bare[bare.index("Exit status:") :], re.M)}
    assert told == set(exits.MEANING) == {0, 1, 2, 70, 130}


def test_a_fault_of_the_lab_is_no_failed_check(run, monkeypatch, tmp_path):
    import lab.tasks.task

    write_task(make_task(60), tmp_path / "t")
    monkeypatch.setattr(lab.tasks.task, "load_task", lambda folder: 1 / 0)
    status, _, err = run("check", "t")
    assert status == exits.FAULT and "this is a bug" in err


def test_options_of_decide_stand_in_groups(run):
    shown = run("decide", "--help")[1]
    heads = re.findall(r"^(\S.*):$", shown, re.M)
    assert heads == ["Arguments", "Methods", "Data", "Model", "Scale", "Money and limits", "Output", "Options"]
    parts = dict(zip(heads, re.split(r"^\S.*:$", shown, flags=re.M)[1:]))
    for option, head in {
        "--methods": "Methods",
        "--sizes": "Data",
        "--embedder": "Model",
        "--seeds": "Scale",
        "--margin": "Money and limits",
        "--price ": "Money and limits",
        "--fail-under": "Output",
        "--json": "Output",
        "--help": "Options",
    }.items():
        assert [h for h, text in parts.items() if re.search(rf"^ .*{option}", text, re.M)] == [head], option
    assert len(re.findall(r"^  ", parts["Options"], re.M)) == 1, "every option of decide has a group"


@pytest.mark.parametrize("arguments", [["--help"], ["decide", "--help"], ["init", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['lab', *{arguments!r}]\n"
        "from lab.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    sys.exit(bool({'torch', 'pandas', 'scipy', 'marimo'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decide", "nowhere"], "lab init FILE --out nowhere"),
        (["decide", "triage"], "no such task folder; the bundled task is datasets/triage"),
        (["check", "q.csv"], "make one of it with: lab init q.csv"),
        (["check", "half"], "lab init FILE"),
        (["report", "nowhere"], "no such study; make one with lab decide TASK"),
        (["predict", "nowhere", "q.csv", "--input", "a"], "no such study; make one with lab decide TASK"),
        (["share", "site"], "make one with lab decide"),
        (["import", "nowhere.csv", "--out", "o"], "lab init --example FOLDER"),
        (["decide"], "lab decide --help"),
    ],
)
def test_errors_name_the_next_command(run, tmp_path, arguments, says):
    write_task(make_task(40), tmp_path / "datasets" / "triage")
    (tmp_path / "q.csv").write_text("a,b\n1,2\n")
    (tmp_path / "half").mkdir()
    status, _, err = run(*arguments)
    assert status == 2 and says in err and err.startswith("lab: ") and err.count("\n") == 1, err
