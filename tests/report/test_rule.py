"""The page's rule and rows are those of Python, in a JavaScript engine and without a browser."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from py_mini_racer import MiniRacer

from lab.decision import RULE, Settings, decide, priced, verdict
from lab.measure.cost import break_even
from lab.measure.evidence import evidence
from lab.report.charts.lines import line_rows, volumes_shown
from lab.report.looks import Looks
from lab.report.rows import arm_rows
from lab.report.write import script
from tests.report.rule import deployed_study, grid, rare_studies, rich_study
from tests.test_decision import study_of, with_content

NUMBERS = ("difference", "low", "high", "usd", "content")
"""Of an arm's standing."""


def words_of(decision) -> str:
    """Everything that a verdict says."""
    return " ".join([decision.sentence, *decision.reasons, *(s.why for s in decision.standings)])


class Engine:
    """The page's scripts, but for those that need a page."""

    def __init__(self) -> None:
        self.context = MiniRacer()
        self.context.eval(script("verdict.js") + script("rows.js") + script("words.js"))
        self.call("useRule", RULE)

    def call(self, function: str, *values):
        """A function of the scripts on plain data; infinities come back as such."""
        given = ", ".join(json.dumps(v) for v in values)
        endless = "(k, v) => v === Infinity ? 'Infinity' : v === -Infinity ? '-Infinity' : v"
        return json.loads(self.context.eval(f"JSON.stringify({function}({given}) ?? null, {endless})"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def plain(value):
    """As JSON holds it: tuples are lists."""
    return json.loads(json.dumps(value))


def said(decision):
    return decision["chosen"], decision["sentence"], decision["reasons"], decision["would_change"]


def require_same(engine, shown, settings):
    wanted = verdict(shown, settings)
    got = engine.call("verdict", shown.as_json(), asdict(settings))
    assert said(got) == (wanted.chosen, wanted.sentence, wanted.reasons, wanted.would_change), settings
    assert got["leader"] == wanted.leader and engine.call("toneOf", got) == wanted.tone
    assert engine.call("priceOf", got, asdict(settings)) == wanted.price
    for mine, row in zip(got["standings"], wanted.standings, strict=True):
        assert (mine["label"], mine["why"]) == (row.label, row.why), settings
        numbers = [getattr(row, n) for n in NUMBERS]
        assert [mine[n] is None for n in NUMBERS] == [n is None for n in numbers]
        assert [mine[n] for n in NUMBERS if mine[n] is not None] == pytest.approx([n for n in numbers if n is not None])
    for mine, arm in zip(got["arms"], wanted.arms, strict=True):
        money = [mine[k] for k in ("monthly_usd", "making_usd", "updates_usd", "requests_usd", "people_usd")]
        wanted_money = [arm.monthly_usd, arm.making_usd, arm.updates_usd, arm.requests_usd, arm.people_usd]
        assert (mine["label"], mine["excluded"]) == (arm.label, arm.excluded)
        assert money == pytest.approx(wanted_money), settings
    first, last = wanted.arms[0], wanted.arms[-1]
    even = engine.call("breakEven", got["arms"][0], got["arms"][-1], asdict(settings))
    other = break_even(priced(first, settings), priced(last, settings))
    assert even["cheaper_above"] == other.cheaper_above
    for name in ("volume", "low", "high"):
        mine, wanted_number = even[name], getattr(other, name)
        assert (mine if mine is None else float(mine)) == pytest.approx(wanted_number), (name, settings)
    return wanted


def test_verdicts_are_those_of_python_over_the_sliders_range(engine):
    study = rich_study()
    shown = {(size, rank): evidence(study, size, rank) for _, size, rank, _ in grid()}
    seen = {require_same(engine, shown[size, rank], settings).chosen for settings, size, rank, _ in grid()}
    assert len(seen) >= 4, "the grid should cross verdicts, the undecided one among them"


@pytest.mark.parametrize("name", rare_studies())
def test_the_other_branches_are_the_same_too(engine, name):
    study, says = rare_studies()[name]
    wanted = require_same(engine, evidence(study), Settings(margin=0.123, monthly_requests=12345))
    assert says in words_of(wanted)


@pytest.mark.parametrize("margin", (0.02, 0.123))
def test_content_is_told_beside_few_items_too(engine, margin):
    """Undecided at the narrow margin; at the wide one both are as good, and neither is taken: none is ever right."""
    study = with_content({"zero_shot": ["w" * 20], "rag": ["w" * 20]}, {"zero_shot": 0.0, "rag": 0.7})
    wanted = require_same(engine, evidence(study), Settings(margin=margin))
    assert wanted.sentence.startswith("Undecided") == (margin < 0.1)
    told = {0.02: "70.0 % of the completions of rag hold", 0.123: "and 70.0 % of its completions hold"}[margin]
    assert f"{told} the right content" in words_of(wanted) and not wanted.chosen


def test_an_arm_of_no_use_is_passed_over_in_both(engine):
    rare = study_of({"zero_shot": ["w" * 20], "rag": ["c" * 3 + "w" * 17]}, {"zero_shot": {"seconds": 0.001}})
    wanted = require_same(engine, evidence(rare), Settings(margin=0.3))
    assert wanted.chosen == "rag" and [s.why for s in wanted.standings] == ["taken", "right too seldom to be used"]


def test_prices_by_arm_are_the_same_too(engine):
    """A model behind an endpoint is paid by the token, the arms beside it by the second."""
    study = deployed_study()
    api = {
        "hosting": "api",
        "usd_per_million_prompt_tokens": 0.5,
        "usd_per_million_cached_tokens": 0.0,
        "usd_per_million_completion_tokens": 1.5,
    }
    own = {"price_per_hour_usd": 9.0, "hosting": "dedicated"}
    for by_arm in ({"big": api}, {"rag on big": api, "lora r16": own}, {"big": api, "rag": own}):
        settings = Settings(by_arm=by_arm, monthly_requests=300_000)
        wanted = require_same(engine, evidence(study), settings)
        costs = {a.label: a.requests_usd for a in wanted.arms}
        # 300,000 requests of 400 prompt and 5 completion tokens.
        assert costs["rag on big"] == pytest.approx(300_000 * (400 * 0.5 + 5 * 1.5) / 1e6)
    assert "Seconds come from several machines" not in " ".join(wanted.reasons), "only some are paid by the second"
    assert "Seconds come from several machines" in " ".join(decide(study).reasons)


def test_an_exact_half_is_rounded_as_python_rounds_it(engine):
    for share in (0.0625, 0.1875, 0.5, 0.02375, 1 / 3, 0.0005, 1.0):
        assert engine.call("percent", share) == f"{100 * share:.1f} %"


def test_rows_of_charts_are_those_of_python(engine):
    for study in (rich_study(), deployed_study()):
        settings = Settings(monthly_requests=5_000)
        decision, looks = decide(study, settings), Looks.of(study)
        by_name = {name: looks.of_arm(name) for name in looks.names}
        got = engine.call("armRows", engine.call("verdict", evidence(study).as_json(), asdict(settings)), by_name)
        wanted = plain(arm_rows(decision.arms, looks, decision.chosen))
        assert [set(r) for r in got] == [set(r) for r in wanted]
        for mine, row in zip(got, wanted):
            for key, value in row.items():
                assert mine[key] == (pytest.approx(value) if isinstance(value, float) else value), key
        lines = engine.call(
            "lineRows", plain([asdict(a) for a in decision.arms]), by_name, asdict(settings), volumes_shown(100)
        )
        wanted = plain(line_rows(decision.arms, looks, settings, settings.monthly_requests))
        assert len(lines) == len(wanted)
        for mine, row in zip(lines, wanted):
            assert (mine["arm"], mine["own"], mine["colour"]) == (row["arm"], row["own"], row["colour"])
            assert (mine["requests"], mine["usd"]) == pytest.approx((row["requests"], row["usd"]))


def test_the_rule_has_no_constant_of_its_own():
    """Thresholds and quantiles come from Python: changing one there changes it here."""
    engine = Engine()
    study = rich_study()
    engine.call("useRule", RULE | {"useless": 1.1})
    got = engine.call("verdict", evidence(study).as_json(), asdict(Settings()))
    assert got["sentence"].startswith("None of the arms does this task")
    engine.call("useRule", RULE | {"z": 1e-9})
    arms = engine.call("verdict", evidence(study).as_json(), asdict(Settings()))["arms"]
    even = engine.call("breakEven", arms[0], arms[1], asdict(Settings()))
    assert even["volume"] is None or even["high"] == pytest.approx(even["volume"], rel=1e-6)
    assert math.isfinite(RULE["z"])


@pytest.mark.parametrize(
    ("text", "wanted", "marked"),
    [
        ("open on Friday", "open on Monday", ["Friday"]),
        ("the lamp is broken", "lamp broken", ["the", "is"]),
        ("alike", "alike", []),
        ("", "something", []),
        ("two  spaces\nand lines", "two spaces and lines", []),
        ("word " * 300, "other " * 300, []),
    ],
)
def test_what_differs_is_marked_and_nothing_is_lost(engine, text, wanted, marked):
    pieces = engine.call("differences", text, wanted)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece.strip() for piece, other in pieces if other] == marked
