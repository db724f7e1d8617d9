"""A race on a tiny real model: what it asks, whom it drops, and that nothing is done twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.decision import Settings, decide
from lab.flow.bench import RunSpec
from lab.flow.methods import Candidate, Method
from lab.flow.race import Race
from lab.flow.search import Search
from lab.measure.evidence import evidence
from lab.models.baselines import BASELINES
from lab.store import read_completions
from lab.study import Study
from lab.weights.frozen import Frozen
from lab.weights.lora import Lora
from tests.conftest import make_task
from tests.flow.test_runner import PLAIN, bench_for, quick_plan, runner_for, what_was_measured


def mostly_one_label():
    """90 % of the answers are one town: the majority baseline is right on them, a model of random weights on none."""
    task = make_task(400)

    def told(samples):
        return tuple(replace(s, target="Oakley" if int(s.id[1:]) % 20 < 2 else "Bridgend") for s in samples)

    return replace(task, train=told(task.train), validation=told(task.validation), test=told(task.test))


def race(task, model, home, **settings):
    runner, plan = runner_for(task, model, home), quick_plan(task, seeds=2, sizes=(100,))
    return runner.run(plan, course=Race(runner, plan, Settings(**settings)).run)


@pytest.fixture(scope="module")
def task():
    return mostly_one_label()


@pytest.fixture(scope="module")
def raced(task, tiny, tmp_path_factory):
    home = tmp_path_factory.mktemp("race")
    return race(task, tiny, home), home


def test_arms_that_are_clearly_worse_leave_after_sixty_items(task, raced):
    study, _ = raced
    told = study.plan["race"]
    assert [(look["items"], look["seeds"]) for look in told["looks"]] == [(60, 1), (100, 1), (100, 2), (100, 4)]
    gone = {"zero_shot", "few_shot", "rag", "lora"}
    assert gone <= set(told["dropped"])
    for name in gone:
        cells = study.cells_of(name, 100)
        assert [c.asked for c in cells] == [60] and told["dropped"][name]["items"] == 60
        for c in cells:
            assert [len(v) for v in (c.outcomes, *c.parts.values())] == [100] * (1 + len(c.parts))
            assert all([v is None for v in values] == [o == "-" for o in c.outcomes] for values in c.parts.values())
            asked = {i for i, letter in zip(study.items, c.outcomes) if letter != "-"}
            assert asked == {s.id for s in task.with_items(60).test}
    assert study.items == [s.id for s in task.test], "in the task's order, so that studies can stand together"
    assert study.arms()[:4] == ["zero_shot", "few_shot", "rag", "lora"], "in the order they were asked for"


def test_its_verdict_says_who_left_and_when(raced):
    study, _ = raced
    found = decide(study)
    assert found.chosen in BASELINES or found.sentence.startswith("Undecided between")
    assert not any(f" {name}" in found.sentence for name in ("zero_shot", "few_shot", "rag", "lora"))
    assert any(r.startswith("zero_shot: dropped after 60 items and 1 draw: ") for r in found.reasons)
    shown = {a.name: a for a in evidence(study).arms}
    assert shown["zero_shot"].items == 60 and shown["majority"].items == len(study.items)
    assert not found.provisional, "an arm that left with one draw does not keep the verdict open"


def test_a_second_run_asks_nothing(task, raced, tiny, monkeypatch, tmp_path):
    study, home = raced
    monkeypatch.setattr(type(tiny), "complete", lambda *a, **k: pytest.fail("completed again"))
    monkeypatch.setattr(Lora, "adapt", lambda *a, **k: pytest.fail("trained again"))
    again = race(task, tiny, home)
    assert what_was_measured(again) == what_was_measured(study) and again.plan["race"] == study.plan["race"]
    study.save(tmp_path / "study.json")
    assert what_was_measured(Study.load(tmp_path / "study.json")) == what_was_measured(study)


def test_more_items_go_on_with_what_was_completed(task, tiny, tmp_path):
    bench, spec = bench_for(task, tiny, tmp_path), RunSpec(Candidate(PLAIN, Frozen()), None, 0)
    first = bench.evaluate(spec, "test", task.with_items(60).test)
    asked = []
    complete = tiny.complete

    def counted(prompts, *rest, **more):
        asked.extend(key for key, _ in prompts)
        return complete(prompts, *rest, **more)

    tiny.complete = counted
    try:
        whole = bench.evaluate(spec, "test", begun=first)
    finally:
        del tiny.complete
    assert sorted(asked) == sorted({s.id for s in task.test} - {s.id for s in task.with_items(60).test})
    alone = bench_for(task, tiny, tmp_path / "alone").evaluate(spec, "test")
    texts = [[(c.sample_id, c.text) for c in read_completions(e)] for e in (whole, alone)]
    assert texts[0] == texts[1] and whole.key == alone.key
    assert whole.record["result"]["latencies"] == first.record["result"]["latencies"]


def test_halving_trains_the_better_half_to_the_end(tiny, tmp_path):
    """Four rates: all are trained for a fifth of their steps, two go on, and end as they would have without a pause."""
    task = make_task(120)
    rates = (1e-4, 1e-3, 1e-2, 3e-2)
    candidates = tuple(
        Candidate(PLAIN, Lora(rank=2, learning_rate=r, epochs=1, minimum_steps=20, batch_size=4)) for r in rates
    )
    halved, whole = (
        Search(bench_for(task, tiny, tmp_path / name), halving)
        for name, halving in (("halved", True), ("whole", False))
    )
    m = Method("lora", candidates)
    choice, full = halved.choice(m, None, 40), whole.choice(m, None, 40)
    left = [t for t in choice.trials if t.left_at]
    assert len(left) == 2 and all(t.left_at == 4 and t.looks == 2 and not t.adaptation for t in left)
    for mine, theirs in zip(choice.trials, full.trials):
        if not mine.left_at:
            assert (mine.accuracy, mine.nll, mine.adaptation) == (theirs.accuracy, theirs.nll, theirs.adaptation)
    assert not choice.best.left_at
    assert not list((tmp_path / "halved" / "unfinished").iterdir()), "what left keeps no room on the disk"
    assert halved.choice(m, None, 40) == choice and halved.is_stored(m, None, 40)
    assert not Search(halved.bench).is_stored(m, None, 40), "a whole grid wants a whole search"
    assert Search(whole.bench, halving=True).choice(m, None, 40) == full, "a whole search serves a race"
