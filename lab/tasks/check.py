"""What a task's data can and can't show: leaks, duplicates, conflicts, balance, lengths.

``check_task(task)`` returns findings, errors first; ``require_sound(task)`` raises where test leaks into train.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lab.schema import LabError, Sample
from lab.tasks.task import SPLITS, Task
from lab.tasks.texts import likeness, normalise

NEAR = 0.9
"""Cosine of character 3- to 5-gram TF-IDF from which two inputs count as near duplicates."""


@dataclass(frozen=True)
class Finding:
    """One thing that the check found."""

    level: Literal["error", "warning", "note"]
    kind: str
    text: str
    ids: tuple[str, ...] = ()


def check_task(
    task: Task, count_tokens: Callable[[str], int] | None = None, window: int | None = None
) -> list[Finding]:
    """All findings of a task; lengths are checked where a model's token counter and window are given."""
    findings = [
        *_leaks(task),
        *_groups(task),
        *_conflicts(task),
        *_near_duplicates(task),
        *_sizes(task),
        *_balance(task),
    ]
    if count_tokens and window:
        findings += _lengths(task, count_tokens, window)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda f: order[f.level])


def require_sound(task: Task, allow_leak: bool = False) -> list[Finding]:
    """The findings; raises LabError where test items stand in train or validation, unless allowed."""
    findings = check_task(task)
    errors = [f for f in findings if f.level == "error"]
    if errors and not allow_leak:
        raise LabError(
            f"{task.folder}: {errors[0].text}; take them out with lab check {task.folder} --mend FOLDER, or say "
            "--allow-leak (the report will say so)"
        )
    return findings


def is_classification(task: Task) -> bool:
    """Whether the targets are a closed set: the label scorer, or few targets that all recur."""
    if task.scorer == "label":
        return True
    counts = Counter(counted_as(task)(s.target) for s in task.labelled)
    return task.scorer in ("exact", "any") and len(counts) <= 50 and len(counts) * 5 <= len(task.labelled)


def counted_as(task: Task) -> Callable[[str], str]:
    """What makes two targets one to the task's scorer: case and a full stop do not count where it takes texts."""
    return normalise if task.scorer in ("label", "exact", "any", "f1") else str


def majority_rate(task: Task, split: str = "test") -> tuple[str, float]:
    """The labelled items' most frequent target, in its most frequent spelling, and its share of a split."""
    key, samples = counted_as(task), task.split(split)
    most = Counter(key(s.target) for s in task.labelled).most_common(1)[0][0]
    spelled = Counter(s.target for s in task.labelled if key(s.target) == most).most_common(1)[0][0]
    return spelled, sum(key(s.target) == most for s in samples) / len(samples)


def _listed(ids: list[str]) -> str:
    return ", ".join(ids[:9]) + (f" and {len(ids) - 9} more" if len(ids) > 9 else "")


def _leaks(task: Task) -> list[Finding]:
    seen = {likeness(s.input): s for s in task.labelled}
    leaked = [s for s in task.test if likeness(s.input) in seen]
    if not leaked:
        return []
    pairs = [f"{s.id} = {seen[likeness(s.input)].id}" for s in leaked]
    count = (
        f"{len(leaked)} test item{'s' * (len(leaked) > 1)} also stand{'s' * (len(leaked) == 1)} in train or validation"
    )
    return [Finding("error", "leak", f"{count}: {_listed(pairs)}", tuple(s.id for s in leaked))]


def _groups(task: Task) -> list[Finding]:
    known = {s.group for s in task.labelled if s.group}
    shared = sorted({s.group for s in task.test if s.group in known})
    if not shared:
        return []
    return [
        Finding(
            "error",
            "group_leak",
            f"{len(shared)} groups stand in test and in train or validation: {_listed(shared)}",
            tuple(shared),
        )
    ]


def repeated_inputs(task: Task) -> list[list[tuple[str, Sample]]]:
    """Items that are one input to a person, with their splits, where there are several: train's first, test's last."""
    found: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    for split in SPLITS:
        for sample in task.split(split):
            found[likeness(sample.input)].append((split, sample))
    return [group for group in found.values() if len(group) > 1]


def _conflicts(task: Task) -> list[Finding]:
    repeated = [[sample for _, sample in group] for group in repeated_inputs(task)]
    key = counted_as(task)
    conflicting = [g for g in repeated if len({key(s.target) for s in g}) > 1]
    findings = []
    if conflicting:
        ids = [" / ".join(s.id for s in g[:3]) for g in conflicting]
        findings.append(
            Finding(
                "warning",
                "conflict",
                f"{len(conflicting)} inputs have different targets: {_listed(ids)}",
                tuple(s.id for g in conflicting for s in g),
            )
        )
    known = {s.id for s in task.labelled}
    inside = [g for g in repeated if sum(s.id in known for s in g) > 1]
    if inside:
        findings.append(
            Finding(
                "warning",
                "duplicate",
                f"{len(inside)} inputs stand more than once in train and validation: "
                f"{_listed([' = '.join(s.id for s in g[:3]) for g in inside])}",
                tuple(s.id for g in inside for s in g),
            )
        )
    return findings


def _near_duplicates(task: Task, most: int = 20_000) -> list[Finding]:
    """Test inputs that nearly equal a labelled one; skipped with a note above ``most`` labelled items."""
    if len(task.labelled) > most:
        return [
            Finding("note", "near_duplicate", f"near duplicates were not looked for: more than {most:,} labelled items")
        ]
    from sklearn.feature_extraction.text import TfidfVectorizer

    exact = {likeness(s.input) for s in task.labelled}
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=1)
    try:
        labelled = vectorizer.fit_transform(likeness(s.input) for s in task.labelled)
    except ValueError:
        return []
    close = []
    for start in range(0, len(task.test), 256):
        batch = task.test[start : start + 256]
        similarity = vectorizer.transform(likeness(s.input) for s in batch) @ labelled.T
        best = similarity.max(axis=1).toarray().ravel()
        where = np.asarray(similarity.argmax(axis=1)).ravel()
        close += [
            (s, task.labelled[int(w)])
            for s, b, w in zip(batch, best, where)
            if b >= NEAR and likeness(s.input) not in exact
        ]
    # Generated or templated texts differ in a name only; a different target shows that the name matters.
    key = counted_as(task)
    close = [(s, other) for s, other in close if key(s.target) == key(other.target)]
    if not close:
        return []
    return [
        Finding(
            "warning",
            "near_duplicate",
            f"{len(close)} test inputs nearly equal a labelled one with the same target: "
            f"{_listed([f'{s.id} ~ {o.id}' for s, o in close])}",
            tuple(s.id for s, _ in close),
        )
    ]


def _sizes(task: Task) -> list[Finding]:
    sizes = ", ".join(f"{len(task.split(s)):,} {s}" for s in SPLITS)
    return [Finding("note", "size", f"{sizes}, {len(task.documents):,} documents")]


def _balance(task: Task) -> list[Finding]:
    if not is_classification(task):
        return []
    key = counted_as(task)
    counts = Counter(key(s.target) for s in task.labelled)
    target, rate = majority_rate(task)
    unseen = {s.target for s in task.test if key(s.target) not in counts}
    findings = [
        Finding(
            "note",
            "majority",
            f"{len(counts)} labels; always answering {target!r} is right on {100 * rate:.1f} % of the test items",
        )
    ]
    if max(counts.values()) > 10 * min(counts.values()):
        rarest = min(counts, key=counts.get)
        most = max(counts.values())
        findings.append(
            Finding(
                "warning",
                "imbalance",
                f"label {rarest!r} stands {counts[rarest]} times, {target!r} {most} times",
            )
        )
    if unseen:
        findings.append(
            Finding("warning", "unseen_label", f"{len(unseen)} labels stand in test only: {_listed(sorted(unseen))}")
        )
    return findings


def _lengths(task: Task, count_tokens: Callable[[str], int], window: int) -> list[Finding]:
    lengths = [(count_tokens(s.input) + count_tokens(s.target), s.id) for split in SPLITS for s in task.split(split)]
    median, (longest, where) = sorted(n for n, _ in lengths)[len(lengths) // 2], max(lengths)
    instruction = count_tokens(task.instruction)
    findings = [
        Finding(
            "note",
            "length",
            f"input and target: median {median} tokens, longest {longest} ({where}); instruction {instruction}; "
            f"window {window}",
        )
    ]
    over = [i for n, i in lengths if n + instruction > window]
    if over:
        findings.append(
            Finding(
                "warning",
                "too_long",
                f"{len(over)} items are longer than the model's window of {window} tokens; a prompt that long ends as "
                "an error, a training pair is left out: "
                f"{_listed(over)}",
                tuple(over),
            )
        )
    return findings
