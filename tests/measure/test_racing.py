"""The race: its schedule, who is dropped at a look, and whole races in worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from lab.decision import Settings, decide
from lab.flow.race import replay
from lab.measure.arms import arms_at
from lab.measure.evidence import evidence
from lab.measure.racing import ALPHA, LAST, TAKE, Look, dropped, schedule
from tests.measure.judging import MARGIN, raced, races
from tests.measure.test_claims import most
from tests.measure.worlds import answers, study_of_answers


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


def test_a_race_is_seldom_wrong_and_cheaper():
    found = races(np.random.default_rng(4), 40, "far")
    assert found.share("wrong") <= most(0.05, 40)
    assert found.share("decided") >= 0.5 and found.share("completions") < 0.75


def test_a_race_of_useless_arms_ends_early():
    tables = answers(np.random.default_rng(8), [0.01, 0.01, 0.005], 0.0, 5, 600)
    found, share = raced(tables, [0.01] * 3)
    assert found.sentence.startswith("None of the arms does this task") and share < 0.5


def test_a_replay_of_a_study_measured_whole_ends_as_that():
    """Every order of the items gives the verdict of the grid where one arm is far ahead."""
    study = study_of_answers(answers(np.random.default_rng(9), [0.9, 0.3, 0.2], 0.01, 3, 300))
    rng = np.random.default_rng(1)
    for _ in range(5):
        again = replay(study, Settings(), list(rng.permutation(300)), 3)
        assert again.decision.chosen == decide(study).chosen == "a0"
        assert again.asked["a1", 0] == 60 and ("a1", 1) not in again.asked


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "cluster"), [(0.0, 1), (0.5, 1), (0.0, 5)])
@pytest.mark.parametrize("kind", ["far", "boundary", "close", "clear"])
def test_races_in_every_kind_of_world(kind, shared, cluster):
    """Wrong in at most 5 %, groups and draws that move all arms alike among them."""
    assert races(np.random.default_rng(5), 200, kind, shared, cluster).share("wrong") <= most(0.05, 200)
