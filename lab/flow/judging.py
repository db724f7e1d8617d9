"""A language model as a judge of free text (``scorer = "judge"``), held against people's judgements before it is used.

task.toml names the ``judge`` (a model as for ``--model``) and may give a ``criterion``; ``judged.jsonl`` beside it has
answers that people judged: rows of input, target, answer and ``right`` (true or false). An answer that is the target is
right without asking; of any other the judge says Yes or No, once, and that is stored::

    judge = open_judge(task, store, opened)
    judge.agreement            # on the people's answers: what it missed and what it let pass
    judge.over(samples, completions, scores)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lab.files import digest, read_jsonl
from lab.flow.asking import completed
from lab.measure.statistics import wilson
from lab.measure.words import percent
from lab.models.local import LocalModel
from lab.schema import Completion, Decoding, LabError, Prompt, Sample, Score
from lab.store import Store
from lab.tasks.task import Task

SCORER = "judge"
FILE = "judged.jsonl"
FEWEST = 10
"""Right and wrong answers that people must have judged, of each kind."""
CRITERION = "The given answer says the same as the reference answer; other words do not matter."
ROLE = "You judge answers. Say Yes where the given answer is right by the criterion, else No. Say nothing else."
ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Agreement:
    """A judge beside people, on the same answers."""

    right: int
    """Answers that people call right, and how many of them the judge does."""
    right_found: int
    wrong: int
    """Answers that people call wrong, and how many of them the judge does."""
    wrong_found: int

    @property
    def share(self) -> float:
        """Of all answers those on which both agree."""
        return (self.right_found + self.wrong_found) / (self.right + self.wrong)

    @property
    def words(self) -> str:
        """For a person: agreement with its interval, and the errors of both kinds."""
        count = self.right + self.wrong
        low, high = wilson(self.right_found + self.wrong_found, count)
        return (
            f"agrees with people on {percent(self.share)} of {count} answers ({percent(low)} to {percent(high)}): it "
            f"calls {self.right - self.right_found} of {self.right} right ones wrong, and "
            f"{self.wrong - self.wrong_found} of {self.wrong} wrong ones right"
        )

    @property
    def tells(self) -> bool:
        """Whether it is shown to tell right from wrong: both intervals together say more than a coin does."""
        return wilson(self.right_found, self.right)[0] + wilson(self.wrong_found, self.wrong)[0] > 1.0


class Judge:
    """One model, one criterion; what it said is stored."""

    def __init__(self, task: Task, model: LocalModel, store: Store, gold: Sequence[tuple[Sample, str, bool]]) -> None:
        self.task, self.model, self.store, self.gold = task, model, store, gold
        self.criterion = task.settings.get("criterion") or CRITERION

    @cached_property
    def agreement(self) -> Agreement:
        """On what people have judged."""
        said = self._said([(sample, answer) for sample, answer, _ in self.gold])
        both = [(mine, right) for mine, (_, _, right) in zip(said, self.gold)]
        right, wrong = ([mine for mine, r in both if r is kind] for kind in (True, False))
        return Agreement(len(right), sum(right), len(wrong), sum(not mine for mine in wrong))

    def over(self, samples: Sequence[Sample], completions: Sequence[Completion], scores: list[Score]) -> list[Score]:
        """The scores with what the judge says of answers that are not the target's own words."""
        places = [n for n, s in enumerate(scores) if s.outcome in ("wrong", "refused") and s.answer]
        said = self._said([(samples[n], scores[n].answer) for n in places])
        judged = dict(zip(places, said))
        return [replace(s, outcome="correct") if judged.get(n) else s for n, s in enumerate(scores)]

    def _said(self, answers: Sequence[tuple[Sample, str]]) -> list[bool]:
        """Yes or no to each; what can't be read as either is no."""
        questions = [_question(sample, answer, self.criterion) for sample, answer in answers]
        asked = {digest(q)[:16]: Prompt(ROLE, q) for q in questions}
        if not asked:
            return []
        choosing = "choose" in self.model.can
        labels = '{"labels": ["Yes", "No"]}'
        decoding = Decoding(8, "", allowed=labels, choose="whole") if choosing else Decoding(8, "")
        completions = completed("judging", list(asked.items()), decoding, self.model, self.store, "judging")
        said = {c.sample_id: _is_yes(c.text) for c in completions}
        return [said[digest(q)[:16]] for q in questions]


def open_judge(task: Task, store: Store, opened: Callable[[str], LocalModel]) -> Judge:
    """The task's judge, held against people's judgements; raises LabError where there are too few of them, and where
    it can't tell right from wrong."""
    name, criterion = task.settings.get("judge"), task.settings.get("criterion", "")
    where = f"{task.folder}/task.toml"
    if not isinstance(name, str) or not isinstance(criterion, str):
        raise LabError(f'{where}: scorer judge needs judge = "MODEL" (as for --model), and criterion is a text')
    gold = read_gold(Path(task.folder) / FILE)
    judge = Judge(task, opened(name), store, gold)
    if not judge.agreement.tells:
        raise LabError(f"{where}: {name} is no judge of this task, it {judge.agreement.words}; take a larger model")
    return judge


def read_gold(path: Path) -> list[tuple[Sample, str, bool]]:
    """(question with its target, answer, whether people call it right) of each row; raises LabError naming file and
    line of a bad one, and where there are too few of a kind."""
    if not path.exists():
        raise LabError(
            f"{path}: missing; a judge is held against people's judgements first: rows of input, target, answer and "
            "right (true or false)"
        )
    found = []
    for number, row in read_jsonl(path):
        for key in ("input", "target", "answer"):
            if not isinstance(row.get(key), str):
                raise LabError(f"{path}, line {number}: field {key!r} is missing or no text")
        if not isinstance(row.get("right"), bool):
            raise LabError(f"{path}, line {number}: field 'right' must be true or false")
        found.append((Sample(f"judged-{number}", row["input"], row["target"]), row["answer"], row["right"]))
    for kind, word in ((True, "right"), (False, "wrong")):
        if (count := sum(r is kind for _, _, r in found)) < FEWEST:
            raise LabError(
                f"{path}: {count} answers that people call {word}; at least {FEWEST} of each kind are needed"
            )
    return found


def _question(sample: Sample, answer: str, criterion: str) -> str:
    accepted = " or ".join((sample.target, *sample.accept))
    return (
        f"Question: {sample.input}\nReference answer: {accepted}\nGiven answer: {answer}\nCriterion: {criterion}\n"
        "Is the given answer right? Say Yes or No."
    )


def _is_yes(text: str) -> bool:
    found = ANSWER.match(text)
    return bool(found) and found[1].lower() == "yes"
