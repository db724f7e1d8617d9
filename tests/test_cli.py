"""The command as a person meets it: one clear line for every mistake, and a real decision end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli import main
from lab.models.baselines import BASELINES
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def lab(tmp_path, monkeypatch, capsys):
    """Run ``lab ...`` in this process: (exit status, stdout, stderr)."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return ended.value.code, out.out, out.err

    return run


def one_line(err):
    text = err.strip()
    assert text.startswith("lab: ") and "\n" not in text and "Traceback" not in text, text
    return text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decide", "nowhere"], "no such task folder"),
        (["decide", "t", "--methods", "lora,raag"], "unknown method 'raag'; one of zero_shot"),
        (["decide", "t", "--sizes", "10,x"], "--sizes 10,x: whole numbers"),
        (["decide", "t", "--sizes", "9999"], "--sizes 9999"),
        (["decide", "t", "--seeds", "0"], "--seeds 0"),
        (["decide", "t", "--budget", "soon"], "--budget soon"),
        (["decide", "t", "--device", "tpu"], "one of auto, cpu, cuda, mps"),
        (["decide", "t", "--model", "nanoo"], "no bundled model (there are nano)"),
        (["decide", "t", "--margin", "-1"], "--margin -1"),
        (["decide", "t", "--embedder", "nothing", "--methods", "rag"], "--embedder nothing"),
        (["decide", "t", "--sieds", "3"], "No such option"),
        (["decide", "t", "--out", "t/task.toml"], "is a file; name a folder"),
        (["decide", "bare", "--methods", "rag"], "needs documents"),
        (["import", "t.csv", "--out", "o"], "no such file"),
        (["report", "nowhere"], "no such study"),
        (["prune"], "say what"),
        (["generate", "--name", "triagee"], "one of triage, handbook, reply"),
        (["pretrain", "--work", "w", "--text", "none", "--size", "huge"], "one of nano, small"),
        (["pretrain", "--work", "w", "--text", "missing.txt"], "no such text file"),
    ],
)
def test_mistakes_are_one_line_that_helps(lab, tmp_path, arguments, says):
    write_task(make_task(60), tmp_path / "t")
    write_task(make_task(60, documents=False), tmp_path / "bare")
    status, _, err = lab(*arguments)
    assert status == 2 and says in one_line(err)


def test_a_broken_line_is_named(lab, tmp_path):
    write_task(make_task(60), tmp_path / "t")
    with open(tmp_path / "t" / "test.jsonl", "a") as file:
        file.write("{oops\n")
    for command in ("decide", "check"):
        status, _, err = lab(command, "t")
        assert status == 2 and "test.jsonl, line 17: broken JSON" in one_line(err)


def test_leaks_stop_a_decision_and_fail_a_check(lab, tmp_path):
    write_task(make_task(60), tmp_path / "t")
    row = json.loads((tmp_path / "t" / "train.jsonl").read_text().splitlines()[0]) | {"id": "leak", "group": "new"}
    with open(tmp_path / "t" / "test.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
    status, out, _ = lab("check", "t")
    assert status == 1 and "leak = s0" in " ".join(out.split())
    status, _, err = lab("decide", "t")
    assert status == 2 and "--allow-leak" in one_line(err)


def test_import_check_and_decide_end_to_end(lab, tmp_path):
    rows = ["question,answer"] + [
        f"Where does person {i} live?,{['Bridgend', 'Oakley', 'Marsham'][i % 3]}" for i in range(60)
    ]
    (tmp_path / "q.csv").write_text("\n".join(rows))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(
        "\n".join(f"Person {i} lives in {['Bridgend', 'Oakley', 'Marsham'][i % 3]}." for i in range(60))
    )
    status, out, err = lab("import", "q.csv", "--out", "q", "--documents", "docs")
    assert status == 0, err
    assert "columns: input = question, target = answer" in out and "a difference of about" in " ".join(out.split())
    assert lab("import", "q.csv", "--out", "q")[0] == 2
    assert lab("check", "q")[0] == 0
    status, out, err = lab(
        "decide", "q", "--methods", "zero_shot,few_shot,rag", "--sizes", "40", "--seeds", "2", "--out", "report"
    )
    assert status == 0, err
    text = " ".join(out.split())
    assert (
        "Forecast: " in text
        and "as a race (the whole grid of " in text
        and "Smallest difference" in text
        and "report/report.html" in text
    )
    assert "Decision:" in text or "Undecided" in text
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Content-Security-Policy" in page and "lab decide q --methods zero_shot,few_shot,rag" in page
    decision = json.loads((tmp_path / "report" / "decision.json").read_text())
    assert {a["name"] for a in decision["arms"]} == {"zero_shot", "few_shot", "rag", *BASELINES}
    assert (tmp_path / "report" / "report.md").read_text().startswith("# q: ")

    (tmp_path / "report" / "report.html").unlink()
    status, out, err = lab("report", "report", "--margin", "0.2")
    assert status == 0 and (tmp_path / "report" / "report.html").exists()
    status, out, _ = lab("runs")
    assert status == 0 and "results in" in out
    assert "removed" in lab("prune", "--everything")[1]


def test_another_model_stands_beside_at_its_own_price(lab, tmp_path):
    """Two runs on the same data become one study as deployed, and a named price holds for one model only."""
    from dataclasses import replace

    from lab.study import Study

    write_task(make_task(60), tmp_path / "t")
    for out in ("one", "two"):
        status, _, err = lab(
            "decide",
            "t",
            "--methods",
            "zero_shot,rag",
            "--seeds",
            "1",
            "--sizes",
            "20",
            "--no-forgetting",
            "--out",
            out,
        )
        assert status == 0, err
    # The second stands for another model: what is told apart is its name and revision.
    study = Study.load(tmp_path / "two" / "study.json")
    study = replace(study, model=study.model | {"name": "gpt-x", "revision": "2026-11-26"})
    for measured in (*study.cells, *study.choices):
        measured.model = "gpt-x" if measured.model else ""
    study.save(tmp_path / "two" / "study.json")
    assert "can't be one" in one_line(lab("keep", "one", "two", "--out", "both")[2])
    status, _, err = lab("keep", "one", "two", "--as-deployed", "--out", "both")
    assert status == 0, err
    status, out, err = lab("report", "both", "--price", "gpt-x=gpt-4-1-mini", "--price", "h100-specialty")
    assert status == 0, err
    decision = json.loads((tmp_path / "both" / "decision.json").read_text())
    assert decision["settings"]["price_per_hour_usd"] == 2.5
    assert decision["settings"]["by_arm"]["gpt-x"]["hosting"] == "api"
    assert {a["name"] for a in decision["arms"]} >= {"rag", "rag on gpt-x"}
    page = (tmp_path / "both" / "report.html").read_text()
    assert "Beside it, as deployed and not matched: gpt-x" in page and "Compared as deployed, not matched" in page
    assert "unknown: not in the table" in one_line(lab("report", "both", "--price", "gpt-x=unknown")[2])


def test_texts_of_a_task_are_data_never_markup(lab, tmp_path):
    from dataclasses import replace

    evil = "<script>alert(1)</script>[bold]{{ 7*7 }}"
    task = make_task(60, documents=False)
    task = replace(task, name=evil, test=tuple(replace(s, id=f"{s.id}{evil}", input=s.input) for s in task.test))
    write_task(task, tmp_path / "t")
    status, _, err = lab(
        "decide", "t", "--methods", "zero_shot", "--seeds", "1", "--sizes", "20", "--no-forgetting", "--out", "r"
    )
    assert status == 0, err
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "{{ 7*7 }}" in page


def test_the_repeat_command_finds_everything_stored(lab, tmp_path, monkeypatch):
    write_task(make_task(60), tmp_path / "t")
    assert (
        lab(
            "decide",
            "t",
            "--methods",
            "few_shot",
            "--sizes",
            "20",
            "--seeds",
            "2",
            "--margin",
            "0.1",
            "--no-forgetting",
            "--out",
            "r",
        )[0]
        == 0
    )
    command = json.loads((tmp_path / "r" / "study.json").read_text())["settings"]["command"].split()
    from lab.models.local import LocalModel

    monkeypatch.setattr(LocalModel, "complete", lambda *a, **k: pytest.fail("completed again"))
    assert command[0] == "lab" and lab(*command[1:])[0] == 0


def test_ctrl_c_is_one_line_and_loses_nothing(tmp_path):
    """A real interrupt of a real process, then the same command again."""
    import signal
    import time

    write_task(make_task(200), tmp_path / "t")
    environment = os.environ | {"LAB_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [
        sys.executable,
        "-m",
        "lab",
        "decide",
        "t",
        "--methods",
        "zero_shot,few_shot,lora",
        "--sizes",
        "100",
        "--seeds",
        "1",
        "--no-forgetting",
        "--out",
        "r",
    ]
    # Tests that were started with & ignore interrupts, and what they start would as well.
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    stored = tmp_path / "home" / "results" / "evaluation"
    deadline = time.time() + 120
    while time.time() < deadline and not (stored.is_dir() and len(list(stored.iterdir())) >= 2):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command goes on from there" in err and "Traceback" not in err
    before = {p.name for p in stored.iterdir()}
    assert len(before) >= 2
    again = subprocess.run(
        [*command, "--plan-only"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert before <= {p.name for p in stored.iterdir()}


def test_bundled_folders_are_tasks():
    for name in ("triage", "handbook", "reply"):
        assert load_task(ROOT / "datasets" / name).name == name


def test_a_name_with_brackets_or_a_way_out_is_text_and_stays_inside(lab, tmp_path):
    """A task's own name is data: it styles nothing, and decides only the last part of a report's folder."""
    task = make_task(60)
    write_task(task, tmp_path / "odd [/b]")
    toml = tmp_path / "odd [/b]" / "task.toml"
    toml.write_text(toml.read_text().replace('"toy"', '"../../away/[/dim] [red]"'))
    before = {p for p in tmp_path.parent.iterdir()}
    status, out, err = lab("check", "odd [/b]")
    assert status == 0 and "../../away/[/dim] [red] (odd [/b]), scorer exact" in " ".join(out.split()), err
    status, out, err = lab("decide", "odd [/b]", "--methods", "zero_shot", "--no-forgetting", "--seeds", "1")
    assert status == 0, err
    written = {p.relative_to(tmp_path) for p in tmp_path.rglob("report.html")}
    assert written == {Path("lab-reports") / "away-dim-red-nano" / "report.html"}
    assert {p for p in tmp_path.parent.iterdir()} == before


def test_import_into_this_folder_takes_its_name(lab, tmp_path, monkeypatch):
    rows = "".join(f"question {i},answer {i % 7}\n" for i in range(40))
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "q.csv").write_text("question,answer\n" + rows)
    assert lab("import", "../q.csv", "--out", ".")[0] == 0
    assert load_task(tmp_path / "mine").name == "mine"


def test_bad_rows_are_left_out_and_written_beside_the_task(lab, tmp_path):
    rows = [json.dumps({"text": f"item {n}", "label": str(n % 3)}) for n in range(30)]
    (tmp_path / "b.jsonl").write_text("\n".join([*rows, "{broken"]))
    status, _, err = lab("import", "b.jsonl", "--out", "b")
    assert status == 2 and "line 31: broken JSON" in one_line(err) and not (tmp_path / "b").exists()
    status, out, _ = lab("import", "b.jsonl", "--out", "b", "--skip-bad-rows")
    assert status == 0 and "1 bad rows left out: b/skipped_rows.jsonl" in out
    (skipped,) = (tmp_path / "b" / "skipped_rows.jsonl").read_text().splitlines()
    assert json.loads(skipped)["line"] == 31 and len(load_task(tmp_path / "b").labelled) > 0
