"""The report as a person meets it: opened from disk, no network, sliders moved; its verdicts are those of lab.decide."""

from __future__ import annotations

import itertools

import pytest

from lab.decide import Settings, decide
from lab.measure.cost import break_even
from lab.report.write import margins, volumes, write_report
from tests.test_decide import outcomes, study_of

NASTY = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'> </script> javascript:alert(1) {{7*7}} \u2028 datum.x " + "long" * 2500


def rich_study():
    """Three trained arms with ranks and sizes, two prompted ones; costs that cross; one near tie."""
    study = study_of({"rag": [outcomes(0.72, 400, 0)], "zero_shot": [outcomes(0.1, 400, 9)]},
                     {"rag": {"seconds": 0.4, "latency_seconds": 0.5}, "zero_shot": {"seconds": 0.02}})
    from lab.study import Cell, Probed

    for name, rate in (("lora", 0.6), ("rag_lora", 0.74)):
        for rank, size, seed in itertools.product((4, 16), (100, 400), (0, 1, 2)):
            extra = (0.08 if size == 400 else 0) + (0.05 if rank == 16 else 0)
            study.cells.append(Cell(name, seed, size, rank, machine="m", validation=0.5 + extra, outcomes=outcomes(rate + extra, 400, 10 * seed + rank + size),
                                    adaptation=f"{name} {rank} {size} {seed}", context={"name": "none" if name == "lora" else "passages"},
                                    usage={"seconds": 0.05 if name == "lora" else 0.2, "seconds_error": 0.004, "latency_seconds": 0.1, "prompt_tokens": 90, "cached_tokens": 20, "completion_tokens": 5,
                                           "training_seconds": 3000.0 + 50 * seed, "index_seconds": 40.0}))
            study.probed.append(Probed("word_operations", "words", name, seed, 400, rank, outcomes=outcomes(0.8 if name == "lora" else 0.5, 200, seed + rank)))
    study.probed.append(Probed("word_operations", "words", outcomes=outcomes(0.9, 200, 77)))
    study.plan = {"dropped": []}
    study.settings = {"seeds": 3, "embedder": "embedder", "alpha": "alpha", "command": "lab decide x"}
    study.model |= {"parameters": 5, "revision": "r" * 20}
    study.task |= {"digest": "d" * 20}
    study.made |= {"date": "today", "machine": {"name": "m", "dtype": "float32"}, "versions": {"torch": "2"}}
    return study


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    study, out = rich_study(), tmp_path_factory.mktemp("report")
    items = {"validation": 9, "arms": ["rag", "lora r16"], "pairs": {"rag\nlora r16": {"count": 1, "ids": ["i1"]}}, "texts": {"i1": {"input": NASTY, "target": NASTY}},
             "completions": {"rag": {"i1": [NASTY, "wrong"]}, "lora r16": {"i1": ["right one", "correct"]}}}
    return study, write_report(study, Settings(), out, items)["html"]


def set_controls(page, **values):
    """Set them all, then tell the page once: it reads every control at each change."""
    page.evaluate("(all) => { let last; for (const [id, v] of all) { last = document.getElementById(id); last.value = v; } last.dispatchEvent(new Event('input', { bubbles: true })); }",
                  [[name.replace("_", "-"), str(value)] for name, value in values.items()])


def test_verdicts_are_those_of_python_over_the_sliders_range(written, watch):
    study, path = written
    page = watch().page
    page.goto(path.as_uri())
    page.wait_for_selector("#chart-cost svg")
    offered, seen = volumes(Settings()), set()
    grid = itertools.product((0, 1), (0, 1, 2), (0, 6, 15), (0.5, 5.0, 12.0, 20.0), (0.0, 1.0, 30.0), (1, 36), ("", "0.3", "0.01"))
    prices = itertools.cycle([("shared", 0.0, 0.0, ""), ("dedicated", 0.0, 0.0, "20"), ("api", 0.5, 2.0, ""), ("shared", 8.0, 0.0, "25"), ("api", 3.0, 0.1, "70")])
    for (size, rank, volume, margin, price, months, latency), (hosting, updates, prompt_price, forgetting) in zip(list(grid)[::5], prices):
        set_controls(page, hosting=hosting, updates=updates, prompt_price=prompt_price, completion_price=1.5, forgetting=forgetting, size=size, rank=rank, requests=volume,
                     margin=margins(Settings()).index(margin / 100), price=price, months=months, latency=latency)
        settings = Settings(margin=margin / 100, monthly_requests=offered[volume], price_per_hour_usd=price, months=months, latency_limit_seconds=float(latency) if latency else None,
                            hosting=hosting, updates_a_month=updates, usd_per_million_prompt_tokens=prompt_price, usd_per_million_completion_tokens=1.5,
                            forgetting_limit=float(forgetting) / 100 if forgetting else None)
        wanted = decide(study, settings, (100, 400)[size], (None, 4, 16)[rank])
        got = page.evaluate("window.labDecision.decision")
        assert (got["chosen"], got["sentence"], got["reasons"], got["would_change"]) == (wanted.chosen, wanted.sentence, wanted.reasons, wanted.would_change), settings
        assert got["arms"][0]["monthly_usd"] == pytest.approx(wanted.arms[0].monthly_usd)
        assert page.inner_text("#sentence") == wanted.sentence
        for got_arm, arm in zip(got["arms"], wanted.arms):
            assert [got_arm[k] for k in ("making_usd", "updates_usd", "requests_usd", "people_usd")] == pytest.approx([arm.making_usd, arm.updates_usd, arm.requests_usd, arm.people_usd]), settings
        first, last = wanted.arms[0], wanted.arms[-1]
        even, other = page.evaluate("(([a, b]) => breakEven(a, b, window.labDecision.settings))([window.labDecision.decision.arms[0], window.labDecision.decision.arms.at(-1)])"), \
            break_even((first.label, first.used), (last.label, last.used), settings)
        assert (even["volume"], even["cheaper_above"], even["low"], even["high"]) == (pytest.approx(other.volume), other.cheaper_above, pytest.approx(other.low), pytest.approx(other.high))
        seen.add(wanted.chosen)
    assert len(seen) >= 4, "the grid should cross verdicts, the undecided one among them"


def test_the_other_branches_of_the_verdict_are_the_same_too(watch, tmp_path):
    """Several machines, a search elsewhere, an arm that the base can't serve, an unfinished run, the user's own margin."""
    elsewhere, unfit, unfinished, useless = rich_study(), rich_study(), rich_study(), rich_study()
    for cell in useless.cells:
        cell.outcomes = "w" * 399 + "c"
    elsewhere.cells[0].machine = "another"
    elsewhere.choices = [{"method": "lora", "size": 400, "rank": 16, "key": "k", "at_edge": [], "still_rising": False, "looks": 1, "validation_items": 9, "chosen": 0, "trials": [
        {"number": 0, "seconds": 70.0, "machine": "third", "adaptation": "a", "study": "", "study_seconds": 0.0, "accuracy": 0.5, "settings": {"context": {"name": "none"}, "weights": {"name": "lora"}}}]}]
    unfit.probes = {"instruction": {"says": "x", "accuracy": 0.02, "low": 0.0, "high": 0.05, "items": 200}}
    del unfinished.made["finished"]
    unfinished.plan |= {"methods": ["rag", "full"], "cells": 99}
    page = watch().page
    for number, (study, says) in enumerate(((elsewhere, "Searched on another machine"), (unfit, "not evaluable on this base model"), (unfinished, "The run is not finished"), (useless, "None of the arms does this task"))):
        settings = Settings(margin=0.123, monthly_requests=12345)
        page.goto(write_report(study, settings, tmp_path / str(number))["html"].as_uri())
        page.wait_for_function("window.labDecision !== undefined")
        got, wanted = page.evaluate("window.labDecision.decision"), decide(study, settings)
        assert (got["chosen"], got["sentence"], got["reasons"], got["would_change"]) == (wanted.chosen, wanted.sentence, wanted.reasons, wanted.would_change)
        assert says in " ".join([wanted.sentence, *wanted.reasons])


def test_sliders_change_what_is_on_the_screen(written, watch):
    page = watch().page
    page.goto(written[1].as_uri())
    page.wait_for_selector("#chart-sizes svg")
    page.wait_for_selector("#chart-cost svg")
    before = {name: page.inner_html(f"#chart-{name}") for name in ("quality", "sizes", "cost")}
    table = page.inner_text("#arms")
    page.locator("#size").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#rank").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    assert page.inner_text("#size-value") == "100 examples" and page.inner_text("#rank-value") == "rank 4"
    assert page.inner_text("#arms") != table and "lora r4" in page.inner_text("#arms")
    assert all(page.inner_html(f"#chart-{name}") != html for name, html in before.items())


def test_texts_are_data_never_markup(written, watch):
    watched = watch(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = watched.page
    page.goto(written[1].as_uri())
    page.wait_for_selector(".item")
    assert page.evaluate("window.hacked") is None
    assert "<script>window.hacked" in page.inner_text(".item .input") and "{{7*7}}" in page.inner_text(".item .input")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_items_no_text_is_in_the_page(written, watch, tmp_path):
    path = write_report(written[0], Settings(), tmp_path)["html"]
    assert "right one" not in path.read_text()
    page = watch().page
    page.goto(path.as_uri())
    assert "holds no texts" in page.inner_text("body")


def test_it_prints(written, watch):
    page = watch().page
    page.goto(written[1].as_uri())
    page.emulate_media(media="print")
    assert not page.is_visible(".controls") and page.is_visible("#sentence")
    assert len(page.pdf()) > 20_000


def test_the_calculator_of_why_cheap_says_what_python_says(watch, tmp_path):
    from lab.live.views import own_case
    from lab.report.why import write_why
    from tests.browser.test_notebooks import made_why

    page = watch().page
    page.goto(write_why(made_why(), tmp_path).as_uri())
    for numbers in ((8, 15, 10_000, 500, 3, 0.5), (70, 2, 250, 1000, 1, 2)):
        for name, number in zip(("n", "before", "examples", "each", "epochs", "share"), numbers):
            page.fill(f"#{name}", str(number))
        wanted, said = own_case(*numbers), page.inner_text("#answer")
        assert f"{wanted['times less']:,.0f} times less for LoRA" in said and f"{wanted['by tokens']:,.0f} times by fewer tokens" in said
        assert f"{wanted['by gradients']:.2f} times by fewer weight gradients" in said
        assert f"{wanted['full GiB']:.0f} GiB in full, {wanted['lora GiB']:.0f} GiB with LoRA" in said
