"""What every scorer promises, checked for each that there is: a new one is tested by being there."""

from __future__ import annotations

import pytest

from lab.schema import OUTCOMES, Completion, Sample, Usage
from lab.tasks.scorers import BY_TASK, PLAIN, scorer_for
from tests.conftest import make_task

TARGETS = {
    "number": ["12", "3.5", "-7"],
    "json": ['{"a": 1, "b": "x"}', '{"a": 2, "b": "y"}', '{"a": 3, "b": "z"}'],
    "record": ["K-1: red", "K-2: blue", "K-3: green"],
}
"""Targets that a scorer can read, where any text won't do."""


def with_targets(name):
    """A task of the scorer, its targets in turn."""
    from dataclasses import replace

    targets = TARGETS.get(name, ["alpha", "beta", "gamma"])
    task = make_task(24, scorer=name, **({"record": r"(?P<code>K-\d): (?P<colour>\w+)"} if name == "record" else {}))

    def given(samples):
        return tuple(replace(s, target=targets[i % 3]) for i, s in enumerate(samples))

    return replace(task, train=given(task.train), validation=given(task.validation), test=given(task.test))


def completed(text, **more):
    return Completion("s", text, Usage(1, 1), **more)


@pytest.mark.parametrize("name", [*PLAIN, *BY_TASK])
def test_the_target_is_right_and_everything_ends_in_one_outcome(name):
    task = with_targets(name)
    score = scorer_for(task)
    for sample in task.test:
        assert score(sample, completed(sample.target)).outcome == "correct"
        wrong = ["", " ", "something else entirely", "I'm sorry, but I can't."]
        # The first number of a completion is its answer, whatever follows.
        wrong += [] if name == "number" else [sample.target + " and so on"]
        for text in wrong:
            found = score(sample, completed(text))
            assert found.outcome in OUTCOMES and found.outcome != "correct", (text, found)
            assert all(0.0 <= v <= 1.0 for v in found.parts.values())
        assert score(sample, completed("half of it", finished=False)).outcome == "truncated"
        assert score(sample, completed("", error="too long")).outcome == "error"
        assert score(sample, completed("I'm sorry, but I can't.")).outcome == "refused"


@pytest.mark.parametrize("name", [*PLAIN, *BY_TASK])
def test_all_items_have_the_same_parts(name):
    """A cell keeps one list a part: a part that only some items have would shift them."""
    task = with_targets(name)
    score = scorer_for(task)
    texts = [task.test[0].target, "", "something else"]
    assert len({tuple(score(s, completed(t)).parts) for s in task.test for t in texts}) == 1
    assert isinstance(score(Sample("s", "x", task.test[0].target), completed("y")).answer, str)
