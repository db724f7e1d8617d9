# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Cost")

with app.setup(hide_code=True):
    import marimo as mo

    from lab.decision import Settings, comparable, verdict
    from lab.live import address, verdicts, views
    from lab.live.charts import live
    from lab.live.pages import navigation
    from lab.live.shelf import Shelf
    from lab.measure.evidence import evidence
    from lab.measure.memory import FOOTPRINTS
    from lab.measure.prices import read_prices
    from lab.measure.settings import HOSTINGS
    from lab.report.charts.cost import cost_chart
    from lab.report.charts.lines import line_rows, lines_chart
    from lab.report.looks import Looks
    from lab.report.rows import arm_rows
    from lab.report.tables import cost_table, even_table, volumes
    from lab.report.words import escaped
    from lab.schema import LabError
    from lab.store import Store


@app.cell(hide_code=True)
def _(shown_now):
    mo.md(f"""
    {navigation("cost", shown_now)}

    # What does it cost?

    Measured seconds and tokens times your prices. Making an arm counts its whole search on validation. People
    (labels, documents, evaluation) stand apart and are in no sum.
    """)
    return


@app.cell(hide_code=True)
def _():
    shelf, parameters = Shelf.read(Store()), address.asked()
    mo.stop(not shelf.names(), mo.callout(mo.md("No study yet. Run one in *Decide*."), kind="info"))
    pick = views.study_picker(shelf, parameters, shelf.names())
    prices = {p.name: p for p in read_prices()}
    named = mo.ui.dropdown(
        {"my own numbers below": "", **{p.words: p.name for p in prices.values()}},
        value="my own numbers below",
        label="Price",
        full_width=True,
    )
    return named, parameters, pick, prices, shelf


@app.cell(hide_code=True)
def _(named, parameters, prices):
    taken = prices[named.value].fields if named.value else {}
    is_api = bool(taken) and "price_per_hour_usd" not in taken
    hosting = mo.ui.dropdown(list(HOSTINGS), value="api" if is_api else "shared", label="Hosting")
    hour = mo.ui.number(0, 10_000, 0.01, value=taken.get("price_per_hour_usd", 1.0), label="USD a machine hour")
    token_prices = mo.ui.array(
        [
            mo.ui.number(
                0,
                10_000,
                0.001,
                value=taken.get(f"usd_per_million_{kind}_tokens", 0.0),
                label=f"USD a million {kind} tokens",
            )
            for kind in ("prompt", "cached", "completion")
        ]
    )
    requests = mo.ui.slider(
        steps=volumes(Settings()),
        value=address.chosen(parameters, "requests", volumes(Settings()), 10_000),
        label="Requests a month",
        show_value=True,
        full_width=True,
    )
    months = mo.ui.number(1, 120, 1, value=12, label="Months in use")
    speed = mo.ui.number(0.01, 1000, 0.1, value=1, label="times as fast as the measured machine")
    updates = mo.ui.number(0, 1000, 0.5, value=0, label="Updates of the knowledge a month")
    people = mo.ui.array(
        [
            mo.ui.number(0, 1000, 5, value=0, label="USD an hour of people"),
            mo.ui.number(0, 600, 0.5, value=1, label="minutes a label"),
            mo.ui.number(0, 10_000, 1, value=0, label="hours for documents"),
            mo.ui.number(0, 10_000, 1, value=0, label="hours for evaluation"),
        ]
    )
    source = (
        mo.md(f"<small>{escaped(prices[named.value].source)} ({escaped(prices[named.value].date)})</small>")
        if named.value
        else mo.md("<small>The price is an example: put in your own.</small>")
    )
    return hosting, hour, months, people, requests, source, speed, token_prices, updates


@app.cell(hide_code=True)
def _(pick, requests):
    shown_now = address.remember(task=pick.value[0], model=pick.value[1], requests=requests.value)
    return (shown_now,)


@app.cell(hide_code=True)
def _(pick, shelf):
    study = shelf.first(*pick.value)
    size = mo.ui.slider(
        steps=study.sizes() or [0],
        value=(study.sizes() or [0])[-1],
        label="Labelled examples",
        show_value=True,
    )
    return size, study


@app.cell(hide_code=True)
def _(hosting, hour, months, named, people, pick, requests, size, source, speed, study, token_prices, updates):
    # Token prices matter where tokens are paid, the machine's hour where it is.
    paid = list(token_prices) if hosting.value == "api" else [hour, speed]
    mo.sidebar(
        [
            pick,
            *([size] if len(study.sizes()) > 1 else []),
            requests,
            named,
            source,
            hosting,
            *paid,
            months,
            updates,
            mo.accordion({"People": mo.vstack(list(people))}),
        ],
        width="19rem",
    )
    return


@app.cell(hide_code=True)
def _(size, study):
    shown = evidence(study, int(size.value) if study.sizes() else None)
    return (shown,)


@app.cell(hide_code=True)
def _(hosting, hour, months, people, requests, shown, speed, study, token_prices, updates):
    try:
        settings, trouble = (
            Settings(
                monthly_requests=int(requests.value),
                price_per_hour_usd=float(hour.value or 0) / float(speed.value or 1),
                hosting=hosting.value,
                months=int(months.value or 1),
                updates_a_month=float(updates.value or 0),
                usd_per_million_prompt_tokens=float(token_prices.value[0] or 0),
                usd_per_million_cached_tokens=float(token_prices.value[1] or 0),
                usd_per_million_completion_tokens=float(token_prices.value[2] or 0),
                people_usd_per_hour=float(people.value[0] or 0),
                minutes_a_label=float(people.value[1] or 0),
                document_hours=float(people.value[2] or 0),
                evaluation_hours=float(people.value[3] or 0),
            ),
            "",
        )
    except LabError as error:
        settings, trouble = None, str(error)
    mo.stop(settings is None, mo.callout(views.text_block(trouble), kind="warn"))
    decision = verdict(shown, settings)
    apart = (
        []
        if comparable(decision.arms, settings)
        else [
            mo.callout(
                mo.md(
                    "The seconds of these arms come from several machines. Money below is each arm's own and not "
                    "compared in the verdict."
                ),
                kind="warn",
            )
        ]
    )
    machines = sorted({c.machine for c in study.cells if c.machine})
    faster = (
        "say how many times as fast yours is"
        if speed.value == 1
        else f"yours is taken as {speed.value:g} times as fast"
    )
    on = f"Seconds were measured on {', '.join(machines)}; {faster}."
    mo.vstack([verdicts.verdict_box(decision, [on] if hosting.value != "api" else []), *apart])
    return decision, settings


@app.cell(hide_code=True)
def _(decision, settings, study):
    costs = [
        {
            "arm": c["label"],
            "making, USD a month": float(f"{c['making']:.3g}"),
            "updates": float(f"{c['updates']:.3g}"),
            "USD per 1,000 requests": float(f"{c['thousand']:.3g}"),
            "USD a month": float(f"{c['monthly']:.4g}"),
            "USD a right answer": None if c["correct"] is None else float(f"{c['correct']:.3g}"),
            "people, USD a month": float(f"{c['people']:.4g}"),
        }
        for c in cost_table(decision)
    ]
    mo.vstack(
        [
            mo.md(
                "### Dollars a month by volume\nWhere two lines cross, two arms cost the same; dots mark your volume. "
                "A line that begins high was dear to make, a steep one is dear to use."
            ),
            live(lines_chart, line_rows(decision.arms, Looks.of(study), settings, settings.monthly_requests)),
            views.table(costs),
            mo.md("### Quality against cost\nUp is better, left is cheaper."),
            live(cost_chart, arm_rows(decision.arms, Looks.of(study), decision.chosen)),
        ]
    )
    return


@app.cell(hide_code=True)
def _(decision):
    evens = [
        {
            "pair": e["pair"],
            "break-even, requests a month": "never" if e["volume"] is None else f"{e['volume']:,.0f}",
            "95 % interval": ""
            if e["volume"] is None
            else f"{e['low']:,.0f} to {'no end' if e['high'] == float('inf') else format(e['high'], ',.0f')}",
            "cheaper": e["cheaper"] + (" at every volume" if e["volume"] is None else " above it")
            if e["cheaper"]
            else "equal",
        }
        for e in even_table(decision)
    ]
    work = [
        {
            "arm": c["label"],
            "one request alone, median s": round(c["latency"], 4),
            "95th percentile s": round(c["p95"], 4),
            "adapter beside the weights, s": round(c["side"], 4),
            "trained parameters": c["parameters"],
            "training peak MB": round(c["training_peak"] / 1e6),
            "serving peak MB": round(c["peak"] / 1e6),
        }
        for c in cost_table(decision)
    ]
    mo.vstack(
        [
            mo.md(
                "### Break-even\nThe interval is Fieller's, from measured seconds; *no end* means the measurements do "
                "not rule out that the lines never cross."
            ),
            mo.ui.table(evens, selection=None, page_size=10),
            mo.md(
                "### Latency and memory\nOne request alone (retrieval included), and what the work held beyond the "
                "loaded model. Zeros were not measured."
            ),
            views.table(work),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    config = mo.ui.file(filetypes=[".json"], label="config.json of any model")
    batch = mo.ui.slider(1, 64, 1, value=1, label="Batch", show_value=True)
    sequence = mo.ui.slider(steps=[256, 512, 1024, 2048, 4096, 8192], value=1024, label="Sequence", show_value=True)
    rank = mo.ui.slider(steps=[1, 4, 8, 16, 32, 64, 128], value=16, label="Rank", show_value=True)
    checkpointing = mo.ui.switch(value=True, label="activation checkpointing")
    mo.vstack(
        [
            mo.md(
                "### Will it fit?\nMemory to train any model, from its `config.json` alone: weights, gradients, Adam, "
                "activations, logits, in bf16."
            ),
            mo.hstack([config, batch, sequence, rank, checkpointing], justify="start", gap=1.5, wrap=True),
        ]
    )
    return batch, checkpointing, config, rank, sequence


@app.cell(hide_code=True)
def _(batch, checkpointing, config, rank, sequence):
    memory, wrong = views.memory_rows(
        config.contents() if config.value else None,
        FOOTPRINTS,
        int(batch.value),
        int(sequence.value),
        int(rank.value),
        checkpointing.value,
    )
    mo.callout(views.text_block(wrong), kind="danger") if wrong else views.table(memory)
    return


if __name__ == "__main__":
    app.run()
