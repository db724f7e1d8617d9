"""A weight method, a context and a chart are one file each: nothing else is edited, and what they give is right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import lab.context
import lab.flow.families
import lab.report.charts
import lab.weights
from lab.decision import Settings, decide
from lab.flow.methods import CANDIDATES, method, presets
from lab.flow.plan import expand
from lab.measure.evidence import evidence
from lab.measure.flops import Shape
from lab.report.charts.base import PageChart, page_charts, require_fields
from lab.report.looks import Looks
from lab.report.tables import candidates_tried, controls_table
from lab.report.write import page_data, write_report
from tests.conftest import make_task
from tests.flow.test_runner import runner_for
from tests.report.rule import rich_study

TOYS = Path(__file__).parent / "toys"


def with_file(package, toy, folder, monkeypatch):
    """The package with one file more in it, and nothing remembered of it without."""
    folder.mkdir()
    shutil.copyfile(TOYS / toy, folder / toy)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    for cache in (lab.flow.families.members, presets, page_charts):
        cache.cache_clear()


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """All three in their rooms; afterwards the rooms are as they were."""
    with_file(lab.weights, "weights_biased.py", tmp_path / "weights", monkeypatch)
    with_file(lab.context, "context_first.py", tmp_path / "context", monkeypatch)
    with_file(lab.report.charts, "chart_latency.py", tmp_path / "charts", monkeypatch)
    yield
    monkeypatch.undo()
    for cache in (lab.flow.families.members, presets, page_charts):
        cache.cache_clear()


def quick(plan):
    """The derived arms with trainings of a few steps."""
    from dataclasses import replace

    from lab.flow.methods import Candidate, Method

    def short(c):
        if not c.weights.trains:
            return c
        return Candidate(c.context, replace(c.weights, epochs=1, minimum_steps=3, batch_size=8))

    plan.methods = [Method(m.name, tuple(short(c) for c in m.candidates)) for m in plan.methods]
    return plan


def test_toys_are_found_run_and_told_like_any_other(toys, tiny, tmp_path):
    names = ["rag", "first_documents", "first_documents+frozen", "attention_lora", "first_documents_attention_lora"]
    assert {*names[:2], *names[3:], "study_attention_lora", "rag_attention_lora"} <= set(presets())
    assert all(len(set(method(n).candidates)) == CANDIDATES for n in names)
    task = make_task(60)
    plan = quick(expand([n for n in names if "+" not in n], [2], [20], 2, task))
    study = runner_for(task, tiny, tmp_path / "home").run(plan)
    assert study.arms()[:4] == [n for n in names if "+" not in n]
    # The context's traits reached the evidence without its name being known anywhere.
    shown = {a.name: a for a in evidence(study).arms}
    assert shown["first_documents"].reads_documents and not shown["attention_lora"].reads_documents
    assert set(shown["first_documents"].recall) == {"1", "2"}
    assert {c["label"] for c in controls_table(study)} == {"rag"}, "a context without controls has none"
    # The method's: its side latency is timed, its parameters and its spectrum are its own.
    lora = shown["attention_lora"]
    assert lora.adapter and lora.side_latency_seconds > 0
    shape = Shape.of(tiny.config.to_dict())
    assert 0 < lora.trained_parameters < shape.lora_parameters(2)
    assert study.settings["conventions"] == {"attention_lora": "alpha = 2 x rank on queries and values"}
    assert candidates_tried(study)["equal"] and "4 candidates" in candidates_tried(study)["words"]
    looks = Looks.of(study)
    assert len({(looks.colour(n), looks.mark(n)) for n in study.arms()}) == len(study.arms())
    # And the report: all of it stands there, the new chart with rows that have what it draws.
    page = write_report(study, Settings(), tmp_path / "report")["html"].read_text()
    for told in ("first_documents_attention_lora r2", "How long one request takes", "alpha = 2 x rank on queries"):
        assert told in page
    assert page_data(study, decide(study), None)["charts"]["latency"]["data"] == "arms"


def test_the_toys_spectrum_is_that_of_its_change(toys, tiny, tmp_path):
    from lab.weights.base import TrainingData
    from tests.weights.test_contract import PAIRS, quick, quiet

    weights = quick(lab.flow.families.members(lab.weights)["attention_lora"])
    log = weights.adapt(tiny, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    before = {n: p.detach().clone() for n, p in tiny.network.named_parameters()}
    after = dict(weights.apply(tiny, tmp_path).network.named_parameters())
    changed = {n.removesuffix(".weight") for n, p in after.items() if not torch.equal(p, before[n])}
    assert changed == set(log.spectrum) and all(n.endswith(("q_proj", "v_proj")) for n in changed)


def test_an_arm_is_evaluable_by_what_it_asks(toys, tiny, tmp_path):
    """A base that fails reading is not evaluable for any context that reads, under either of its names."""
    task = make_task(60)
    probes = {"reading_5": {"says": "x", "accuracy": 0.0, "low": 0.0, "high": 0.02, "items": 200}}
    for name in ("first_documents", "first_documents+frozen"):
        study = runner_for(task, tiny, tmp_path / "home").run(expand([name, "zero_shot"], [2], [20], 1, task))
        study.probes = probes
        for cell in study.cells:
            right = "w" if cell.method == name else "c"
            cell.outcomes = right * len(cell.outcomes)
        excluded = {a.name: a.excluded for a in decide(study).arms}
        assert "not evaluable on this base model" in excluded[name] and not excluded["zero_shot"]


def test_unequal_numbers_of_candidates_are_told():
    from lab.study import Choice, Trial

    study = rich_study()
    study.choices = [
        Choice(name, name, 400, None, [Trial(n, {"context": {}, "weights": {}}, 0.5) for n in range(count)], 0)
        for name, count in (("rag", 4), ("lora", 1))
    ]
    told = candidates_tried(study)
    assert not told["equal"] and told["words"].endswith("on validation: rag 4, lora 1.")


def test_a_chart_without_data_is_an_error(toys):
    study = rich_study()
    decision = decide(study)
    data = page_data(study, decision, None)
    spec = data["charts"]["latency"]["spec"]
    assert spec["encoding"]["x"]["field"] == "latency_seconds"
    empty = PageChart("empty", "", "", "", "arms", lambda rows, looks, sizes: None)
    with pytest.raises(ValueError, match="chart empty: its data set 'arms' is empty"):
        require_fields(empty, spec, [])
    with pytest.raises(ValueError, match="chart empty: no row of 'arms' has latency_seconds; there is arm, colour"):
        require_fields(empty, spec, [{"arm": "rag", "colour": "#000"}])
