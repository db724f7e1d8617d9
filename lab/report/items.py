"""Validation items on which arms disagree, with their completions: the only part of a report that holds texts of the
task.

``disagreements(study, store, task)`` rescoring stored completions; ``None`` where they or the task are not at
hand, or its own scorer is not allowed to run; an arm with damaged completions is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from lab.measure.arms import arms_at
from lab.schema import Completion, LabError, Sample, Score
from lab.store import Store, read_completions
from lab.study import Study
from lab.tasks.extraction import extracting
from lab.tasks.scorers import Scorer, scorer_for
from lab.tasks.task import Task, load_task

Scored = Callable[[Sequence[Sample], Sequence[Completion]], list[Score]]
"""A score of each of these items."""
MOST = 50
"""Items a pair of arms."""
FEW = 10
"""Items a pair of arms that neither gets right."""
LONGEST = 600
"""Characters of a text that are shown."""


def task_of(study: Study) -> Task | None:
    """The study's task where its folder is still there and unchanged."""
    try:
        return require_task(study)
    except LabError:
        return None


def require_task(study: Study, folder: Path | None = None) -> Task:
    """The study's task, where it lies or in this folder; raises LabError where it is gone or no longer the same."""
    task = load_task(folder or Path(study.task["folder"]))
    task = task.with_items(study.task["test"]) if study.task.get("test_of") else task
    if task.digest != study.task["digest"]:
        raise LabError(f"{task.folder}: its items are no longer those of the study; name the task's folder with --task")
    return task


def with_texts(study: Study, store: Store) -> tuple[Study, dict[str, Any] | None]:
    """The study with what its task asks for, which older ones do not say, and the items on which its arms disagree; as
    it is and None where the task is not at hand."""
    task = task_of(study)
    if task is not None:
        study.task.setdefault("instruction", task.instruction)
    return study, disagreements(study, store, task)


def disagreements(
    study: Study,
    store: Store,
    task: Task | None,
    allow_scorer_code: bool = False,
    size: int | None = None,
    split: str = "validation",
    rank: int | None = None,
    scored: Scored | None = None,
) -> dict[str, Any] | None:
    """Texts, completions and, for each pair of arms, the items on which exactly one is right (first seed;
    the largest size by default). ``scored`` says what is right where the task's scorer alone can't."""
    if task is None or (task.scorer == "judge" and scored is None):
        return None
    try:
        scored = scored or _alone(extracting(study.settings.get("extraction", ""), scorer_for(task, allow_scorer_code)))
    except LabError:
        return None
    samples = {s.id: s for s in (task.test if split == "test" else task.labelled)}
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for arm in arms_at(study, size, rank):
        key = arm.cells[0].evaluation if split == "test" else arm.cells[0].validation_evaluation
        entry = store.find("evaluation", key) if key else None
        if entry is None or not (entry.folder / "completions.parquet").exists():
            continue
        try:
            completions = read_completions(entry)
        except LabError:
            continue
        completions = [c for c in completions if c.sample_id in samples]
        scores = scored([samples[c.sample_id] for c in completions], completions)
        found[arm.label] = {c.sample_id: (_cut(c.text), s.outcome) for c, s in zip(completions, scores)}
    if len(found) < 2:
        return None
    pairs, shown = {}, set()
    for first, second in combinations(found, 2):
        right = {
            i: (found[first][i][1] == "correct", found[second][i][1] == "correct")
            for i in found[first]
            if i in found[second]
        }
        apart = [i for i, (one, other) in right.items() if one != other]
        neither = [i for i, (one, other) in right.items() if not (one or other)]
        pairs[f"{first}\n{second}"] = {
            "count": len(apart),
            "ids": apart[:MOST],
            "neither": len(neither),
            "neither_ids": neither[:FEW],
        }
        shown.update(apart[:MOST], neither[:FEW])
    return {
        "validation": max(len(c) for c in found.values()),
        "arms": list(found),
        "pairs": pairs,
        "texts": {i: {"input": _cut(samples[i].input), "target": _cut(samples[i].target)} for i in sorted(shown)},
        "completions": {
            arm: {i: c for i, c in completions.items() if i in shown} for arm, completions in found.items()
        },
    }


def _alone(scorer: Scorer) -> Scored:
    """Scores of items each by itself."""
    return lambda samples, completions: [scorer(s, c) for s, c in zip(samples, completions)]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters)"
