"""The report as a person meets it: opened from disk, no network, sliders moved;
its verdicts are those of lab.decision."""

from __future__ import annotations

import io

import pytest
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from lab.decision import Settings, decide
from lab.report.charts.base import page_charts
from lab.report.write import page as page_of
from lab.report.write import write_report
from tests.report.rule import grid, rare_studies, rich_study
from tests.report.test_rule import words_of

NASTY = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'> </script> javascript:alert(1) {{7*7}} "
    "\u2028 datum.x "
) + "long" * 2500


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    study, out = rich_study(), tmp_path_factory.mktemp("report")
    items = {
        "validation": 9,
        "arms": ["rag", "lora r16"],
        "pairs": {"rag\nlora r16": {"count": 1, "ids": ["i1"], "neither": 1, "neither_ids": ["i2"]}},
        "texts": {"i1": {"input": NASTY, "target": NASTY}, "i2": {"input": "When?", "target": "open on Monday"}},
        "completions": {
            "rag": {"i1": [NASTY, "wrong"], "i2": ["open on Friday", "wrong"]},
            "lora r16": {"i1": ["right one", "correct"], "i2": ["closed on Monday", "wrong"]},
        },
    }
    return study, write_report(study, Settings(), out, items)["html"]


def open_all(page):
    """Every section of the appendix."""
    page.evaluate("document.querySelectorAll('.more:not(.open) > h2 > button').forEach((b) => b.click())")


def set_controls(page, values):
    """Set them all, then tell the page once: it reads every control at each change."""
    page.evaluate(
        "(all) => { let last; for (const [id, v] of all) { last = document.getElementById(id); last.value = v; } "
        "last.dispatchEvent(new Event('input', { bubbles: true })); }",
        [[name, str(value)] for name, value in values.items()],
    )


def test_verdicts_are_those_of_python_over_the_sliders_range(written, watch):
    """The rule itself is compared in an engine (tests/report/test_rule.py); here that controls and page reach it."""
    study, path = written
    page = watch().page
    page.goto(path.as_uri())
    page.wait_for_selector("#chart-quality svg.marks")
    seen = set()
    for settings, size, rank, controls in grid()[::23]:
        set_controls(page, controls)
        wanted = decide(study, settings, size, rank)
        got = page.evaluate("window.labDecision.decision")
        assert (got["chosen"], got["sentence"], got["reasons"], got["would_change"]) == (
            wanted.chosen,
            wanted.sentence,
            wanted.reasons,
            wanted.would_change,
        ), settings
        assert got["arms"][0]["monthly_usd"] == pytest.approx(wanted.arms[0].monthly_usd)
        assert (page.inner_text("#sentence"), page.inner_text("#price-line")) == (wanted.sentence, wanted.price)
        seen.add(wanted.chosen)
    assert len(seen) >= 3, "the grid should cross verdicts, the undecided one among them"


def test_the_other_branches_of_the_verdict_are_the_same_too(watch, tmp_path):
    page, settings = watch().page, Settings(margin=0.123, monthly_requests=12345)
    for name, (study, says) in rare_studies().items():
        page.goto(write_report(study, settings, tmp_path / name)["html"].as_uri())
        page.wait_for_function("window.labDecision !== undefined")
        got, wanted = page.evaluate("window.labDecision.decision"), decide(study, settings)
        assert (got["sentence"], got["reasons"]) == (wanted.sentence, wanted.reasons)
        assert says in words_of(wanted)


def test_every_chart_of_the_page_has_marks(written, watch):
    """A chart that draws fields which no row has comes out empty without an error: it must have something to show."""
    page = watch().page
    page.goto(written[1].as_uri())
    open_all(page)
    for chart in (c for c in page_charts() if c.fits(written[0])):
        page.wait_for_selector(f"#chart-{chart.name} svg")
        marks = page.locator(
            f"#chart-{chart.name} svg .role-mark path, #chart-{chart.name} svg .role-mark line"
        ).count()
        assert marks > 2, chart.name


def test_a_chart_added_as_a_file_is_alive_on_the_page(watch, tmp_path, monkeypatch):
    """The toy of tests/toys: it has marks, and its section stands in the page."""
    import lab.report.charts
    from tests.test_one_file_each import with_file

    with_file(lab.report.charts, "chart_latency.py", tmp_path / "charts", monkeypatch)
    try:
        path = write_report(rich_study(), Settings(), tmp_path / "report")["html"]
    finally:
        monkeypatch.undo()
        page_charts.cache_clear()
    page = watch().page
    page.goto(path.as_uri())
    open_all(page)
    page.wait_for_selector("#chart-latency svg")
    assert page.locator("#chart-latency svg .role-mark path").count() == 4
    before = page.inner_html("#chart-latency")
    set_controls(page, {"size": 0, "rank": 1})
    page.wait_for_timeout(200)
    assert page.inner_html("#chart-latency") != before and "How long one request takes" in page.inner_text("body")


def test_sliders_change_what_is_on_the_screen(written, watch):
    page = watch().page
    page.goto(written[1].as_uri())
    open_all(page)
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
    open_all(page)
    page.wait_for_selector(".item")
    assert page.evaluate("window.hacked") is None
    assert "<script>window.hacked" in page.inner_text(".item .input") and "{{7*7}}" in page.inner_text(".item .input")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_items_no_text_is_in_the_page(written, watch, tmp_path):
    path = write_report(written[0], Settings(), tmp_path)["html"]
    assert "right one" not in path.read_text()
    page = watch().page
    page.goto(path.as_uri())
    open_all(page)
    assert "holds no texts" in page.inner_text("body")


def test_it_prints(written, watch):
    page = watch().page
    page.goto(written[1].as_uri())
    page.wait_for_selector("#chart-lines svg", state="attached")
    page.emulate_media(media="print")
    assert not page.is_visible(".controls") and page.is_visible("#sentence") and page.is_visible("#settings-line")
    # The appendix is closed on the screen and whole on paper; the decision stands on the first sheet alone.
    assert page.is_visible("#costs") and page.is_visible("#chart-lines svg")
    read = PdfReader(io.BytesIO(page.pdf(format="A4")))
    first, second = (read.pages[n].extract_text() for n in (0, 1))
    assert "Take rag_lora r16" in first and "why not taken" in first and "Appendix" not in first
    assert "A margin of 5.0 points".lower() in first.lower() and "Appendix" in second


def test_it_is_small_and_says_what_the_task_is(written):
    """A megabyte of it is Vega; with fifty items of 600 characters for every pair it stays under one and a half."""
    study, path = written
    assert path.stat().st_size < 1_500_000
    assert "Write the record." in path.read_text() and "Write the record." not in page_of(study.redacted(), Settings())


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("width", (1280, 390))
def test_nothing_serious_is_found_by_axe(written, watch, scheme, width):
    """Keyboard, names of controls, contrast: with every section closed and with every section open."""
    page = watch(viewport={"width": width, "height": 800}, color_scheme=scheme).page
    page.goto(written[1].as_uri())
    page.wait_for_selector("#chart-quality svg.marks")
    require_accessible(page)
    open_all(page)
    require_accessible(page)


def require_accessible(page):
    found = Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in serious]


def test_sections_open_by_key_and_by_address(written, watch):
    page = watch().page
    page.goto(written[1].as_uri() + "#money")
    page.wait_for_selector("#costs", state="visible")
    button = page.get_by_role("button", name="Paired differences")
    assert button.get_attribute("aria-expanded") == "false" and not page.is_visible("#pairs")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true" and page.is_visible("#pairs")


def test_the_verdict_stays_in_sight_while_sliders_move(written, watch):
    page = watch(viewport={"width": 1280, "height": 800}).page
    page.goto(written[1].as_uri())
    page.wait_for_selector("#chart-quality svg.marks")
    chart = page.locator("#chart-quality").bounding_box()
    assert chart["y"] + chart["height"] < 800, "verdict, sliders and chart on one screen"
    open_all(page)
    page.mouse.wheel(0, 3000)
    page.wait_for_timeout(200)
    assert page.locator("#bar").bounding_box()["y"] == 0


def test_the_decision_is_copied_as_markdown(written, watch):
    study, path = written
    page = watch(permissions=["clipboard-read", "clipboard-write"]).page
    page.goto(path.as_uri())
    page.get_by_role("button", name="Copy as Markdown").click()
    page.get_by_text("Copied").wait_for()
    text, wanted = page.evaluate("navigator.clipboard.readText()"), decide(study)
    assert f"**{wanted.sentence}**" in text and all(
        f"| {s.label} | " in text and s.why in text for s in wanted.standings
    )
    assert "`lab decide x`" in text


def test_examples_stand_by_kind_with_what_is_wrong_marked(written, watch):
    page = watch().page
    page.goto(written[1].as_uri() + "#examples")
    page.get_by_role("heading", name="Neither is right (1)").wait_for()
    marked = page.locator(".item", has_text="When?").locator("mark").all_inner_texts()
    assert [m.strip() for m in marked] == ["Friday", "closed"]


def test_the_calculator_of_why_cheap_says_what_python_says(watch, tmp_path):
    from lab.experiments.why.ledger import own_case
    from lab.experiments.why.page import write_why
    from tests.browser.test_notebooks import made_why

    page = watch().page
    page.goto(write_why(made_why(), tmp_path).as_uri())
    for numbers in ((8, 15, 10_000, 500, 3, 0.5), (70, 2, 250, 1000, 1, 2)):
        for name, number in zip(("n", "before", "examples", "each", "epochs", "share"), numbers):
            page.fill(f"#{name}", str(number))
        wanted, said = own_case(*numbers), page.inner_text("#answer")
        assert (
            f"{wanted['times less']:,.0f} times less for LoRA" in said
            and f"{wanted['by tokens']:,.0f} times by fewer tokens" in said
        )
        assert f"{wanted['by gradients']:.2f} times by fewer weight gradients" in said
        assert f"{wanted['full GiB']:.0f} GiB in full, {wanted['lora GiB']:.0f} GiB with LoRA" in said
