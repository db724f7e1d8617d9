"""What did not fit is counted, told beside the arm and in its costs, and makes nothing cheaper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.flow.runner import Runner
from lab.measure.arms import arm_of
from lab.measure.left_out import words
from lab.schema import Completion, Usage
from lab.tasks.task import Task
from tests.conftest import make_task
from tests.flow.test_runner import bench_for, quick_plan


@pytest.fixture(scope="module")
def long_task() -> Task:
    """Every fourth test item and every fifth training item is longer than the window of 256 tokens; documents too."""
    task = make_task(60)

    def long(samples, every):
        return tuple(replace(s, input=s.input * 60) if n % every == 0 else s for n, s in enumerate(samples))

    documents = tuple(replace(d, text=" ".join([d.text] * 30)) for d in task.documents)
    return replace(task, train=long(task.train, 5), test=long(task.test, 4), documents=documents)


@pytest.fixture(scope="module")
def study(long_task, tiny, tmp_path_factory):
    bench = bench_for(long_task, tiny, tmp_path_factory.mktemp("home"))
    return Runner(bench).run(quick_plan(long_task, methods=("zero_shot", "lora"), seeds=1))


def test_items_that_are_too_long_are_counted_beside_the_arm(study, long_task):
    size, asked = max(study.sizes()), len(long_task.test)
    told = words(arm_of(study, "zero_shot", size))
    assert told == (
        f"Too long for the model's window, zero_shot: {len(long_task.test[::4])} of {asked} items were not asked and "
        "count as not right."
    )
    assert "examples were not trained on" in words(arm_of(study, "lora", size))


def test_an_item_that_was_not_asked_makes_no_request_cheaper():
    from lab.flow.runner import _request_usage

    asked = Completion("a", "x", Usage(100, 4, seconds=2.0))
    long = Completion("b", "", Usage(0, 0), error="too long")
    usage = _request_usage([asked, long, long], {})
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["seconds"]) == (100, 4, 2)
    assert _request_usage([long], {})["seconds"] == 0


def test_cut_passages_and_examples_are_told_in_one_sentence(study):
    arm = arm_of(study, "zero_shot", max(study.sizes()))
    cut = replace(arm.cells[0], outcomes="c" * len(study.items), usage={"cut_passages": 1200, "cut_examples": 3})
    assert words(replace(arm, cells=(cut,))) == (
        f"Too long for the model's window, zero_shot: 1,200 passages and 3 examples were cut from the prompts of "
        f"{len(study.items)} items."
    )
    whole = replace(cut, usage={})
    assert words(replace(arm, cells=(whole,))) == ""
