"""The race: its schedule, who is dropped at a look, and whole races in worlds whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.decide import Settings, decide
from lab.measure.arms import arms_at
from lab.measure.evidence import evidence
from lab.measure.racing import ALPHA, LAST, TAKE, Look, dropped, schedule, seeds_are_missing
from tests.measure.test_claims import most
from tests.measure.worlds import answers, study_of_answers

MARGIN = 0.05


def test_the_schedule_by_hand():
    assert schedule(2000, 3) == [Look(60, 1), Look(200, 1), Look(200, 3), Look(600, 3, TAKE), Look(600, 5, LAST)]
    assert schedule(2000, 3, 2000)[-1] == Look(2000, 5, LAST), "who asks for more items gets them"
    assert schedule(150, 3) == [Look(60, 1), Look(150, 1), Look(150, 3, TAKE), Look(150, 5, LAST)]
    assert schedule(40, 2) == [Look(40, 1), Look(40, 2, TAKE), Look(40, 4, LAST)]
    assert schedule(600, 1) == [Look(60, 1), Look(200, 1), Look(600, 1, ALPHA)]
    assert TAKE + LAST == pytest.approx(ALPHA)


def test_who_is_dropped_and_why():
    rng = np.random.default_rng(1)
    study = study_of_answers(answers(rng, [0.9, 0.3, 0.86], 0.0, 1, 60))
    arms = arms_at(study)
    found = dropped(arms, {"a0", "a2"}, MARGIN, 2)
    assert set(found) == {"a1"} and found["a1"].behind in ("a0", "a2")
    assert found["a1"].words.startswith("dropped after 60 items and 1 draw: ") and found["a1"].at_least > MARGIN
    assert not dropped(arms, {"a1"}, MARGIN, 2), "an arm beyond the limits pushes nobody out"


def test_an_arm_of_fewer_items_is_compared_on_those():
    rng = np.random.default_rng(2)
    tables = answers(rng, [0.8, 0.4], 0.0, 3, 300)
    study = study_of_answers(tables)
    for cell in study.cells:
        if cell.method == "a1":
            cell.outcomes = cell.outcomes[:60] + "-" * 240
    good, left = arms_at(study)
    pair = good.against(left)
    assert pair.items == 60 and pair.difference == pytest.approx(tables[0, :, :60].mean() - tables[1, :, :60].mean())
    shown = evidence(study)
    assert [a.items for a in shown.arms] == [300, 60] and shown.arms[1].accuracy == pytest.approx(left.table.mean())


def raced(tables: np.ndarray, seconds, margin: float = MARGIN, cluster: int = 1):
    """A race over ready answers: the decision at its end, and its completions as a share of a grid's of three seeds."""
    arms, _, items = tables.shape
    asked, gone, alpha, study = np.zeros((arms, tables.shape[1])), {}, 0.0, None
    settings = Settings(margin=margin)
    for look in schedule(items, 3):
        alive = [a for a in range(arms) if f"a{a}" not in gone]
        if look.alpha and alpha and not seeds_are_missing([x for x in arms_at(study) if x.name not in gone]):
            break
        for a in alive:
            asked[a, : look.seeds] = look.items
        alpha = look.alpha or alpha
        study = study_of_answers(tables[:, :1], cluster, seconds)
        study.cells = [
            c
            for a in range(arms)
            for c in study_of_answers(tables[:, : max(1, int((asked[a] > 0).sum()))], cluster, seconds).cells
            if c.method == f"a{a}"
        ]
        for cell in study.cells:
            count = int(asked[int(cell.method[1:]), cell.seed])
            cell.outcomes = cell.outcomes[:count] + "-" * (items - count)
        study.plan = {"race": {"margin": margin, "size": 400, "alpha": alpha, "dropped": gone}}
        arms_now = [x for x in arms_at(study) if x.name not in gone]
        new = dropped(arms_now, {x.name for x in arms_now}, margin, arms - 1)
        gone |= {name: {"words": d.words} for name, d in new.items()}
        left = [x for x in arms_now if x.name not in gone]
        found = decide(study, settings)
        if (len(left) == 1 and not left[0].one_seed) or (look.alpha and not found.sentence.startswith("Undecided")):
            break
    return found, asked.sum() / (arms * 3 * min(items, 600))


def world(rng, kind: str):
    """Accuracies and seconds of six arms, by the notes' kinds of worlds."""
    best = rng.uniform(0.75, 0.98)
    if kind == "far":
        gaps = np.where(rng.random(6) < 0.7, rng.uniform(0.3, 0.9, 6), rng.uniform(0, 0.12, 6))
    elif kind == "boundary":
        gaps = np.full(6, MARGIN + 0.005)
    else:
        gaps = rng.uniform(0, 0.12, 6)
    gaps[rng.integers(6)] = 0.0
    truth = np.clip(best - gaps, 0.005, 0.995)
    seconds = (
        np.where(truth == truth.max(), 1.0, rng.uniform(0.05, 0.5, 6)) if kind == "boundary" else rng.lognormal(0, 1, 6)
    )
    return truth, 0.01 * seconds


def races(rng, worlds: int, kind: str, shared: float = 0.0, cluster: int = 1) -> tuple[float, float, float]:
    """Shares of wrong and of decided worlds, and of a grid's completions."""
    wrong, decided, spent = [], [], []
    for _ in range(worlds):
        truth, seconds = world(rng, kind)
        tables = answers(rng, list(truth), float(rng.choice([0.005, 0.02, 0.04, 0.06])), 5, 600, cluster, shared)
        found, share = raced(tables, seconds, cluster=cluster)
        wrong.append(bool(found.chosen) and truth[int(found.chosen[1:])] < truth.max() - MARGIN)
        decided.append(bool(found.chosen))
        spent.append(share)
    return float(np.mean(wrong)), float(np.mean(decided)), float(np.mean(spent))


def test_a_race_is_seldom_wrong_and_cheaper():
    wrong, decided, spent = races(np.random.default_rng(4), 40, "far")
    assert wrong <= most(0.05, 40) and decided >= 0.5 and spent < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "cluster"), [(0.0, 1), (0.5, 1), (0.0, 5)])
@pytest.mark.parametrize("kind", ["far", "boundary", "close"])
def test_races_in_every_kind_of_world(kind, shared, cluster):
    """Wrong in at most 5 %, groups and draws that move all arms alike among them."""
    wrong, _, _ = races(np.random.default_rng(5), 200, kind, shared, cluster)
    assert wrong <= most(0.05, 200)
    assert math.isfinite(wrong)
