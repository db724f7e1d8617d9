"""Forgetting by hand: drops, churn, the headline, and knowledge told apart from manner."""

from __future__ import annotations

import pytest

from lab.measure.forgetting import compared, forgotten
from lab.report.tables import lost_of
from lab.study import Probed, Study


def probed(name: str, outcomes: str, method: str = "", seed: int = 0, **more) -> Probed:
    return Probed(name, name, method, seed, outcomes=outcomes, **more)


BASE = {
    "word_operations": probed("word_operations", "ccccwwwwcc"),
    "facts_by_choice": probed("facts_by_choice", "c" * 10),
    "public_facts": probed("public_facts", "c" * 10),
    "arithmetic": probed("arithmetic", "w" * 10),
    "general_text": Probed("general_text", "text", nats=[10.0, 20.0], tokens=[10, 10], kl=[0.0, 0.0]),
}


def test_drops_and_churn_by_hand():
    lost = compared(
        BASE,
        [probed("word_operations", "wwwccwwwcc", "lora", 0), probed("word_operations", "cwwwcwwwcc", "lora", 1)],
        "lora",
    )
    change = lost.changes[0]
    assert change.before == pytest.approx(0.6) and change.after == pytest.approx((4 + 4) / 20)
    assert change.drop == pytest.approx(0.2) and change.low < 0.2 < change.high
    assert change.lost == pytest.approx((3 + 3) / 2) and change.gained == pytest.approx((1 + 1) / 2)


def test_nothing_changed_is_exactly_nothing():
    lost = compared(
        BASE,
        [
            probed("word_operations", BASE["word_operations"].outcomes, "lora"),
            Probed("general_text", "text", "lora", nats=[10.0, 20.0], tokens=[10, 10], kl=[0.0, 0.0]),
        ],
        "lora",
    )
    change = lost.changes[0]
    assert (change.drop, change.low, change.high, change.lost, change.gained) == (0, 0, 0, 0, 0)
    assert (lost.likelihood.increase, lost.likelihood.low, lost.likelihood.high, lost.likelihood.kl) == (0, 0, 0, 0)
    assert (lost.headline.drop, lost.headline.low, lost.headline.high) == (0, 0, 0)


def test_the_headline_counts_facts_once_and_only_what_the_base_can():
    lost = compared(
        BASE,
        [
            probed("word_operations", "w" * 10, "lora"),
            probed("facts_by_choice", "c" * 10, "lora"),
            probed("public_facts", "w" * 10, "lora"),
            probed("arithmetic", "c" * 10, "lora"),
        ],
        "lora",
    )
    assert lost.headline.probes == ("word_operations", "facts_by_choice")
    assert lost.headline.drop == pytest.approx(6 / 20)


def test_probes_that_differ_are_no_noise():
    """One probe lost whole and one kept: within each nothing varies, so that only the few-items floor remains,
    2 / (200 + 2)^2 under 198 degrees of freedom; as one sample it would be sqrt(0.25 / 199)."""
    base = {n: probed(n, "c" * 100) for n in ("word_operations", "arithmetic")}
    lost = compared(base, [probed("word_operations", "w" * 100, "lora"), probed("arithmetic", "c" * 100, "lora")])
    half = 1.97202 * 2**0.5 / 202
    assert (lost.headline.drop, lost.headline.high) == pytest.approx((0.5, 0.5 + half), abs=1e-6)
    assert half < 0.25 * 1.972 * (0.25 / 199) ** 0.5


def test_a_base_that_guesses_has_nothing_to_lose():
    """30 of 100 right among four candidates is not shown to be more than chance (Wilson from 21.9 %); 40 is (30.9)."""
    for right, counts in ((30, False), (40, True)):
        base = {"chosen": probed("chosen", "c" * right + "w" * (100 - right), chance=0.25)}
        lost = compared(base, [probed("chosen", "w" * 100, "lora", chance=0.25)])
        assert (lost.headline is not None) == counts
        older = {"facts_by_choice": probed("facts_by_choice", base["chosen"].outcomes)}
        assert (compared(older, [probed("facts_by_choice", "w" * 100, "lora")]).headline is not None) == counts


def test_the_likelihood_of_texts_has_no_floor_of_shares():
    """Three texts of 10 tokens that rise by 1, 2 and 3 nats: 0.2 a token, standard error 0.1 / sqrt(3), t with 2."""
    base = {"general_text": Probed("general_text", "t", nats=[10.0] * 3, tokens=[10] * 3, kl=[0.0] * 3)}
    after = Probed("general_text", "t", "lora", nats=[11.0, 12.0, 13.0], tokens=[10] * 3, kl=[0.0] * 3)
    found = compared(base, [after]).likelihood
    assert (found.increase, found.high) == pytest.approx((0.2, 0.2 + 4.302653 * 0.1 / 3**0.5))


def test_changed_manner_is_told_apart_from_lost_knowledge():
    manner = compared(
        BASE, [probed("facts_by_choice", "c" * 10, "lora"), probed("public_facts", "w" * 9 + "c", "lora")], "lora"
    ).manner
    assert "manner of answering changed more than the knowledge" in manner
    near_chance = compared(
        BASE,
        [probed("facts_by_choice", "ccc" + "w" * 7, "lora", s) for s in (0, 1)]
        + [probed("public_facts", "w" * 10, "lora", s) for s in (0, 1)],
        "lora",
    ).manner
    assert "most of the knowledge itself is lost" in near_chance and "25 % by chance" in near_chance
    gone = compared(
        BASE, [probed("facts_by_choice", "w" * 9 + "c", "lora"), probed("public_facts", "w" * 9 + "c", "lora")], "lora"
    ).manner
    assert "lost knowledge" in gone


def test_likelihood_counts_tokens():
    lost = compared(
        BASE, [Probed("general_text", "text", "lora", nats=[12.0, 26.0], tokens=[10, 10], kl=[1.0, 3.0])], "lora"
    ).likelihood
    assert (lost.before, lost.after, lost.increase, lost.kl) == (
        pytest.approx(1.5),
        pytest.approx(1.9),
        pytest.approx(0.4),
        pytest.approx(0.2),
    )


def test_arms_are_found_by_rank_and_unprobed_ones_are_none():
    study = Study(
        {},
        {},
        {},
        [],
        [],
        probed=[
            *BASE.values(),
            probed("word_operations", "w" * 10, "lora", 0, rank=4, size=100),
            probed("word_operations", "ccccwwwwcc", "lora", 0, rank=16, size=100),
        ],
    )
    assert (
        forgotten(study, "lora", 100, 4).changes[0].drop == pytest.approx(0.6)
        and forgotten(study, "lora", 100, 16).changes[0].drop == 0
    )
    assert forgotten(study, "lora", 100, 4).label == "lora r4 at 100"
    study.probed.append(probed("word_operations", "c" * 10, "lora", 0, rank=4, size=400))
    assert forgotten(study, "lora", None, 4).label == "lora r4 at 400", (
        "sizes are never mixed: the largest stands for the arm"
    )
    assert [f.label for f in lost_of(study)] == ["lora r4 at 100", "lora r4 at 400", "lora r16 at 100"]
    assert forgotten(study, "full") is None and forgotten(study, "lora", 25, 4) is None


def test_where_nothing_is_lost_nothing_is_said_to_have_changed():
    """As measured: freely 98 before and 96 after, by choice 78 before and 99 after."""
    base = {n: probed(n, "c" * r + "w" * (100 - r)) for n, r in (("public_facts", 98), ("facts_by_choice", 78))}
    after = [probed("public_facts", "c" * 96 + "w" * 4, "lora"), probed("facts_by_choice", "c" * 99 + "w", "lora")]
    assert (
        compared(base, after, "lora").manner == "No fact is lost that can be shown, neither asked freely nor by choice."
    )


def test_an_interval_that_holds_both_can_not_tell():
    """Ten items: freely all lost; by choice 10 before, 7 after, which may be nothing and may be half."""
    after = [probed("facts_by_choice", "c" * 7 + "w" * 3, "lora"), probed("public_facts", "w" * 10, "lora")]
    assert "can't be told from so few items" in compared(BASE, after, "lora").manner


def test_trainings_that_differ_too_much_can_not_tell():
    """Three trainings, one of which loses every fact: a third on average, and nothing that can be shown."""
    after = [
        probed(name, outcomes * 10, "lora", seed)
        for name in ("facts_by_choice", "public_facts")
        for seed, outcomes in enumerate("ccw")
    ]
    assert compared(BASE, after, "lora").manner.endswith("can't be told, the trainings differ too much.")
