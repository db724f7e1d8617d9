"""Scorers: one completion against one sample; a name in ``task.toml`` picks one.

``scorer_for(task)(sample, completion)`` gives a Score with one of six outcomes; content and format are told apart
where the target has a form (``json``, ``record``).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import regex

from lab.schema import Completion, LabError, Sample, Score
from lab.tasks.numbers import decimal_of, number_of, numbers_in
from lab.tasks.own_scorer import own_scorer
from lab.tasks.task import Task
from lab.tasks.texts import holds, normalise, stands_in, words

Scorer = Callable[[Sample, Completion], Score]

MATCH_SECONDS = 2.0
"""Of one text against a record's pattern: some patterns take years."""
REFUSALS = re.compile(r"^\s*(i('m| am) sorry|i can('|no)t|i am unable|as an ai)\b", re.I)


def _outcome(completion: Completion, right: bool, malformed: bool = False) -> str:
    if completion.error:
        return "error"
    # Nothing is no answer, whatever a normalisation leaves of the target.
    if right and completion.text.strip():
        return "correct"
    if not completion.finished:
        return "truncated"
    if REFUSALS.match(completion.text):
        return "refused"
    return "malformed" if malformed or not completion.text.strip() else "wrong"


def exact(sample: Sample, completion: Completion) -> Score:
    """Equal to the target after normalisation; ``content``: the target stands in the completion."""
    right = normalise(completion.text) == normalise(sample.target)
    parts = {"content": float(right or holds(completion.text, sample.target))}
    return Score(_outcome(completion, right), completion.text.strip(), parts)


def any_of(sample: Sample, completion: Completion) -> Score:
    """Equal to the target or to any of ``accept`` after normalisation; ``content``: one of them stands in it."""
    accepted = (sample.target, *sample.accept)
    right = normalise(completion.text) in {normalise(t) for t in accepted}
    parts = {"content": float(right or any(holds(completion.text, t) for t in accepted))}
    return Score(_outcome(completion, right), completion.text.strip(), parts)


def token_f1(sample: Sample, completion: Completion) -> Score:
    """Correct where all words agree; ``f1`` is the best overlap with the target or any of ``accept``, ``content``
    whether all words of one of them stand together in the completion."""
    got = words(completion.text)

    def f1(target: str) -> float:
        wanted = words(target)
        if not got or not wanted:
            return float(got == wanted)
        common = sum((Counter(got) & Counter(wanted)).values())
        return 2 * common / (len(got) + len(wanted)) if common else 0.0

    def together(target: str) -> bool:
        wanted = words(target)
        return bool(wanted) and any(got[i : i + len(wanted)] == wanted for i in range(len(got)))

    accepted = (sample.target, *sample.accept)
    best = max(f1(t) for t in accepted)
    parts = {"f1": best, "content": float(best == 1.0 or any(together(t) for t in accepted))}
    return Score(_outcome(completion, best == 1.0), completion.text.strip(), parts)


def json_fields(sample: Sample, completion: Completion) -> Score:
    """``format``: strictly valid JSON of the target's type; ``content``: share of the target's fields that are right.

    Where the completion is no JSON, a field counts as content when its value stands in the text as whole words.
    Correct means valid and equal to the target (order of keys ignored).
    """
    wanted = json.loads(sample.target)
    try:
        got = json.loads(completion.text, parse_constant=_refuse_constant)
        valid = type(got) is type(wanted)
    except (ValueError, RecursionError):
        got, valid = None, False
    if isinstance(wanted, dict) and wanted:
        text = completion.text
        right = [k in got and _same(got[k], v) if valid else stands_in(_leaf(v), text) for k, v in wanted.items()]
        content = sum(right) / len(right)
    else:
        content = float(_same(got, wanted))
    parts = {"format": float(valid), "content": content}
    right = valid and _same(got, wanted)
    return Score(_outcome(completion, right, malformed=not valid), completion.text.strip(), parts)


def _same(one: object, other: object) -> bool:
    """Whether two JSON values are equal, types told apart: ``true`` is not 1 (1 and 1.0 are one number)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _leaf(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def record(task: Task) -> Scorer:
    """A house format given as a pattern with named groups (``record`` in task.toml).

    ``format``: the whole completion matches the pattern; ``content``: share of the target's fields that are right
    (in place where the format holds, else anywhere in the text as whole words).
    """
    try:
        pattern = regex.compile(str(task.settings["record"]))
    except KeyError:
        raise LabError(
            f"{task.folder}/task.toml: the record scorer needs a pattern in record = '...' with named groups"
        ) from None
    except regex.error as error:
        raise LabError(f"{task.folder}/task.toml: record is no regular expression: {error}") from None

    if not pattern.groupindex:
        raise LabError(f"{task.folder}/task.toml: the record pattern has no named group, such as (?P<code>.+)")

    def matched(text: str, whose: str) -> regex.Match[str] | None:
        try:
            return pattern.fullmatch(text, timeout=MATCH_SECONDS)
        except TimeoutError:
            raise LabError(
                f"{task.folder}/task.toml: the record pattern takes more than {MATCH_SECONDS:g} s on {whose}; simplify "
                "it (a repetition within a repetition is the usual cause)"
            ) from None

    for sample in (*task.train, *task.validation, *task.test):
        if not matched(sample.target, f"the target of {sample.id}"):
            raise LabError(
                f"{task.folder}: the target of {sample.id} does not match the record pattern: {sample.target[:60]!r}"
            )

    def score(sample: Sample, completion: Completion) -> Score:
        text = completion.text.strip()
        fields = matched(sample.target, f"the target of {sample.id}").groupdict()
        match = matched(text, f"a completion of {sample.id}")
        right = [match.group(k) == v if match else stands_in(v, text) for k, v in fields.items()]
        parts = {"format": float(match is not None), "content": sum(right) / len(right)}
        return Score(_outcome(completion, match is not None and all(right), malformed=match is None), text, parts)

    return score


def number(task: Task) -> Scorer:
    """The first number of the completion equals the target's (to one part in a billion); ``content``: any of them.

    ``decimal = ","`` in task.toml reads ``1.200,5`` as people write it there; a figure that is no number in the task's
    notation is no answer.
    """
    decimal = decimal_of(task.settings, f"{task.folder}/task.toml")

    def score(sample: Sample, completion: Completion) -> Score:
        found, wanted = numbers_in(completion.text, decimal), number_of(sample.target, decimal)
        same = [n is not None and abs(n - wanted) <= 1e-9 * max(1.0, abs(wanted)) for n in found]
        first = found[0] if found else None
        outcome = _outcome(completion, bool(same) and same[0], malformed=first is None)
        return Score(outcome, "" if first is None else f"{first:g}", {"content": float(any(same))})

    _check_targets(task)
    return score


def label(task: Task) -> Scorer:
    """One of a closed set (all targets of the labelled items); anything else is malformed.

    ``content``: the target is the one label that stands in the completion.
    """
    known = {normalise(target) for target in task.labels}

    def score(sample: Sample, completion: Completion) -> Score:
        answer = normalise(completion.text)
        # A completion that names several labels has not answered.
        named = [label for label in known if holds(completion.text, label)]
        told = [n for n in named if not any(n != other and stands_in(n, other) for other in named)]
        parts = {"format": float(answer in known), "content": float(told == [normalise(sample.target)])}
        return Score(
            _outcome(completion, answer == normalise(sample.target), malformed=answer not in known),
            completion.text.strip(),
            parts,
        )

    return score


PLAIN: dict[str, Scorer] = {"exact": exact, "any": any_of, "json": json_fields, "f1": token_f1, "judge": any_of}
"""What needs nothing but sample and completion; of ``judge`` that an answer is the target's own words, the rest says a
model (``lab.flow.judging``)."""
BY_TASK: dict[str, Callable[[Task], Scorer]] = {"number": number, "label": label, "record": record}


def scorer_for(task: Task, allow_code: bool = False) -> Scorer:
    """The task's scorer; ``module:function`` runs a user's own code and needs ``allow_code``.

    Raises LabError for an unknown name (listing the valid ones) and for targets that the scorer can't read.
    """
    name = task.scorer
    if name in BY_TASK:
        return BY_TASK[name](task)
    if name in PLAIN:
        _check_targets(task)
        return PLAIN[name]
    if ":" in name:
        if not allow_code:
            raise LabError(f"scorer {name}: it would run your own code; say so with --allow-scorer-code")
        return own_scorer(name, task.folder)
    raise LabError(
        f"{task.folder}/task.toml: unknown scorer {name!r}; one of {', '.join([*PLAIN, *BY_TASK])} or module:function"
    )


def target_reader(scorer: str, settings: dict[str, Any], where: str) -> Callable[[str], object] | None:
    """What raises ValueError for a target that nobody could match; None where any text can be matched."""
    if scorer == "json":
        return lambda target: json.loads(target, parse_constant=_refuse_constant)
    if scorer == "number":
        decimal = decimal_of(settings, where)
        return lambda target: number_of(target, decimal)
    return None


def _check_targets(task: Task) -> None:
    """Raises LabError naming the first target that nobody could match."""
    read = target_reader(task.scorer, task.settings, f"{task.folder}/task.toml")
    if read is None:
        return
    for split in ("train", "validation", "test"):
        for sample in task.split(split):
            try:
                read(sample.target)
            except (ValueError, RecursionError) as error:
                raise LabError(
                    f"{task.folder}/{split}.jsonl: the target of {sample.id} is not {task.scorer}: "
                    f"{sample.target[:60]!r} ({str(error)[:100]})"
                ) from None
