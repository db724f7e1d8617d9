"""Prompts as contexts build them: no item ever finds its own answer."""

from __future__ import annotations

import pytest

import lab.context
from lab.context.base import Tools
from lab.context.examples import FixedExamples, NearestExamples, RandomExamples
from lab.context.passages import Passages
from lab.flow.families import member_from, members, settings_of
from lab.schema import LabError
from tests.conftest import make_task

POOLED = [FixedExamples(k=6), NearestExamples(k=6), RandomExamples(k=6), Passages(k=1, mode="lexical", examples=4)]


@pytest.mark.parametrize("context", POOLED, ids=lambda c: c.name)
def test_no_training_item_sees_itself_or_its_group(context, tmp_path):
    task = make_task(60)
    fitted = context.fit(task, Tools(cache=tmp_path))
    groups = {s.id: s.group for s in task.train}
    for sample in (*task.train, *task.test):
        prompt = fitted.build(sample)
        assert len(prompt.examples) in (4, 6)
        assert sample.group not in {groups[e.id] for e in prompt.examples}


def test_examples_come_from_train_only(tmp_path):
    task = make_task(60)
    fitted = NearestExamples(k=3).fit(task, Tools(cache=tmp_path))
    train = {s.id for s in task.train}
    assert all(e.id in train for s in task.test for e in fitted.build(s).examples)


def test_fixed_examples_show_every_target_in_turn(tmp_path):
    task = make_task(64)
    targets = [e.target for e in FixedExamples(k=4).fit(task, Tools(cache=tmp_path)).build(task.test[0]).examples]
    assert len(set(targets)) == 4


def test_oracle_gives_the_evidence_and_random_ignores_it(tmp_path):
    task = make_task(60)
    tools = Tools(cache=tmp_path)
    oracle, chance = (Passages(k=1, mode=m).fit(task, tools) for m in ("oracle", "random"))
    assert all(oracle.build(s).passages[0].document_id == s.evidence[0] for s in task.test)
    assert sum(chance.build(s).passages[0].document_id == s.evidence[0] for s in task.test) < 5
    assert chance.build(task.test[0]) == Passages(k=1, mode="random").fit(task, tools).build(task.test[0])


def test_what_is_missing_is_said_before_anything_runs():
    with pytest.raises(LabError, match="needs documents"):
        Passages().require(make_task(documents=False))
    with pytest.raises(LabError, match="one of dense, lexical, hybrid, oracle, random"):
        Passages(mode="denes")
    with pytest.raises(LabError, match="one of input_output, question_answer"):
        FixedExamples(wording="x")


def test_settings_round_trip_and_leave_defaults_out():
    context = Passages(k=5, mode="dense")
    assert settings_of(context) == {"name": "passages", "k": 5, "mode": "dense"}
    assert member_from(lab.context, settings_of(context)) == context
    with pytest.raises(LabError, match="one of wording, instruct, layout, labels, k, mode"):
        member_from(lab.context, {"name": "passages", "kk": 5})
    with pytest.raises(LabError, match=f"unknown context 'pasages'; one of {', '.join(members(lab.context))}"):
        member_from(lab.context, {"name": "pasages"})
    assert {"none", "examples", "nearest", "passages"} <= set(members(lab.context))


def test_digests_follow_what_changes_the_prompt(tmp_path):
    task, tools = make_task(60), Tools(cache=tmp_path)
    scoped = task.scoped(20, 1)
    assert FixedExamples().digest_parts(task, tools) != FixedExamples().digest_parts(scoped, tools)
    assert Passages(mode="lexical").digest_parts(task, tools) == Passages(mode="lexical").digest_parts(scoped, tools)
    assert "embedder" in Passages(mode="dense").digest_parts(task, tools)


def test_examples_beside_passages_bring_their_own():
    task = make_task(40)
    fitted = Passages(k=1, mode="oracle", examples=3).fit(task, Tools())
    built = fitted.build(task.test[0])
    assert len(built.examples) == 3
    for example in built.examples:
        sample = next(s for s in task.train if s.id == example.id)
        assert [p.document_id for p in example.passages] == list(sample.evidence)
