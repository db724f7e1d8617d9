# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Why cheap")

with app.setup(hide_code=True):
    from pathlib import Path

    import marimo as mo

    from lab.experiments.why.ledger import Why, factors, own_case, public_figures, scaled_account, worth_in_examples
    from lab.experiments.why.page import (
        SAYS,
        account_rows,
        factor_rows,
        figure_chart,
        figure_rows,
        layer_chart,
        share_chart,
        share_rows,
        start_chart,
        start_rows,
    )
    from lab.live import address, views
    from lab.live.pages import navigation
    from lab.live.shelf import written
    from lab.schema import LabError
    from lab.store import Store


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("why_cheap", address.asked())}

    # Why is fine-tuning so cheap?

    Three claims are tested on this lab's own ledger: the representations are already there, the update is low-rank,
    and the optimisation starts near a solution.
    """)
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    ledgers = written(store, "why.json")
    pick = mo.ui.dropdown(
        {name: str(path) for name, path in ledgers.items()}, value=next(iter(ledgers), None), label="Ledger"
    )
    pick if ledgers else mo.callout(
        mo.md("Nothing is measured yet. Make a ledger: `lab why datasets/triage --out lab-reports/why`"), kind="info"
    )
    return (pick,)


@app.cell(hide_code=True)
def _(pick):
    mo.stop(pick.value is None)
    try:
        found, damage = Why.load(Path(pick.value)), ""
    except LabError as error:
        found, damage = None, str(error)
    mo.stop(found is None, mo.callout(views.text_block(damage), kind="danger"))
    mo.callout(mo.md(f"**{worth_in_examples(found)}**"), kind="neutral")
    return (found,)


@app.cell(hide_code=True)
def _(found):
    measured_names = [n for n in SAYS if found.of(n)]
    pick_method = mo.ui.dropdown(
        {SAYS[n]: n for n in measured_names},
        value=SAYS[measured_names[0]] if measured_names else None,
        label="Training",
    )
    steps = sorted({a.size for a in found.trainings}) or [0]
    size = mo.ui.slider(steps=steps, value=steps[-1], label="Labelled examples", show_value=True, debounce=True)
    epochs = mo.ui.slider(
        1, 40, 1, value=10, label="Epochs (arithmetic: tokens and seconds scale)", show_value=True, debounce=True
    )
    rank = mo.ui.slider(
        steps=[1, 4, 16, 64],
        value=16,
        label="Rank (arithmetic: trained parameters scale)",
        show_value=True,
        debounce=True,
    )
    mo.vstack(
        [
            mo.md(
                "### The accounts\nSeconds here are tokens at the pace that a row's steps have on one machine, all "
                "timed side by side; seconds of two machines are never compared."
            ),
            views.table(account_rows(found)),
            mo.hstack([pick_method, size, epochs, rank], justify="start", gap=1.5, wrap=True),
        ]
    )
    return epochs, pick_method, rank, size


@app.cell(hide_code=True)
def _(epochs, found, pick_method, rank, size):
    mo.stop(pick_method.value is None)
    base = next((a for a in found.of(pick_method.value) if a.size == size.value), found.of(pick_method.value)[-1])
    moved = scaled_account(base, int(epochs.value), int(rank.value))
    f = factors(found, moved)
    mo.vstack(
        [
            mo.hstack(
                [
                    mo.stat(f"{f.tokens:,.0f}", label="times the tokens"),
                    mo.stat(f"{f.flops_a_token:.2f}", label="times the FLOPs a token"),
                    mo.stat(f"{f.utilisation:.2f}", label="times the FLOPs a second of the training"),
                    mo.stat(f"{f.seconds:,.0f}", label="= times the seconds"),
                ],
                justify="start",
                gap=2,
                wrap=True,
            ),
            mo.md(
                f"Optimizer state is {f.memory:,.1f} times smaller: memory, not compute. Multiplying data, steps, "
                f"parameters and optimizer state as if they were independent would claim {f.double_counted:,.0f} "
                "times: "
                "steps are tokens over batch size, trained parameters hardly change the FLOPs of a token, and "
                "optimizer state follows the parameters."
            ),
            views.table(factor_rows(found)),
        ]
    )
    return


@app.cell(hide_code=True)
def _(found):
    by = mo.ui.radio(
        {"labelled examples": "size", "tokens trained on": "tokens"}, value="labelled examples", inline=True
    )
    mo.vstack([mo.md("### What a pretrained start is worth"), by]) if found.trainings else None
    return (by,)


@app.cell(hide_code=True)
def _(by, found):
    mo.stop(not found.trainings)
    start_chart(start_rows(found), by.value)
    return


@app.cell(hide_code=True)
def _(found):
    frozen = [("0", a.right, a.items) for a in found.of("full")[-1:]] + [
        (a.settings["frozen_layers"], a.right, a.items) for a in found.frozen
    ]
    cut = [("whole" if t["rank"] is None else t["rank"], t["right"], t["items"]) for t in found.truncated]
    mo.vstack(
        [
            mo.md(
                "### Are the representations already there?\nFull fine-tuning with the first layers frozen: where the "
                "curve stays up, they were good enough as they were."
            ),
            share_chart(share_rows(frozen), "frozen first layers"),
            mo.md(
                "What a linear probe reads off each layer of the base. It shows what is there, not that the model "
                "uses it."
            ),
            layer_chart(found) if found.layers else mo.md("Not measured."),
            mo.md(
                "### Is the update low-rank?\nThe full fine-tune's update cut to its largest directions in every "
                "matrix. That a cut update works shows that few directions suffice for this task and start; not that "
                "training finds them as easily in few, nor that another task needs as few."
            ),
            share_chart(share_rows(cut), "rank that the update is cut to") if cut else mo.md("Not measured."),
        ]
    )
    return


@app.cell(hide_code=True)
def _(found):
    figures = [
        {"training": g.name, "what": g.what, "GPU hours": g.gpu_hours, "USD": g.usd, "date": g.date, "source": g.source}
        for g in public_figures()
    ]
    mo.vstack(
        [
            mo.md(
                "### Beside published trainings\nHours of different devices and models: orders of magnitude, no "
                "comparison."
            ),
            figure_chart(figure_rows(found, public_figures())),
            views.table(figures),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    case = mo.ui.array(
        [
            mo.ui.number(0.01, 2000, 0.1, value=8, label="parameters, billions"),
            mo.ui.number(0.001, 100, 0.1, value=15, label="pretraining tokens, trillions"),
            mo.ui.number(1, 10_000_000, 100, value=10_000, label="examples"),
            mo.ui.number(1, 100_000, 10, value=500, label="tokens an example"),
            mo.ui.number(1, 100, 1, value=3, label="epochs"),
            mo.ui.number(0.001, 100, 0.1, value=0.5, label="adapter, % of the parameters"),
        ]
    )
    mo.vstack([mo.md("### Your own case"), mo.hstack(list(case), justify="start", gap=1, wrap=True)])
    return (case,)


@app.cell(hide_code=True)
def _(case):
    answer = own_case(*case.value)
    mo.hstack(
        [
            mo.stat(f"{answer['times less']:,.0f}", label="times less compute for LoRA"),
            mo.stat(f"{answer['by tokens']:,.0f}", label="of it by fewer tokens"),
            mo.stat(f"{answer['by gradients']:.2f}", label="of it by fewer weight gradients"),
            mo.stat(
                f"{answer['full GiB']:,.0f} / {answer['lora GiB']:,.0f} GiB",
                label="weights, gradients and Adam: full / LoRA",
            ),
        ],
        justify="start",
        gap=2,
        wrap=True,
    )
    return


if __name__ == "__main__":
    app.run()
