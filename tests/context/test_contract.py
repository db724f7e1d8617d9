"""What every context promises, checked for each that there is: a new one is tested by being there."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest

import lab.context
from lab.context.base import Offer, Tools
from lab.flow.families import member_from, members, settings_of
from lab.flow.methods import CANDIDATES
from lab.models.prompts import render
from lab.schema import LAYOUTS, WORDINGS, LabError
from lab.world.probes import PROBES
from tests.conftest import make_task

KINDS = members(lab.context)
TASK = make_task(60)


def variants():
    """Every context with the settings of each of its presets, and as each of its controls."""
    for name, kind in KINDS.items():
        for preset, fixed in (kind.variants or {name: {}}).items():
            yield pytest.param(kind(**fixed), id=preset)
            if not kind().is_control:
                yield pytest.param(kind(**fixed, labels=True), id=f"{preset} labels")
            for mode in kind.controls:
                yield pytest.param(kind(**fixed).control(mode), id=f"{preset} {mode}")


VARIANTS = list(variants())


@pytest.fixture(scope="module")
def tools(tmp_path_factory, reranker):
    return Tools(cache=tmp_path_factory.mktemp("vectors"), reranker_name=reranker)


@pytest.mark.parametrize("context", VARIANTS)
def test_settings_round_trip_and_traits_are_stated(context):
    assert member_from(lab.context, settings_of(context)) == context
    assert set(context.asks) <= set(PROBES), "what it asks of a base is a probe"
    assert bool(context.asks) or context.is_control or not type(context).asks
    assert context.depth > 0 or not context.controls
    for mode in type(context).controls:
        assert context.control(mode).is_control


@pytest.mark.parametrize("context", VARIANTS)
def test_a_forecast_builds_prompts_of_its_kind_without_an_embedder(context):
    """Of large documents a plan would wait for minutes: whatever the class, its outline embeds nothing."""
    outline = context.outline()
    assert type(outline) is type(context)
    assert bool(context.embedded(TASK)) == (context.needs_documents and context.uses_embedder)
    fitted = outline.fit(TASK.scoped(40, 0), Tools("no embedder of this name"))
    prompt = fitted.build(TASK.test[0])
    assert bool(prompt.passages) == context.needs_documents
    assert bool(prompt.examples) == outline.uses_pool


@pytest.mark.parametrize("context", VARIANTS)
def test_no_item_sees_itself_its_group_or_its_answer(context, tools):
    """Fitted on training items, a prompt never holds an example of the item's own group."""
    scoped = TASK.scoped(40, 0)
    fitted = context.fit(scoped, tools)
    groups = {s.id: s.group for s in (*TASK.labelled, *TASK.test)}
    train = {s.id for s in scoped.train}
    for sample in (*scoped.train, *scoped.validation, *TASK.test):
        prompt = fitted.build(sample)
        assert prompt.input == sample.input
        assert {e.id for e in prompt.examples} <= train
        assert sample.group not in {groups[e.id] for e in prompt.examples}
        assert not (context.bare and (prompt.examples or prompt.passages))
        assert len(prompt.passages) <= context.depth


@pytest.mark.parametrize("context", VARIANTS)
def test_the_same_prompt_alone_in_a_batch_and_fitted_again(context, tools):
    samples = list(TASK.test[:6])
    alone, batch = context.fit(TASK, tools), context.fit(TASK, tools)
    batch.prepare(samples)
    assert [alone.build(s) for s in samples] == [batch.build(s) for s in samples]


@pytest.mark.parametrize("context", VARIANTS)
def test_what_it_says_it_uses_is_what_changes_its_prompts_and_its_key(context, tools):
    """Pool, documents and instruction: traits, digest and prompts agree with each other."""
    changes = {
        "pool": replace(TASK, train=tuple(replace(s, target="nowhere", evidence=("d0",)) for s in TASK.train)),
        "documents": replace(TASK, documents=tuple(replace(d, text="Nothing at all.") for d in TASK.documents)),
        "instruction": replace(TASK, instruction="Say it."),
    }
    used = {
        "pool": context.uses_pool or context.labels,
        "documents": context.needs_documents,
        "instruction": context.instruct,
    }
    before = [render(context.fit(TASK, tools).build(s)) for s in TASK.test]
    for name, task in changes.items():
        same_key = context.digest_parts(task, tools) == context.digest_parts(TASK, tools)
        same_prompts = [render(context.fit(task, tools).build(s)) for s in TASK.test] == before
        assert (same_key, same_prompts) == (not used[name], not used[name]), name


@pytest.mark.parametrize("name", KINDS)
def test_every_context_offers_as_many_candidates_as_there_are_looks(name):
    kind = KINDS[name]
    if kind().is_control:
        return
    offers = (Offer(), Offer(chat=True), Offer(labels=True), Offer(chat=True, labels=True))
    for fixed, offer in product((kind.variants or {name: {}}).values(), offers):
        for looks, trained in ((CANDIDATES, False), (CANDIDATES // 2, True)):
            grid = kind(**fixed).grid(looks, trained, offer)
            assert offer.chat or grid == kind(**fixed).grid(looks, trained), "a base model's grid stays what it was"
            assert offer.labels or not any(c.labels for c in grid)
            assert not offer.chat or trained or {c.layout for c in grid} == set(LAYOUTS)
            alone = kind.bare or kind.searches_instructions
            assert len(set(grid)) == (1 if alone and trained else looks)
            assert all(getattr(c, k) == v for c in grid for k, v in fixed.items())


@pytest.mark.parametrize("name", KINDS)
def test_wordings_and_missing_documents_are_checked(name):
    kind = KINDS[name]
    assert {f.name for f in fields(kind)} >= {"wording", "instruct"}
    for wording in WORDINGS:
        assert kind(wording=wording).named == WORDINGS[wording]
    with pytest.raises(LabError, match="one of input_output, question_answer"):
        kind(wording="x")
    if kind.needs_documents:
        with pytest.raises(LabError, match="needs documents"):
            kind().require(make_task(documents=False))
    else:
        kind().require(make_task(documents=False))
