"""Questions that a model writes on the documents: how they are read out, which are kept, and the chain behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.context.base import Tools
from lab.context.none import NoContext
from lab.flow.bench import Bench, RunSpec
from lab.flow.methods import Candidate, method
from lab.flow.questions import _shown, pairs_in, written
from lab.schema import Completion, LabError, Usage
from lab.store import Store
from lab.weights.lora import Lora
from tests.conftest import make_task

QUICK = {"epochs": 1, "minimum_steps": 4}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Q: Who leads it?\nA: Ada Lane.", [("Who leads it?", "Ada Lane")]),
        ("Q: One?\nA: 1\n\nQ: Two?\nA: 2\n\nQ: Three?", [("One?", "1"), ("Two?", "2")]),
        ("1. **Question 1:** Who?\n   **Answer:** Ada", [("Who?", "Ada")]),
        ("question: Where\nis it?\nanswer: Oakley", []),
        ("Sure! Here are some.\n\nQ1: Who?\n\nA1: Ada", [("Who?", "Ada")]),
        ("It says that Q is A.", []),
        ("", []),
    ],
)
def test_what_was_written_is_read_out(text, wanted):
    assert pairs_in(text) == wanted


class Writer:
    """The bundled model, as a chat model that writes what it is told to on each passage."""

    is_chat = True

    def __init__(self, nano, write):
        self.nano, self.write, self.asked = nano, write, []

    def __getattr__(self, name):
        return getattr(self.nano, name)

    def complete(self, items, decoding, progress=lambda done: None):
        if "You write questions" not in items[0][1].instruction:
            return self.nano.complete(items, decoding, progress)
        self.asked += [p for _, p in items]
        return [Completion(i, self.write(p.input), Usage(100, 20)) for i, p in items]


def of_people(text: str) -> str:
    """Two wordings of the person's town, and one answer that is not in the text."""
    first = text.split("Text: ")[1].split("\n")[0]
    name, town = first.split(" and ")[0], first.rstrip(".").split()[-1]
    return (
        f"Q: Where does {name} live?\nA: {town}.\nQ: What is the home of {name}?\nA: {town}\nQ: Who?\nA: nobody at all"
    )


@pytest.fixture
def bench(nano, tmp_path):
    store = Store(tmp_path, committed=None)
    return Bench(make_task(40), Writer(nano, of_people), store, Tools(cache=store.cache / "vectors"), way="free")


def test_pairs_are_asked_as_the_task_asks_and_must_stand_in_the_text(bench):
    task, model, store = bench.task, bench.model, bench.store
    found = written(task, model, store, 2)
    assert len(found.pairs) == 2 * len(task.documents) and found.refused == len(task.documents)
    prompt, answer = found.pairs[0]
    assert prompt.instruction == task.instruction and prompt.input.startswith("Where does")
    assert all(a in {"Bridgend", "Oakley", "Marsham", "Tilbury"} for _, a in found.pairs)
    assert found.tokens == 120 * len(task.documents)
    assert "in 2 different wordings" in model.asked[0].input and "wordings" not in str(
        written(task, model, store, 1) and model.asked[-1].input
    )
    # Stored like any result.
    count = len(model.asked)
    assert written(task, model, store, 2) == found and len(model.asked) == count


def test_models_that_can_write_none_are_told(nano, tmp_path):
    task, store = make_task(24), Store(tmp_path, committed=None)
    with pytest.raises(LabError, match="qa_ methods: nano is no chat model"):
        written(task, nano, store, 1)
    with pytest.raises(LabError, match="wrote no question whose answer stands in its passage"):
        written(task, Writer(nano, lambda text: "Q: Who?\nA: nobody"), store, 1)


def test_questions_are_read_before_the_pairs_and_their_tokens_are_told(bench):
    weights = Lora(study=True, wordings=2, **QUICK)
    spec = RunSpec(Candidate(NoContext(), weights), 20, 1)
    key = bench.adapt(spec)
    stage = bench.log_of(bench.stage_of(key))
    assert stage["written_tokens"] == 120 * len(bench.task.documents)
    assert bench.training_usage(key)["training_written_tokens"] == stage["written_tokens"]
    text = bench.adapt(RunSpec(Candidate(NoContext(), replace(weights, wordings=0)), 20, 1))
    assert bench.stage_of(text) != bench.stage_of(key)
    assert bench.log_of(bench.stage_of(text))["written_tokens"] == 0


def test_a_fact_is_met_as_often_in_any_number_of_wordings():
    assert [Lora(study=True, wordings=w).stage().study_epochs for w in (0, 1, 2, 5)] == [30, 30, 15, 6]
    assert method("qa_lora").needs_documents and method("qa_dpo").writes_questions
    assert not method("study_lora").writes_questions
    assert {c.weights.wordings for c in method("qa_lora").candidates} == {2}
    with pytest.raises(LabError, match="wordings"):
        Lora(wordings=-1)


def test_a_model_is_shown_the_form_in_as_many_wordings():
    for wordings in (1, 2, 5):
        for example in _shown(wordings):
            pairs = pairs_in(example.target)
            assert len(pairs) == 2 * wordings == len(set(pairs))
            assert all(answer in example.input for _, answer in pairs)
    with pytest.raises(LabError, match="wordings 6: at most 5"):
        Lora(wordings=6)
