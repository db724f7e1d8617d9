"""A judge: held against people first, asked once and only where it must be, and shown with its own error."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.context.base import Tools
from lab.flow.bench import Bench
from lab.flow.judging import FILE, Agreement, open_judge, read_gold
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.measure.arms import arms_at
from lab.measure.estimand import notes
from lab.measure.statistics import wilson
from lab.report.items import disagreements
from lab.schema import Completion, LabError, Usage
from lab.store import Store
from lab.tasks.task import load_task, write_task
from tests.conftest import make_task

SYNONYMS = {"Bridgend": "the town with the bridge", "Oakley": "where oaks grow"}


class Reader:
    """A model that says Yes where the given answer is the reference in other words; every fifth time it errs."""

    can, name, revision = frozenset({"complete"}), "reader", "reader@1"

    def __init__(self, machine, errs=False):
        self.machine, self.errs, self.asked = machine, errs, []

    def complete(self, items, decoding, progress=lambda done: None):
        found = []
        for i, prompt in items:
            self.asked.append(prompt.input)
            told = dict(line.split(": ", 1) for line in prompt.input.splitlines() if ": " in line)
            same = told["Given answer"] == SYNONYMS.get(told["Reference answer"], "")
            wrong = self.errs and len(self.asked) % 5 == 0
            found.append(Completion(i, " Yes." if same != wrong else "No, it is not.", Usage(9, 1)))
        return found


def gold(right=12, wrong=12):
    rows = [{"answer": SYNONYMS["Oakley"], "right": True}] * right + [{"answer": "a farm", "right": False}] * wrong
    return [{"input": f"Where does person {n} live?", "target": "Oakley"} | row for n, row in enumerate(rows)]


@pytest.fixture
def task(tmp_path):
    made = make_task(40, scorer="judge")
    made = replace(made, settings=made.settings | {"judge": "reader", "criterion": "Other words are fine."})
    write_task(made, tmp_path / "t")
    (tmp_path / "t" / FILE).write_text("\n".join(map(json.dumps, gold())) + "\n")
    return load_task(tmp_path / "t")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home", committed=None)


def test_what_it_gets_wrong_is_counted_apart(task, store, here):
    perfect = open_judge(task, store, lambda name: Reader(here)).agreement
    assert perfect == Agreement(12, 12, 12, 12) and perfect.share == 1.0 and perfect.tells
    erring = Reader(here, errs=True)
    erring.revision = "another"
    found = open_judge(task, store, lambda name: erring).agreement
    # Asked 24 times in order, it erred at 5, 10 (right ones) and 15, 20 (wrong ones).
    assert found == Agreement(12, 10, 12, 10)
    low, high = wilson(20, 24)
    assert found.words == (
        f"agrees with people on 83.3 % of 24 answers ({100 * low:.1f} % to {100 * high:.1f} %): it calls 2 of 12 right "
        "ones wrong, and 2 of 12 wrong ones right"
    )


def test_a_judge_that_can_not_tell_is_refused(task, store, here, nano):
    coin = Reader(here)
    coin.complete = lambda items, decoding, progress=None: [Completion(i, "Yes", Usage(1, 1)) for i, _ in items]
    with pytest.raises(LabError, match="reader is no judge of this task, it agrees with people on 50.0 % of 24"):
        open_judge(task, store, lambda name: coin)
    # A real network that is no judge: the bundled one chooses between Yes and No by chance.
    with pytest.raises(LabError, match="is no judge of this task"):
        open_judge(task, store, lambda name: nano)


def test_only_other_words_are_judged_and_once(task, store, here):
    judge = open_judge(task, store, lambda name: Reader(here))
    samples = [s for s in task.test if s.target in SYNONYMS][:4]
    texts = [samples[0].target, SYNONYMS[samples[1].target], "a farm", ""]
    completions = [Completion(s.id, t, Usage(1, 1)) for s, t in zip(samples, texts)]
    bench = Bench(task, Reader(here), store, judge=judge, decoding=_free())
    judge.model.asked.clear()
    scores = bench.scored(samples, completions)
    assert [s.outcome for s in scores] == ["correct", "correct", "wrong", "malformed"]
    assert len(judge.model.asked) == 2, "the target's own words and nothing need no judge"
    assert "Criterion: Other words are fine." in judge.model.asked[0]
    assert [s.outcome for s in bench.scored(samples, completions)] == [s.outcome for s in scores]
    assert len(judge.model.asked) == 2


def _free():
    from lab.schema import Decoding

    return Decoding(16, "\n")


def test_a_study_is_scored_by_it_and_says_its_error(task, store, nano, here, monkeypatch):
    answers = {s.id: SYNONYMS.get(s.target, "no idea") for s in (*task.labelled, *task.test)}
    judge = open_judge(task, store, lambda name: Reader(here))
    bench = Bench(task, nano, store, Tools(cache=store.cache / "vectors"), judge=judge)
    monkeypatch.setattr(
        type(nano),
        "complete",
        lambda self, items, *more: [Completion(i, answers.get(i.split()[-1], ""), Usage(1, 1)) for i, _ in items],
    )
    study = Runner(bench).run(expand(["zero_shot", "rag"], [2], [20], 1, task))
    share = sum(s.target in SYNONYMS for s in task.test) / len(task.test)
    assert [c.accuracy for c in study.cells if c.method == "zero_shot"] == [share] and 0 < share < 1
    (note,) = [n for n in notes(study, arms_at(study), 20) if "judged by a model" in n]
    assert note.startswith("Answers in other words than the target's were judged by a model: reader agrees with people")
    # Without the judge at hand nobody says which items are right.
    assert disagreements(study, store, task) is None
    assert disagreements(study, store, task, scored=bench.scored)["validation"] > 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"input": "a", "target": "b"}', "line 1: field 'answer' is missing"),
        ('{"input": "a", "target": "b", "answer": "c", "right": "yes"}', "line 1: field 'right' must be true or false"),
        ("{broken", "line 1: broken JSON"),
        ("\n".join(map(json.dumps, gold(12, 3))), "3 answers that people call wrong; at least 10 of each"),
        (None, "judged.jsonl: missing; a judge is held against people's judgements first"),
    ],
)
def test_judgements_that_can_not_be_used_are_told(tmp_path, text, says):
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(LabError, match=says):
        read_gold(tmp_path / FILE)


def test_a_task_must_name_its_judge(task, store):
    with pytest.raises(LabError, match='task.toml: scorer judge needs judge = "MODEL"'):
        open_judge(replace(task, settings={}), store, lambda name: None)


def test_the_digest_knows_judge_and_criterion(task):
    others = [replace(task, settings=task.settings | {k: "other"}) for k in ("judge", "criterion")]
    assert len({t.digest for t in (task, *others)}) == 3
    plain = make_task(40)
    assert plain.digest == replace(plain, settings=plain.settings | {"judge": "x"}).digest
