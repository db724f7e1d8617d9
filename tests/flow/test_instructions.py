"""Instruction search: what is tried, where proposals come from, and that a better one is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.context.base import Offer, Tools
from lab.context.instructions import Instructions
from lab.flow.bench import Bench
from lab.flow.instructions import PROPOSALS, cleaned, own, to_try
from lab.flow.methods import CANDIDATES, method, offer_of
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.schema import Completion, LabError, Usage
from lab.store import Store
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task

BETTER = "Answer with the last word of the input."


class Told:
    """A chat model that does the task only where it is told how, and proposes what it is told to."""

    def __init__(self, nano, proposes=BETTER):
        self.nano, self.proposes, self.asked = nano, proposes, []

    def __getattr__(self, name):
        return getattr(self.nano, name)

    is_chat = True

    def complete(self, items, decoding, progress=lambda done: None):
        found = []
        for number, (i, prompt) in enumerate(items):
            self.asked.append(prompt)
            writes = prompt.instruction.startswith("You write instructions")
            right = self.answers.get(prompt.input, "") if prompt.instruction == BETTER else "no idea"
            found.append(Completion(i, f'"{self.proposes} {number}"' if writes else right, Usage(1, 1)))
        return found


@pytest.fixture
def told(nano):
    model = Told(nano)
    model.answers = {s.input: s.target for s in (*make_task(40).labelled, *make_task(40).test)}
    return model


def test_the_tasks_own_list_is_tried_first(tmp_path, nano):
    task = make_task(24)
    task = replace(task, settings=task.settings | {"instructions": ["One.", "Two."]})
    write_task(task, tmp_path / "t")
    read = load_task(tmp_path / "t")
    assert to_try(read, nano, Store(tmp_path / "home", committed=None), 20) == ("One.", "Two.")
    arm = method("instruction_search", offer_of(nano, read, ("One.", "Two.")))
    assert [c.context.text for c in arm.candidates][:3] == ["", "One.", "Two."] and len(arm.candidates) == CANDIDATES
    first, second, _, wording = (c.context for c in arm.candidates)
    assert (first.instruction_of(read), second.instruction_of(read)) == (read.instruction, "One.")
    assert wording.text == "" and wording != first


def test_a_list_that_is_none_is_told(tmp_path):
    for wrong in ("One.", [""], [1], {"a": "b"}):
        task = replace(make_task(24), folder="tasks/x", settings={"instructions": wrong})
        with pytest.raises(LabError, match="tasks/x/task.toml: instructions must be a list of texts"):
            own(task)


def test_a_base_model_can_propose_nothing(nano, tmp_path):
    with pytest.raises(LabError, match="instruction_search: nano is no chat model"):
        to_try(make_task(24), nano, Store(tmp_path, committed=None), 20)


def test_proposals_come_from_errors_on_the_items_that_a_search_may_use(told, tmp_path):
    task, store = make_task(40), Store(tmp_path, committed=None)
    found = to_try(task, told, store, 24)
    assert found == tuple(f"{BETTER} {n}" for n in range(PROPOSALS))
    shown = [p for p in told.asked if p.instruction.startswith("You write")]
    seen = {s.id for s in task.scoped(24, 0).train}
    for prompt in shown:
        assert f"A task: {task.instruction}" in prompt.input and prompt.input.count("Right answer: ") == 4
        assert "Answer given: no idea" in prompt.input
        assert not [
            s for s in (*task.test, *task.labelled) if s.id not in seen and f"Input: {s.input}\n" in prompt.input
        ]
    count = len(told.asked)
    assert to_try(task, told, store, 24) == found and len(told.asked) == count


def test_a_model_that_is_right_proposes_nothing(told, tmp_path):
    task = replace(make_task(40), instruction=BETTER)
    assert to_try(task, told, Store(tmp_path, committed=None), 20) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"Give one word."\n\nThis is better because', "Give one word."),
        ("Instruction: Give one word.", "Give one word."),
        ("Here is a better instruction:\nGive one word.", "Give one word."),
        ("Note: give one word.", "Note: give one word."),
        ("  \n\n", ""),
    ],
)
def test_proposals_are_cleaned(text, wanted):
    assert cleaned(text) == wanted


def test_validation_takes_the_better_instruction(told, tmp_path):
    task = make_task(40)
    store = Store(tmp_path, committed=None)
    bench = Bench(task, told, store, Tools(cache=store.cache / "vectors"))
    plan = expand(["zero_shot", "instruction_search"], [2], [30], 1, task, Offer(instructions=("Be brief.", BETTER)))
    study = Runner(bench).run(plan)
    (own_arm,) = [c for c in study.cells if c.method == "instruction_search"]
    assert own_arm.context == {"name": "instructions", "text": BETTER} and own_arm.accuracy == 1.0
    assert next(c for c in study.cells if c.method == "zero_shot").accuracy == 0.0


def test_which_arms_search():
    assert [n for n in ("lora", "instruction_search") if method(n).searches_instructions] == ["instruction_search"]
    assert not any(method(n).searches_instructions for n in ("zero_shot", "rag", "instruction_search_lora"))
    assert Instructions().grid(4, True) == (Instructions(),)
