"""What the notebooks stand on: studies put together, runs in the background, uploads, rows of the charts."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.flow.looks import note_test_look
from lab.live import jobs, study_charts, task_charts, uploads
from lab.live.charts import live
from lab.live.shelf import Shelf, missing
from lab.measure.forgetting import forgotten
from lab.measure.joining import combine
from lab.report.charts.base import QUIET
from lab.report.charts.cost import cost_chart
from lab.report.charts.lines import lines_chart
from lab.report.charts.quality import quality_chart
from lab.report.charts.sizes import size_chart
from lab.report.looks import Looks
from lab.report.tables import forecast_table, plan_seconds
from lab.report.words import escaped
from lab.schema import LabError
from lab.store import Store
from lab.study import Cell, Choice, Probed, Trial
from lab.tasks.task import write_task
from tests.conftest import make_task
from tests.test_decision import outcomes, study_of


def kept_study(folder: Path, **changes):
    study = study_of({"rag": [outcomes(0.3, 100, 0)], "lora": [outcomes(0.9, 100, s) for s in (1, 2, 3)]})
    study.task |= {"digest": "d"}
    study.model |= {"revision": "r"}
    study.made |= {"date": "2026-11-26", "machine": {"name": "m"}}
    study.settings = {"seeds": 3, "decoding": {}, "embedder": "embedder", "command": folder.name}
    study = replace(study, **changes)
    study.save(folder / "study.json")
    return study


def test_a_shelf_puts_cells_together_and_names_what_is_damaged(tmp_path):
    store = Store(tmp_path / "home", committed=tmp_path / "reports")
    committed = kept_study(tmp_path / "reports" / "reference")
    own = kept_study(tmp_path / "home" / "studies" / "mine")
    own.cells = [replace(own.cells[0], outcomes="c" * 100), Cell("lora", 0, 25, 4, outcomes="c" * 100, machine="n")]
    own.save(tmp_path / "home" / "studies" / "mine" / "study.json")
    other = kept_study(tmp_path / "home" / "studies" / "othermodel")
    other.model["revision"] = "another"
    other.save(tmp_path / "home" / "studies" / "othermodel" / "study.json")
    import os

    os.utime(tmp_path / "home" / "studies" / "othermodel" / "study.json", (1, 1))
    (tmp_path / "reports" / "broken").mkdir()
    (tmp_path / "reports" / "broken" / "study.json").write_text("{")
    shelf = Shelf.read(store, folders=())
    assert shelf.names() == [("t", "m")] and len(shelf.damaged) == 1 and "broken" in shelf.damaged[0]
    assert [s.path.parent.name for s in shelf.of("t", "m")] == ["mine", "reference"]
    study = shelf.combined("t", "m")
    assert study.cells_of("rag", None)[0].accuracy == 1.0, "own cells stand before committed ones"
    assert "finished" in study.made and len(study.cells) == len(committed.cells) + 1 and study.sizes() == [25, 100]
    assert shelf.combined("t", "unknown") is None


def test_seeds_of_one_arm_never_mix_settings_or_machines(tmp_path):
    store = Store(tmp_path / "home", committed=tmp_path / "reports")
    kept_study(tmp_path / "reports" / "reference")
    demo = kept_study(tmp_path / "home" / "studies" / "demo")
    demo.cells = [
        replace(
            next(c for c in demo.cells if c.method == "lora"),
            outcomes="w" * 100,
            machine="laptop",
            weights={"name": "lora", "learning_rate": 0.5},
        )
    ]
    del demo.made["finished"]
    demo.save(tmp_path / "home" / "studies" / "demo" / "study.json")
    study = Shelf.read(store, folders=()).combined("t", "m")
    lora = study.cells_of("lora", 100, 16)
    assert [c.seed for c in lora] == [0, 1, 2] and {c.machine for c in lora} == {"m"} and lora[0].accuracy > 0.5
    only = Shelf.read(Store(tmp_path / "home", committed=None), folders=()).combined("t", "m")
    assert "finished" not in only.made, "a stopped run alone gives no verdict"


def test_studies_become_one_with_all_that_was_forecast(tmp_path):
    first, second, foreign = (kept_study(tmp_path / name) for name in ("first", "second", "foreign"))
    second.cells = [replace(c, size=400) for c in second.cells if c.method == "lora"]
    first.plan = {
        "methods": ["rag", "lora"],
        "forecast_seconds": 30.0,
        "forecast": {"lora": {"search": 10.0, "cells": {"lora size 100": 5.0}, "peak_bytes": 1e6}},
        "measured": {"lora size 100": {"method": "lora", "search": 9.0, "cell": 6.0}},
    }
    second.plan = {
        "methods": ["lora"],
        "forecast_seconds": 60.0,
        "forecast": {"lora": {"search": 20.0, "cells": {"lora size 400": 7.0}, "peak_bytes": 2e6}},
        "measured": {"lora size 400": {"method": "lora", "search": 21.0, "cell": 8.0}},
    }
    one = combine([first, second])
    assert (
        one.sizes() == [100, 400]
        and len(one.cells) == len(first.cells) + 3
        and one.settings["command"] == "first; second"
    )
    (row,) = forecast_table(one, 1.0)
    assert (row["cells"], row["forecast"], row["measured"], row["peak_bytes"]) == (2, 42.0, 44.0, 2e6)
    assert plan_seconds(one) is None, "no single run took that"
    again = replace(
        first,
        plan=first.plan
        | {
            "forecast": {"lora": first.plan["forecast"]["lora"] | {"search": 99.0}},
            "measured": {"lora size 100": {"method": "lora", "search": 0.0, "cell": 0.1}},
        },
    )
    assert forecast_table(combine([first, second, again]), 1.0) == [row], "a run that read the store adds nothing"
    foreign.task["digest"] = "other data"
    with pytest.raises(LabError, match="can't be one"):
        combine([first, foreign])


def test_words_show_and_do_nothing():
    nasty = '<script src=//x></script> can\'t "be" **bold** [a](javascript:alert(1)) ::lucide:x:: $y$'
    shown = escaped(nasty)
    assert "<" not in shown and "**" not in shown and "](" not in shown and "$" not in shown
    import html

    assert html.unescape(shown) == nasty


def test_probes_of_other_items_are_not_mixed(tmp_path):
    def base(words, key="1"):
        return [
            Probed("words", "w", outcomes=words, evaluation=key),
            Probed("facts", "f", outcomes="c" * 8, evaluation="2"),
        ]

    store = Store(tmp_path / "home", committed=None)
    after = [
        Probed("words", "w", "lora", 0, 100, 16, outcomes="w" * 40),
        Probed("facts", "f", "lora", 0, 100, 16, outcomes="w" * 8),
    ]
    kept_study(tmp_path / "home" / "studies" / "old", probed=[*base("c" * 40), *after])
    time.sleep(0.02)
    kept_study(tmp_path / "home" / "studies" / "new", probed=base("c" * 39 + "w"))
    lost = forgotten(Shelf.read(store, folders=()).combined("t", "m"), "lora", 100, 16)
    assert [(c.probe, c.items) for c in lost.changes] == [("words", 40), ("facts", 8)], (
        "the same items, asked on another machine"
    )
    kept_study(tmp_path / "home" / "studies" / "new", probed=base("c" * 200, "9"))
    assert forgotten(Shelf.read(store, folders=()).combined("t", "m"), "lora", 100, 16) is None, (
        "other words: no headline over half of the probes"
    )


def test_a_website_cannot_ask():
    from starlette.testclient import TestClient

    from lab.live.serve import LocalOnly

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    client = TestClient(LocalOnly(inner, "secret"), base_url="http://127.0.0.1:2718")
    assert client.get("/").status_code == 403 and "lab open has printed" in client.get("/").text
    assert client.get("/?access_token=guess").status_code == 403
    sent = client.get("http://127.0.0.1:2718//evil.example/a?task=x+y&access_token=secret", follow_redirects=False)
    assert sent.status_code == 303 and sent.headers["location"] == "/evil.example/a?task=x+y"
    assert "HttpOnly; SameSite=Strict" in sent.headers["set-cookie"] and "secret" not in sent.headers["location"]
    assert client.get("/").status_code == 200
    other = TestClient(LocalOnly(inner, "another"), base_url="http://127.0.0.1:2719", cookies=client.cookies)
    assert other.get("/").status_code == 403
    assert client.get("/", headers={"origin": "http://127.0.0.1:2718"}).status_code == 200
    assert client.get("/", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/", headers={"host": "rebound.example"}).status_code == 403
    for host in ("127.0.0.1:port", "127.0.0.1:99999", "[::1", ""):
        assert client.get("/", headers={"host": host}).status_code == 403


def test_missing_counts_seeds_at_the_rank(tmp_path):
    study = kept_study(tmp_path / "a")
    assert missing(study, ["rag", "lora", "zero_shot"], 100, 16, 3) == ["zero_shot"]
    assert missing(study, ["rag", "lora"], 100, 4, 3) == ["lora"]
    assert missing(study, ["rag", "lora"], 100, 16, 4) == ["lora"]
    assert missing(None, ["rag"], 100, 16, 3) == ["rag"]


def wait_for(condition, seconds=120):
    until = time.time() + seconds
    while time.time() < until:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def test_a_background_run_is_started_once_stopped_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_task(make_task(120, documents=False), tmp_path / "t")
    home = tmp_path / "home"
    arguments = ["t", "--methods", "zero_shot,few_shot", "--sizes", "20", "--seeds", "2", "--no-forgetting"]
    job = jobs.start(home, arguments)
    assert jobs.start(home, arguments) == job and len(jobs.jobs(home)) == 1
    first = json.loads((job.folder / "job.json").read_text())["pid"]
    wait_for(lambda: job.progress.get("cells_done", 0) >= 1 or not job.running)
    job.stop()
    wait_for(lambda: not job.running)
    again = jobs.start(home, arguments)
    assert json.loads((again.folder / "job.json").read_text())["pid"] != first
    wait_for(lambda: not again.running)
    assert again.ended_well, again.last_words
    assert again.progress["cells_done"] == again.progress["cells"] == 3
    study = Shelf.read(Store(home, committed=None), folders=()).combined("toy", "nano")
    assert len(study.cells_of("few_shot", 20)) == 2 and "--job" not in study.settings["command"]


def test_a_forecast_is_made_once_and_a_refusal_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_task(make_task(120, documents=False), tmp_path / "t")
    arguments = ["t", "--methods", "zero_shot,lora", "--sizes", "20,60,80", "--seeds", "1", "--no-forgetting"]
    assert jobs.planned(tmp_path / "home", arguments) == {}
    # Another one is asked for while the first is being made: it waits.
    assert jobs.planned(tmp_path / "home", ["t", "--sizes", "99999"]) == {}
    assert len(list((tmp_path / "home" / "forecasts").glob("*/process.json"))) == 1
    wait_for(lambda: jobs.planned(tmp_path / "home", arguments))
    plan = jobs.planned(tmp_path / "home", arguments)
    assert plan["seconds"] > 0 and set(plan["cells"]) == {
        "zero_shot",
        *(f"lora rank 16 size {s} seed 1" for s in (20, 60, 80)),
    }
    assert {"lora 20", "lora 60", "lora 80"} <= set(plan["searches"])
    wait_for(lambda: jobs.planned(tmp_path / "home", ["t", "--sizes", "99999"]))
    assert "--sizes 99999" in jobs.planned(tmp_path / "home", ["t", "--sizes", "99999"])["error"]


def test_uploads_stay_where_they_belong(tmp_path):
    assert (
        uploads.safe_name("../../etc/pass wd") == "pass wd"
        and uploads.safe_name("..\\..\\x.csv") == "x.csv"
        and uploads.safe_name("..") == "file"
    )
    path = uploads.keep(tmp_path, "../a.csv", b"x")
    assert path.is_relative_to(tmp_path / "uploads") and path.read_bytes() == b"x"
    folder = uploads.documents(tmp_path, [("a.md", b"one"), ("b.md", b"two")], "")
    assert sorted(p.name for p in folder.iterdir()) == ["a.md", "b.md"]
    assert uploads.documents(tmp_path, [], "") is None
    with pytest.raises(LabError, match="two documents have this name"):
        uploads.documents(tmp_path, [("a/x.md", b"one"), ("b/x.md", b"two")], "")


def test_rows_by_hand(tmp_path):
    # Singular values 3 and 4: energies 16/25 and 25/25 in falling order.
    rows = study_charts.spectrum_rows({"u": {"spectrum": {"m1": [4.0, 3.0], "m2": [5.0, 0.0]}}})
    assert [(r["directions"], round(r["energy"]), round(r["low"]), round(r["high"])) for r in rows] == [
        (1, 82, 64, 100),
        (2, 100, 100, 100),
    ]
    study = kept_study(tmp_path / "a")
    heat = study_charts.heat_rows(study, "lora")
    assert [(r["rank"], r["size"], r["seeds"]) for r in heat] == [(16, 100, 3)]
    assert heat[0]["accuracy"] == pytest.approx(
        100 * np.mean([c.accuracy for c in study.cells_of("lora", 100)]), abs=0.1
    )
    trials = [
        Trial(n, {"context": {"name": "passages", "k": k}, "weights": {"name": "frozen"}}, accuracy)
        for n, (k, accuracy) in enumerate(((1, 0.5), (3, 0.8)))
    ]
    study.choices = [Choice("k", "rag", 100, None, trials, 1, validation_items=20)]
    assert [(r["k"], r["right on validation"], r["chosen"]) for r in study_charts.trial_rows(study, "k")] == [
        (1, 50.0, ""),
        (3, 80.0, "chosen"),
    ]
    task = make_task(40)
    assert note_test_look(tmp_path, task, "x") == 1 and note_test_look(tmp_path, task, "y") == 2


def test_recall_is_that_of_the_search():
    from lab.context.base import Tools
    from lab.context.retrieval.chunking import chunk_documents
    from lab.context.retrieval.search import Searcher

    task = make_task(40)
    passages = chunk_documents(task.documents, 120, 20)
    rows = task_charts.recall_rows(
        task, {"lexical": (Searcher([p.text for p in passages], "lexical", Tools()), passages)}, (1, 5)
    )
    assert [r["k"] for r in rows] == [1, 5] and rows[0]["recall"] <= rows[1]["recall"] <= 100 and rows[1]["recall"] > 50


@pytest.mark.parametrize(
    "chart, row, others",
    [
        (
            quality_chart,
            {
                "arm": "rag",
                "order": 1,
                "accuracy": 50,
                "low": 40,
                "high": 60,
                "text": "50 %",
                "colour": "#000000",
                "mark": "circle",
                "taken": True,
                "monthly_usd": 0.5,
                "forgetting": 12.0,
                "forgetting_low": 8.0,
                "forgetting_high": 20.0,
            },
            (True,),
        ),
        (
            cost_chart,
            {
                "arm": "rag",
                "monthly_usd": 3,
                "accuracy": 50,
                "low": 40,
                "high": 60,
                "text": "50 %",
                "colour": "#000000",
                "mark": "circle",
            },
            (),
        ),
        (
            lines_chart,
            {"arm": "rag", "requests": 100, "usd": 3, "own": True, "colour": "#000000", "mark": "circle"},
            (),
        ),
        (
            size_chart,
            {
                "arm": "rag",
                "kind": "line",
                "size": 25,
                "accuracy": 50,
                "low": 40,
                "high": 60,
                "text": "50 %",
                "seeds": 3,
            },
            (Looks(("rag", "lora")), (25, 100)),
        ),
        (study_charts.loss_chart, {"run": "a", "step": 3, "loss": 0.5}, ("loss", "loss")),
        (study_charts.heat_chart, {"rank": 4, "size": 25, "accuracy": 50, "text": "50"}, ()),
        (study_charts.spectrum_chart, {"update": "lora", "directions": 2, "energy": 50, "low": 40, "high": 60}, ()),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_kept_drawing_with_rows_is_the_chart_of_these_rows(chart, row, others):
    """Drawn by Vega itself: the kept drawing, filled twice, gives the pictures that a chart made of the rows gives."""
    import vl_convert

    plain = lambda svg: re.sub(r"gradient_\d+", "gradient", svg)  # noqa: E731 (the converter numbers its gradients on)
    pictures = []
    for rows in ([row], [row, {k: v if isinstance(v, bool | str) else v * 1.5 for k, v in row.items()}]):
        kind, text = live(chart, rows, *others)._mime_()
        assert kind == "application/vnd.vega.v6+json"
        pictures.append(plain(vl_convert.vega_to_svg(json.loads(text) | {"background": "white"})))
        quiet = chart(rows, *others).to_dict() | {"config": QUIET | {"background": "white"}}
        assert pictures[-1] == plain(vl_convert.vegalite_to_svg(quiet))
    assert pictures[0] != pictures[1]
