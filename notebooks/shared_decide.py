# /// script
# requires-python = ">=3.11"
# dependencies = ["jinja2", "marimo", "msgspec"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Decide")


@app.cell(hide_code=True)
async def _():
    # ``lab share SITE --live REPORT`` puts this notebook beside ``public/``. In a browser the lab is installed from
    # there, elsewhere it is at hand.
    import sys
    from pathlib import Path

    import marimo as mo

    public, in_browser = f"{mo.notebook_location()}/public", sys.platform == "emscripten"
    if in_browser:
        import micropip
        from pyodide.http import pyfetch

        await micropip.install(f"{public}/decision_lab-0-py3-none-any.whl", deps=False)
        answer = await pyfetch(f"{public}/scenes.json")
        answer.raise_for_status()
        written = await answer.bytes()
    else:
        file = Path(public) / "scenes.json"
        written = file.read_bytes() if file.exists() else b""
    mo.stop(
        not written,
        mo.callout(mo.md("No study lies beside this notebook: `lab share SITE --live REPORT` puts one there."), "warn"),
    )
    installed = True
    return in_browser, installed, mo, written


@app.cell(hide_code=True)
def _(installed, written):
    assert installed
    from lab.decision import Settings, verdict
    from lab.live import address, verdicts
    from lab.live.drawing import filled
    from lab.live.scenes import read
    from lab.report.looks import Looks
    from lab.report.rows import arm_rows

    scenes, parameters = read(written), address.asked()
    return Looks, Settings, address, arm_rows, filled, parameters, scenes, verdict, verdicts


@app.cell(hide_code=True)
def _(mo, scenes):
    mo.vstack(
        [
            # On a phone clear of marimo's own buttons.
            mo.Html("""
            <style>.lab-heading { font-size: 1.25rem; margin: .3rem 0 0 }
            @media (max-width: 700px) { .lab-heading { padding-top: 2.4rem } }</style>
            <h1 class="lab-heading">Which method should this task take?</h1>
            """),
            mo.plain_text(f"{scenes.task} with {scenes.model}: {scenes.source}"),
        ]
    )
    return


@app.cell(hide_code=True)
def _(address, mo, parameters, scenes):
    _ranks = {"by validation": None} | {str(r): r for r in scenes.ranks}
    size = mo.ui.slider(
        steps=scenes.sizes or [0],
        value=address.chosen(parameters, "size", scenes.sizes, scenes.sizes[-1] if scenes.sizes else 0),
        label="Labelled examples",
        show_value=True,
        full_width=True,
    )
    rank = mo.ui.dropdown(
        _ranks,
        value=address.chosen(parameters, "rank", _ranks, "by validation"),
        label="LoRA rank",
        allow_select_none=False,
    )
    requests = mo.ui.slider(
        steps=scenes.volumes,
        value=address.chosen(parameters, "requests", scenes.volumes, 10_000),
        label="Requests a month",
        show_value=True,
        full_width=True,
    )
    margin = mo.ui.slider(
        0.5,
        20,
        0.5,
        value=address.number(parameters, "margin", 5, 0.5, 20),
        label="Margin, points",
        show_value=True,
        full_width=True,
    )
    price = mo.ui.number(
        0, 1000, 0.1, value=address.number(parameters, "price", 1.0, 0, 1000), label="USD a machine hour"
    )
    months = mo.ui.number(1, 120, 1, value=int(address.number(parameters, "months", 12, 1, 120)), label="Months in use")
    latency = mo.ui.number(
        0, 600, 0.01, value=address.number(parameters, "latency", 0, 0, 600), label="Latency limit, s (0: none)"
    )
    shared_model = mo.ui.switch(value="forgetting" in parameters, label="the weights also serve others")
    forgetting = mo.ui.slider(
        0,
        50,
        1,
        value=address.number(parameters, "forgetting", 5, 0, 50),
        label="Forgetting limit, points",
        show_value=True,
        full_width=True,
    )
    mo.sidebar(
        [
            *([size] if len(scenes.sizes) > 1 else []),
            *([rank] if scenes.ranks else []),
            requests,
            margin,
            price,
            months,
            latency,
            *([shared_model, forgetting] if scenes.forgets else []),
        ],
        width="19rem",
    )
    return forgetting, latency, margin, months, price, rank, requests, shared_model, size


@app.cell(hide_code=True)
def _(
    Settings,
    address,
    forgetting,
    latency,
    margin,
    months,
    price,
    rank,
    requests,
    scenes,
    shared_model,
    size,
    verdict,
):
    settings = Settings(
        margin=margin.value / 100,
        monthly_requests=int(requests.value),
        price_per_hour_usd=float(price.value or 0),
        months=int(months.value or 1),
        latency_limit_seconds=float(latency.value or 0) or None,
        forgetting_limit=forgetting.value / 100 if shared_model.value else None,
    )
    decision = verdict(scenes.at(size.value or None, rank.value), settings)
    told = address.remember(
        size=size.value if scenes.sizes else None,
        rank=rank.value,
        requests=requests.value,
        margin=margin.value,
        price=price.value if price.value != 1 else None,
        months=months.value if months.value != 12 else None,
        latency=latency.value,
        forgetting=forgetting.value if shared_model.value else None,
    )
    return decision, told


@app.cell(hide_code=True)
def _(Looks, arm_rows, decision, filled, mo, rank, scenes, verdicts):
    aside = [] if rank.value is None else [f"Ranks are held at {rank.value}: a what-if on test items, not a choice."]
    mo.vstack(
        [
            verdicts.verdict_box(decision, aside),
            filled(scenes.drawing, arm_rows(decision.arms, Looks(scenes.arms), decision.chosen), scenes.kind),
            mo.md("### Why not the others?"),
            verdicts.standing_table(decision, scenes.gains, scenes.words),
        ],
        gap=0.3,
    )
    return


@app.cell(hide_code=True)
def _(in_browser, mo):
    mo.md("""
    <small>This page runs in your browser. Python (Pyodide) comes from cdn.jsdelivr.net, the list of its packages from
    wasm.marimo.app, what is not among them from PyPI: the addresses that marimo uses. What you choose here stays here.
    It has to be served over HTTP: opened as a file it stays empty. The report of this study is live too, and needs no
    network.</small>
    """) if in_browser else None
    return


if __name__ == "__main__":
    app.run()
