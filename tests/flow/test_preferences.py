"""Where rejected answers come from, and the chain that is trained on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.context.base import Tools
from lab.context.none import NoContext
from lab.flow.bench import Bench, RunSpec
from lab.flow.methods import Candidate, method
from lab.flow.preferences import rejected
from lab.schema import Completion, Score, Usage
from lab.store import Store
from lab.weights.dpo import Dpo
from lab.weights.lora import Lora
from tests.conftest import make_task

QUICK = {"epochs": 1, "minimum_steps": 4}


def with_rejected(task, texts):
    return replace(task, train=tuple(replace(s, rejected=t) for s, t in zip(task.train, texts)))


def way(told):
    """Completions by text, right or wrong or right with words around it."""

    def answered():
        return (
            [Completion(str(n), text, Usage(1, 1)) for n, (text, _, _) in enumerate(told)],
            [Score("correct" if value else "wrong", text, {"content": inside}) for text, value, inside in told],
        )

    return answered


def test_the_tasks_own_answers_come_first_and_are_the_only_ones():
    task = make_task(24)
    task = with_rejected(task, ["no"] + [""] * (len(task.train) - 1))
    asked = []
    assert rejected(task, [lambda: asked.append(1)]) == ("no", *[""] * (len(task.train) - 1))
    assert not asked


def test_the_models_own_wrong_answers_in_turn():
    task = replace(make_task(24), train=make_task(24).train[:5])
    first = way([("right", 1, 1.0), ("wrong one", 0, 0.0), ("it is right", 0, 1.0), ("", 0, 0.0), ("bad", 0, 0.0)])
    second = way([("wrong too", 0, 0.0)] * 2 + [("third", 0, 0.0)] * 2 + [("unseen", 0, 0.0)])
    assert rejected(task, [first, second]) == ("wrong too", "wrong one", "third", "third", "bad")
    # An answer with words around it is no wrong one, and where all are found nobody else is asked.
    assert rejected(task, [first]) == ("", "wrong one", "", "", "bad")
    assert rejected(task, [second, lambda: pytest.fail("asked")]) == (
        "wrong too",
        "wrong too",
        "third",
        "third",
        "unseen",
    )


@pytest.fixture
def bench(nano, tmp_path):
    store = Store(tmp_path, committed=None)
    return Bench(make_task(40), nano, store, Tools(cache=store.cache / "vectors"))


def spec_of(weights):
    return RunSpec(Candidate(NoContext(), weights), 20, 1)


def test_a_chain_is_stored_link_by_link_and_lora_serves_both(bench):
    dpo = Dpo(**QUICK)
    key = bench.adapt(spec_of(dpo))
    lora = spec_of(Lora(**QUICK))
    assert bench.stage_of(key) == bench.adaptation_key(lora) and bench.weights_are_stored(lora)
    train = bench.scoped(lora).train
    assert bench.is_stored(lora, "train")
    told = bench.training_data(spec_of(dpo))
    assert len(told.rejected) == len(train) and any(told.rejected)
    assert all(r != s.target for r, s in zip(told.rejected, train))
    assert bench.training_data(lora).rejected == ()
    usage = bench.training_usage(key)
    assert usage["stage_seconds"] > 0 and usage["training_seconds"] > 0 and usage["training_steps"] == 8
    # Found again, nothing is trained twice.
    assert bench.adapt(spec_of(dpo)) == key


def test_the_key_knows_what_the_rejected_answers_are(bench, nano, tmp_path):
    own = bench.adaptation_key(spec_of(Dpo(**QUICK)))
    labelled = {s.id: s for s in bench.task.labelled}
    given = replace(
        bench.task, train=tuple(replace(s, rejected=f"not {s.target}") for s in labelled.values()), validation=()
    )
    other = Bench(given, nano, bench.store, bench.tools)
    keys = {own, other.adaptation_key(spec_of(Dpo(**QUICK)))}
    more = replace(given, train=tuple(replace(s, rejected="none") for s in given.train))
    keys.add(Bench(more, nano, bench.store, bench.tools).adaptation_key(spec_of(Dpo(**QUICK))))
    assert len(keys) == 3
    # LoRA learns nothing from them.
    plain = spec_of(Lora(**QUICK))
    assert other.adaptation_key(plain) == Bench(more, nano, bench.store, bench.tools).adaptation_key(plain)


def test_documents_are_needed_where_they_are_read_first():
    assert method("study_dpo").needs_documents and not method("dpo").needs_documents
