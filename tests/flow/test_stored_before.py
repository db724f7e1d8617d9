"""Results that were stored before stay readable: committed studies load,
keep their verdicts, and their keys are found."""

from __future__ import annotations

import json

import pytest

import lab.context
import lab.weights
from lab.context.base import Tools
from lab.decision import Settings, decide
from lab.flow.bench import Bench, RunSpec
from lab.flow.families import member_from
from lab.flow.methods import Candidate, method
from lab.flow.probing import Prober
from lab.flow.search import Search
from lab.store import COMMITTED, Store
from lab.study import Study
from lab.tasks.task import load_task
from lab.world.general import general_texts
from lab.world.probes import probe

STUDIES = sorted(p.parent for p in COMMITTED.rglob("decision.json"))
BUNDLED = [p for p in STUDIES if p.parent == COMMITTED and p.name in ("triage", "handbook", "reply")]


@pytest.mark.parametrize("folder", STUDIES, ids=lambda p: str(p.relative_to(COMMITTED)))
def test_every_committed_study_gives_its_verdict_again(folder):
    written, study = json.loads((folder / "decision.json").read_text()), Study.load(folder / "study.json")
    again = decide(study, Settings(**written["settings"]))
    for said in ("chosen", "sentence", "reasons", "would_change", "provisional", "items_needed"):
        assert getattr(again, said) == written[said], said
    for arm, before in zip(again.arms, written["arms"], strict=True):
        told = {k: getattr(arm, k) for k in ("label", "accuracy", "low", "high", "monthly_usd", "unfit", "excluded")}
        assert told == pytest.approx({k: before[k] for k in told})
    pairs = [(p.first, p.second, p.difference, p.p_holm) for p in again.pairs]
    assert pairs == [(p["first"], p["second"], p["difference"], pytest.approx(p["p_holm"])) for p in written["pairs"]]


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda p: p.name)
def test_keys_of_stored_results_are_the_same(nano, tmp_path, folder):
    """What was made before is found by the spec that made it: nothing is trained or completed a second time."""
    study, store = Study.load(folder / "study.json"), Store(tmp_path)
    bench = Bench(load_task(COMMITTED.parent / "datasets" / folder.name), nano, store, Tools(cache=store.cache))
    largest = study.sizes()[-1]
    for cell in study.cells:
        context, weights = member_from(lab.context, cell.context), member_from(lab.weights, cell.weights)
        spec = RunSpec(Candidate(context, weights), cell.size or largest, cell.seed)
        if cell.control in ("oracle", "random"):
            continue
        assert bench.adaptation_key(spec) == cell.adaptation
        assert bench.is_stored(spec, "test") and bench.evaluate(spec, "test").key == cell.evaluation
        assert bench.evaluate(spec, "validation").key == cell.validation_evaluation
    for choice in study.choices:
        m = method(choice.method)
        assert Search(bench).is_stored(m, choice.rank, choice.size)
        assert Search(bench).choice(m, choice.rank, choice.size) == choice


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda p: p.name)
def test_probes_are_asked_as_before(nano, tmp_path, folder):
    """The world's items are drawn as ever: what the base and the trained models answered is found."""
    study, prober = Study.load(folder / "study.json"), Prober(nano, Store(tmp_path))
    for name, told in study.probes.items():
        assert prober.base(probe(name)).key == told["evaluation"]
    for probed in study.probed:
        if probed.outcomes and not probed.in_context and not probed.method:
            assert prober.base(probe(probed.probe)).key == probed.evaluation
        elif probed.nats and not probed.method:
            assert prober.likelihood(general_texts(nano, None)).key == probed.evaluation


def test_an_unknown_schema_says_so(tmp_path):
    from lab.schema import LabError

    data = json.loads((BUNDLED[0] / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(data | {"schema": 99}))
    with pytest.raises(LabError, match="schema 99, this lab reads 1 to 2; run lab decide again"):
        Study.load(tmp_path / "study.json")


def test_a_study_comes_back_as_it_was_saved(tmp_path):
    study = Study.load(BUNDLED[0] / "study.json")
    study.save(tmp_path / "study.json")
    assert Study.load(tmp_path / "study.json") == study
