"""The flow on a tiny real model: one pass, resumption, matched inputs, controls."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lab.context.base import Tools
from lab.context.none import NoContext
from lab.context.passages import Passages
from lab.decision import decide
from lab.flow.bench import Bench, Progress, RunSpec
from lab.flow.decoding import TRIAL_TOKENS, decoding_for, with_room
from lab.flow.methods import Candidate, Method
from lab.flow.plan import PlannedCell, expand
from lab.flow.runner import Runner
from lab.models.baselines import BASELINES
from lab.schema import Completion, LabError, Sample, Usage
from lab.store import Store, read_completions
from lab.study import Study
from lab.weights.frozen import Frozen
from lab.weights.lora import Lora
from tests.conftest import make_task

PLAIN = NoContext()
QUICK = [Lora(rank=2, learning_rate=r, epochs=1, minimum_steps=4, batch_size=4) for r in (1e-3, 1e-2)]


def quick_plan(task, seeds=2, sizes=(20,), methods=("zero_shot", "few_shot", "rag", "lora")):
    """The real presets, with trainings of four steps."""
    plan = expand(list(methods), [2], list(sizes), seeds, task)
    plan.methods = [
        Method(m.name, tuple(Candidate(NoContext(), w) for w in QUICK)) if m.name == "lora" else m for m in plan.methods
    ]
    return plan


def bench_for(task, model, home, progress=None):
    store = Store(home, committed=None)
    return Bench(task, model, store, Tools(cache=store.cache / "vectors"), progress)


def runner_for(task, model, home, progress=None):
    return Runner(bench_for(task, model, home), progress=progress)


def what_was_measured(study: Study):
    return [(c.method, c.seed, c.size, c.control, c.outcomes, c.evaluation, c.adaptation) for c in study.cells]


def test_the_whole_flow_and_that_a_second_run_does_nothing(tiny, tmp_path, monkeypatch):
    task = make_task(60)
    study = runner_for(task, tiny, tmp_path).run(quick_plan(task))
    assert study.arms() == ["zero_shot", "few_shot", "rag", "lora", *BASELINES]
    assert [len(study.cells_of(m, 20)) for m in study.arms()] == [1, 2, 1, 2, *[2] * len(BASELINES)]
    assert {c.control for c in study.cells if c.method == "rag"} == {"", "oracle", "random"}
    assert all(len(c.outcomes) == len(task.test) for c in study.cells)
    oracle = next(c for c in study.cells if c.control == "oracle")
    assert oracle.recall["1"] == 1.0
    assert decide(study).arms

    monkeypatch.setattr(type(tiny), "complete", lambda *a, **k: pytest.fail("completed again"))
    monkeypatch.setattr(Lora, "adapt", lambda *a, **k: pytest.fail("trained again"))
    again = runner_for(task, tiny, tmp_path).run(quick_plan(task))
    assert what_was_measured(again) == what_was_measured(study)
    study.save(tmp_path / "study.json")
    assert what_was_measured(Study.load(tmp_path / "study.json")) == what_was_measured(study)


class StopAfter(Progress):
    """Stops the run in the middle of its n-th piece of work."""

    def __init__(self, pieces):
        self.left = pieces

    def advance(self, count=1):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_stopped_anywhere_the_next_run_goes_on_to_the_same_result(tiny, tmp_path):
    task = make_task(60)
    whole = runner_for(task, tiny, tmp_path / "a").run(quick_plan(task))
    stops = 0
    for pieces in (2, 5, 9, 14, 20):
        try:
            runner_for(task, tiny, tmp_path / "b", StopAfter(pieces)).run(quick_plan(task))
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 3
    resumed = runner_for(task, tiny, tmp_path / "b").run(quick_plan(task))
    assert what_was_measured(resumed) == what_was_measured(whole)
    keys = [[(e.kind, e.key) for e in Store(tmp_path / n, committed=None).entries()] for n in "ab"]
    assert sorted(keys[0]) == sorted(keys[1])


class StopInTraining(Progress):
    """Stops the run after so many training steps."""

    def __init__(self, steps):
        self.left, self.training = steps, False

    def stage(self, text, total):
        self.training = text.startswith("lora rank")

    def advance(self, count=1):
        self.left -= count if self.training else 0
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_training_goes_on_from_its_checkpoint_and_leaves_none_behind(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.weights.training.CHECKPOINT_SECONDS", 0.0)
    task = make_task(60)
    with pytest.raises(KeyboardInterrupt):
        runner_for(task, tiny, tmp_path, StopInTraining(2)).run(quick_plan(task, seeds=1, methods=("lora",)))
    left = list((tmp_path / "unfinished").glob("*/checkpoint/progress.json"))
    assert len(left) == 1
    # Only the steps after the checkpoint are run again: 2 trainings of 4 steps, less the 2 that were kept.
    counter = StopInTraining(1000)
    runner_for(task, tiny, tmp_path, counter).run(quick_plan(task, seeds=1, methods=("lora",)))
    assert not list((tmp_path / "unfinished").iterdir()) and not list((tmp_path / "results").glob("*/*/checkpoint"))


def test_what_the_search_chose_is_measured_on_draws_that_it_did_not_see(tiny, tmp_path):
    """A training that was chosen among several lies a little high; as a fresh draw it would lift the mean."""
    task = make_task(60)
    study = runner_for(task, tiny, tmp_path).run(quick_plan(task, seeds=2, methods=("lora",)))
    choice = study.choices[0]
    cells = study.cells_of("lora", 20)
    assert {c.seed for c in study.cells} == {c.seed for c in cells} == {1, 2}
    assert all(c.weights == choice.best.settings["weights"] for c in cells)
    adaptations = [*(c.adaptation for c in cells), *(t.adaptation for t in choice.trials)]
    assert len(set(adaptations)) == len(adaptations)
    assert any("Searches chose on a further draw" in n for n in decide(study).notes)
    assert choice.best.accuracy == max(t.accuracy for t in choice.trials)
    # Two trials, ten looks of early stopping each (four steps give four), and one evaluation each.
    assert choice.looks == 2 * (4 + 1)


def test_sizes_limit_labels_for_every_arm(tiny, tmp_path):
    task = make_task(80)
    bench = bench_for(task, tiny, tmp_path)
    spec = RunSpec(Candidate(NoContext(), QUICK[0]), 20, 0)
    labels = {s.id for s in (*bench.scoped(spec).train, *bench.scoped(spec).validation)}
    assert len(labels) == 20
    data = bench.training_data(spec)
    assert len(data.pairs) + len(data.validation) == 20
    plan = expand(["few_shot"], [2], [20], 1, task)
    fitted = bench.fitted(RunSpec(plan.methods[0].candidates[0], 20, 0))
    assert {e.id for e in fitted.build(task.test[0]).examples} <= {s.id for s in bench.scoped(spec).train}


def test_new_targets_need_no_new_completions_but_new_inputs_do(tiny, tmp_path):
    task = make_task(60)
    spec = RunSpec(Candidate(NoContext(), Frozen()), 20, 0)
    first = bench_for(task, tiny, tmp_path).evaluate(spec, "test")
    rescored = replace(task, test=tuple(replace(s, target="other") for s in task.test))
    assert bench_for(rescored, tiny, tmp_path).evaluate(spec, "test").key == first.key
    reworded = replace(task, test=(replace(task.test[0], input="new"), *task.test[1:]))
    assert bench_for(reworded, tiny, tmp_path).evaluate(spec, "test").key != first.key


def test_keys_see_everything_that_changes_the_output(tiny, tmp_path):
    task = make_task(60)
    bench = bench_for(task, tiny, tmp_path)

    def key(context=PLAIN, weights=QUICK[0], size=20, seed=0, task=task):
        made = bench if task is bench.task else bench_for(task, tiny, tmp_path)
        return made.adaptation_key(RunSpec(Candidate(context, weights), size, seed))

    changed = replace(task, documents=(replace(task.documents[0], text="else"), *task.documents[1:]))
    lexical = Passages(k=1, mode="lexical")
    keys = [
        key(),
        key(weights=QUICK[1]),
        key(seed=1),
        key(size=24),
        key(context=NoContext(instruct=False)),
        key(context=lexical),
        key(context=lexical, task=changed),
        key(context=NoContext(wording="question_answer")),
        key(weights=replace(QUICK[0], study=True)),
        key(weights=replace(QUICK[0], study=True), task=changed),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key() and key(task=changed) == keys[0]


def test_an_item_longer_than_the_window_is_an_error_outcome_not_a_hole(tiny, tmp_path):
    task = make_task(40)
    task = replace(task, test=(*task.test, Sample("long", "word " * 400, "x")))
    bench = bench_for(task, tiny, tmp_path)
    spec = RunSpec(Candidate(NoContext(), Frozen()), 20, 0)
    cell = Runner(bench).measure(PlannedCell("zero_shot", None, None, 0), spec)
    assert cell.outcomes[-1] == "e" and len(cell.outcomes) == len(task.test)
    assert "window" in read_completions(bench.evaluate(spec, "test"))[-1].error


def test_decoding_has_room_for_the_targets(tiny):
    decoding = decoding_for(make_task(40), tiny)
    assert decoding.stop == "\n" and decoding.max_tokens >= 6
    lines = make_task(40)
    lines = replace(lines, train=(*lines.train, Sample("m", "x", "a\nb")))
    assert decoding_for(lines, tiny).stop == "\n\n"


def test_a_chat_model_gets_the_room_that_it_writes_in_a_trial_made_once(tiny, tmp_path):
    task, store, written = make_task(40), Store(tmp_path), []

    def complete(asked, decoding, *rest):
        written.append(decoding.max_tokens)
        return [Completion(i, "", Usage(9, tokens)) for (i, _), tokens in zip(asked, lengths)]

    targets = decoding_for(task, tiny)
    assert with_room(targets, task, tiny, store) == targets, "a base model's room is that of the targets"
    for number, (longest, room) in enumerate(((40, 50), (80, TRIAL_TOKENS), (1, targets.max_tokens))):
        lengths = [1] * 7 + [longest]
        model = SimpleNamespace(
            is_chat=True, window=tiny.window, revision=f"chat {number}", machine=tiny.machine, complete=complete
        )
        assert [with_room(targets, task, model, store).max_tokens for _ in range(2)] == [room] * 2
    assert written == [min(tiny.window // 2, TRIAL_TOKENS)] * 3


def test_a_piece_depends_on_nothing_but_the_store(tiny, tmp_path):
    """Cells made in any order, each by a runner of its own, are those of one run."""
    task = make_task(60)
    whole = runner_for(task, tiny, tmp_path / "a").run(quick_plan(task))
    plan = quick_plan(task)
    pieces = [runner_for(task, tiny, tmp_path / "b").piece(cell, plan) for cell in reversed(plan.in_order())]
    made = [c for p in reversed(pieces) for c in p.cells]
    measured = [c for c in whole.cells if c.control != "baseline"]
    assert [(c.method, c.seed, c.control, c.outcomes, c.adaptation) for c in made] == [
        (c.method, c.seed, c.control, c.outcomes, c.adaptation) for c in measured
    ]
    assert {c.key for p in pieces for c in p.choices} == {c.key for c in whole.choices}


def test_cells_record_what_was_true_of_them(tiny, tmp_path):
    study = runner_for(make_task(60), tiny, tmp_path).run(quick_plan(make_task(60)))
    by_name = {c.method: c for c in study.cells if not c.control}
    assert by_name["rag"].needs_documents and by_name["rag"].asks == ["reading_5"]
    assert by_name["lora"].adapter and by_name["lora"].asks == [] and not by_name["lora"].needs_documents
    assert {c.model for c in study.cells if c.control != "baseline"} == {"tiny"}
    assert {c.model for c in study.cells if c.control == "baseline"} == {""}
    assert study.settings["conventions"] == {"lora": "alpha = 2 x rank on all linear layers"}


def test_a_model_that_cant_is_told_before_anything_runs(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(type(tiny), "can", frozenset({"complete"}))
    monkeypatch.setattr(type(tiny), "complete", lambda *a, **k: pytest.fail("ran"))
    task = make_task(60)
    with pytest.raises(LabError, match="--methods lora: needs a model that can be trained, and tiny can't"):
        runner_for(task, tiny, tmp_path).run(quick_plan(task))


def test_a_grid_that_moved_is_measured_with_what_it_moved_to(tiny, tmp_path, monkeypatch):
    """Validation is made to like the highest rate: it tries one more, twice as high, and every cell takes that."""
    from lab.flow.search import Search

    task = make_task(60)
    plan = quick_plan(task, methods=("lora",))
    plan.methods = [replace(m, moves=True) for m in plan.methods]
    plain = Search._trial
    monkeypatch.setattr(
        Search,
        "_trial",
        lambda self, n, spec: replace(plain(self, n, spec), accuracy=spec.candidate.weights.learning_rate),
    )
    runner = runner_for(task, tiny, tmp_path)
    study = runner.run(plan)
    (choice,) = study.choices
    assert [t.settings["weights"]["learning_rate"] for t in choice.trials] == [1e-3, 1e-2, 0.1]
    assert choice.chosen == 2 and choice.at_edge == ["learning_rate = 0.1"] and choice.looks == 15
    assert {c.weights["learning_rate"] for c in study.cells if c.method == "lora"} == {0.1}
    fixed = replace(plan, methods=[replace(m, moves=False) for m in plan.methods])
    assert runner.search._what(fixed.methods[0], 20) != runner.search._what(plan.methods[0], 20)
    assert "moves" not in runner.search._what(fixed.methods[0], 20), "what was stored before is found again"
