# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Rank and data")

with app.setup(hide_code=True):
    import marimo as mo

    from lab.live import address, study_charts, views
    from lab.live.charts import live
    from lab.live.pages import navigation
    from lab.live.shelf import Shelf
    from lab.store import Store


@app.cell(hide_code=True)
def _(shown_now):
    mo.md(f"""
    {navigation("rank_and_data", shown_now)}

    # Rank and data: the LoRA lab

    LoRA writes its update as a product of two thin matrices. How thin may they be, how much data do they want, and
    how many directions did the update really use?
    """)
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    shelf = Shelf.read(store)
    names = shelf.names()
    mo.stop(not names, mo.callout(mo.md("No study yet. Run one in *Decide*."), kind="info"))
    ranked_most = max(range(len(names)), key=lambda n: study_charts.ranked_cells(shelf.first(*names[n])))
    pick = views.study_picker(shelf, address.asked(), names, ranked_most)
    pick
    return pick, shelf, store


@app.cell(hide_code=True)
def _(pick):
    shown_now = address.remember(task=pick.value[0], model=pick.value[1])
    return (shown_now,)


@app.cell(hide_code=True)
def _(pick, shelf):
    study = shelf.first(*pick.value)
    ranked = [n for n in study.arms() if study.ranks(n)]
    mo.stop(not ranked, mo.callout(mo.md("This study has no arm with a rank."), kind="info"))
    pick_method = mo.ui.dropdown(ranked, value="lora" if "lora" in ranked else ranked[0], label="Arm")
    # The size at which most ranks are measured has most to show.
    richest = max(study.sizes(), key=lambda s: (len({c.rank for c in study.cells if c.size == s and c.rank}), s))
    pick_size = mo.ui.slider(steps=study.sizes(), value=richest, label="Labelled examples", show_value=True)
    mo.hstack([pick_method, pick_size], justify="start", gap=2, wrap=True)
    return pick_method, pick_size, study


@app.cell(hide_code=True)
def _(pick_method, study):
    heat = study_charts.heat_rows(study, pick_method.value)
    spread = max((r["high"] - r["low"] for r in heat), default=0)
    mo.vstack(
        [
            mo.md(
                "### Right answers over rank and data size\nMean over seeds, on test items; the widest 95 % interval "
                f"spans {spread:.0f} points. If a column is flat, rank does not matter at that size."
            ),
            live(study_charts.heat_chart, heat),
            views.table(heat),
        ]
    )
    return


@app.cell(hide_code=True)
def _(pick_method, pick_size, store, study):
    curves = study_charts.loss_rows(study, store, pick_method.value, int(pick_size.value))
    mo.stop(not curves, mo.md("<small>No training log is stored at this size.</small>"))
    mo.vstack(
        [
            mo.md(
                f"### Training at {pick_size.value} examples\nAbove: loss on the training batch at each look. Below: "
                "share of validation items whose every token is the first choice. The best look is the one that was "
                "kept."
            ),
            live(study_charts.loss_chart, curves, "loss", "loss (nats a token)"),
            live(study_charts.loss_chart, curves, "right on validation", "right on validation, %"),
        ]
    )
    return


@app.cell(hide_code=True)
def _(study):
    rates = study_charts.rate_rows(study)
    mo.vstack(
        [
            mo.md(
                "### How sensitive is it to the learning rate?\nOne point a validation trial. A peak at either end of "
                "its grid says that the grid was too narrow (the report flags it)."
            ),
            study_charts.rate_chart(rates) if rates else mo.md("No rates were searched."),
        ]
    )
    return


@app.cell(hide_code=True)
def _(pick_method, pick_size, store, study):
    logs = {}
    for cell in study.cells:
        if (
            cell.seed == min(c.seed for c in study.cells_of(cell.method, cell.size))
            and cell.size == int(pick_size.value)
            and not cell.control
            and (cell.method == pick_method.value or "full" in cell.method)
        ):
            log = study_charts.training_of(store, cell.adaptation)
            if log.get("spectrum"):
                logs[f"{cell.method} rank {cell.rank}" if cell.rank else cell.method] = log
    energy = study_charts.spectrum_rows(logs)
    mo.stop(
        not energy,
        mo.md(
            "### How many directions did the update need?\n<small>No singular values are stored at this size.</small>"
        ),
    )
    half = {
        name: next(
            (str(r["directions"]) for r in energy if r["update"] == name and r["energy"] >= 90),
            f"more than {max(r['directions'] for r in energy if r['update'] == name)}",
        )
        for name in logs
    }
    mo.vstack(
        [
            mo.md(
                (
                    "### How many directions did the update need?\nEvery matrix's update has as many directions as its "
                    "rank; the curve says how much of its energy (squared singular values) the first ones hold. "
                )
                + "Nine tenths lie within "
                + "; ".join(f"**{n}** of {name}" for name, n in half.items())
                + (
                    ". The band spans the model's matrices. A full fine-tune is free to use all directions (of it "
                    "the first 64 are kept)."
                )
            ),
            live(study_charts.spectrum_chart, energy),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
