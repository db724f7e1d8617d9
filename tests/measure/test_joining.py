"""Studies that become one, and arms of another model beside: what stands where, and what may not stand together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.decision import Settings, decide
from lab.measure.evidence import evidence
from lab.measure.forgetting import forgotten
from lab.measure.joining import beside
from lab.report.looks import Looks
from lab.report.tables import grid_table, lost_of
from lab.schema import LabError
from lab.study import Choice, Probed, Study, Trial
from tests.report.rule import rich_study
from tests.test_decision import outcomes, study_of


def other_model(name="big", revision="2026-11-26", digest="d" * 20) -> Study:
    """Retrieval and LoRA with a larger model, with probes and a search of its own."""
    study = study_of({"rag": [outcomes(0.93, 400, 0)], "lora": [outcomes(0.9, 400, s) for s in (1, 2, 3)]})
    for cell in study.cells:
        cell.model = name
        cell.adaptation = "x" if cell.method == "lora" else ""
        cell.asks = ["reading_5"] if cell.method == "rag" else []
    trials = [Trial(0, {"context": {}, "weights": {}}, 0.5, adaptation="x", seconds=70.0, machine="m")]
    study.choices = [Choice("other", "lora", 100, 16, trials, 0, model=name)]
    study.probed = [
        Probed("word_operations", "words", outcomes="c" * 100, model=name),
        *(
            Probed("word_operations", "words", "lora", s, 100, 16, outcomes="c" * 70 + "w" * 30, model=name)
            for s in (0, 1, 2)
        ),
    ]
    return replace(
        study,
        task={"name": "t", "digest": digest},
        model={"name": name, "revision": revision, "parameters": 10**9, "window": 9},
        settings={"seeds": 3, "embedder": "e", "decoding": {"max_tokens": 9}, "command": "lab decide y"},
    )


def test_arms_of_another_model_stand_beside_with_all_that_is_theirs(tmp_path):
    one = beside(rich_study(), [other_model()])
    assert one.arms() == ["rag", "zero_shot", "lora", "rag_lora", "rag on big", "lora on big"]
    shown = {a.name: a for a in evidence(one, 100).arms}
    assert shown["lora on big"].label == "lora on big r16" and shown["lora on big"].deployed
    assert shown["lora"].model == "m" and not shown["lora"].deployed
    # Its search and its probes are its own: the other model's lora was searched for 70 seconds and forgets 30 points.
    assert shown["lora on big"].fixed_seconds == 70.0
    assert shown["lora on big"].forgetting == pytest.approx(0.3)
    assert forgotten(one, "lora", rank=16).headline.drop != pytest.approx(0.3)
    assert [f.method for f in lost_of(one)][-1] == "lora on big"
    matched = {(p.first, p.second): p.matched for p in evidence(one, 100).pairs}
    assert not next(m for (a, b), m in matched.items() if {a, b} == {"lora r16", "rag on big"})
    words = next(p.words for p in evidence(one, 100).pairs if {p.first, p.second} == {"zero_shot", "rag on big"})
    assert words == "rag on big is better than zero_shot (as deployed: other models)"
    assert {g["label"] for g in grid_table(one)} >= {"rag on big", "lora on big r16"}
    looks = Looks.of(one)
    assert len({(looks.colour(n), looks.mark(n)) for n in one.arms()}) == 6
    one.save(tmp_path / "study.json")
    assert Study.load(tmp_path / "study.json") == one


def test_what_a_base_cannot_do_is_asked_of_the_arms_own_base():
    poor = {"reading_5": {"says": "x", "accuracy": 0.0, "low": 0.0, "high": 0.02, "items": 200}}
    other = other_model()
    other.cells[0].outcomes = "w" * 400
    one = beside(rich_study(), [replace(other, probes=poor)])
    excluded = {a.name: a.excluded for a in decide(one, size=100).arms}
    assert "not evaluable on this base model" in excluded["rag on big"] and not excluded["rag"]


def test_each_is_paid_at_prices_of_its_own():
    one = beside(rich_study(), [other_model()])
    hour = Settings(price_per_hour_usd=3.6, monthly_requests=1000)
    dear = replace(hour, by_arm={"big": {"price_per_hour_usd": 36.0}})
    before, after = ({a.label: a.requests_usd for a in decide(one, s, 100).arms} for s in (hour, dear))
    assert after["rag on big"] == pytest.approx(10 * before["rag on big"])
    assert after["lora r16"] == pytest.approx(before["lora r16"])
    # The nearest name holds: a label before the method, the method before the model.
    nearest = replace(dear, by_arm=dear.by_arm | {"rag on big": {"price_per_hour_usd": 7.2}})
    assert {a.label: a.requests_usd for a in decide(one, nearest, 100).arms}["rag on big"] == pytest.approx(
        2 * before["rag on big"]
    )
    with pytest.raises(LabError, match="--hosting cloud"):
        Settings(by_arm={"big": {"hosting": "cloud"}})


def test_two_models_of_one_name_are_told_apart_and_other_data_is_refused():
    one = beside(rich_study(), [other_model(), other_model(revision="f" * 40)])
    assert "rag on big (ffffffff)" in one.arms()
    with pytest.raises(LabError, match="has other data than t with m"):
        beside(rich_study(), [other_model(digest="e" * 20)])
