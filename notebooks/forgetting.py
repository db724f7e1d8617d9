# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Forgetting")

with app.setup(hide_code=True):
    from pathlib import Path

    import marimo as mo

    from lab.experiments.levers.page import dose_chart, dose_rows, frontier_chart, point_rows
    from lab.experiments.levers.points import Sweep, measured
    from lab.live import address, views
    from lab.live.pages import navigation
    from lab.live.shelf import Shelf, written
    from lab.measure.forgetting import HEADLINE
    from lab.report.charts.drops import drop_chart, drop_rows
    from lab.report.looks import Looks
    from lab.report.tables import lost_of
    from lab.report.words import escaped
    from lab.schema import LabError
    from lab.store import Store


@app.cell(hide_code=True)
def _(shown_now):
    mo.md(f"""
    {navigation("forgetting", shown_now)}

    # What does it forget?

    The same probes before and after a training, paired by item; positive is worse. Facts are asked freely, by choice
    among candidates and after worked examples, so that lost knowledge and changed manner are told apart.
    """)
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    shelf = Shelf.read(store)
    names = [n for n in shelf.names() if any(p.method for p in shelf.first(*n).probed)]
    pick = views.study_picker(shelf, address.asked(), names)
    pick if names else mo.callout(
        mo.md("No study has been probed yet. Run one with `lab decide` (probes are on by default)."), kind="info"
    )
    return pick, shelf, store


@app.cell(hide_code=True)
def _(pick):
    task_name, model_name = pick.value or (None, None)
    shown_now = address.remember(task=task_name, model=model_name)
    return (shown_now,)


@app.cell(hide_code=True)
def _(pick, shelf):
    mo.stop(pick.value is None)
    forgetful = shelf.first(*pick.value)
    lost = lost_of(forgetful)
    heads = [
        {
            "arm": f.label,
            "headline drop, points": round(100 * f.headline.drop, 1),
            "from": round(100 * f.headline.low, 1),
            "to": round(100 * f.headline.high, 1),
            "general text, nats a token more": None if f.likelihood is None else round(f.likelihood.increase, 3),
            "KL from the base": None if f.likelihood is None else round(f.likelihood.kl, 3),
        }
        for f in lost
        if f.headline and not f.in_context
    ]
    manner = [
        mo.callout(mo.md(f"**{escaped(f.label)}**: {escaped(f.manner)}"), kind="neutral") for f in lost if f.manner
    ]
    mo.vstack(
        [
            mo.md(f"### Before and after\n<small>Headline: {HEADLINE}.</small>"),
            views.table(heads) if heads else mo.md("No trained arm was probed."),
            *manner,
            mo.md(
                "One panel an arm. Right of the dashed line is forgotten, left of it gained. *In the prompt*: no "
                "weights changed, the arm's examples or passages stood before the question."
            ),
            drop_chart(drop_rows(lost, Looks.of(forgetful))),
        ]
    )
    return (lost,)


@app.cell(hide_code=True)
def _(lost):
    detail = [
        {
            "arm": f.label,
            "probe": c.says,
            "before %": round(100 * c.before, 1),
            "after %": round(100 * c.after, 1),
            "drop, points": round(100 * c.drop, 1),
            "from": round(100 * c.low, 1),
            "to": round(100 * c.high, 1),
            "items lost": round(c.lost, 1),
            "items gained": round(c.gained, 1),
            "of": c.items,
            "seeds": c.seeds,
        }
        for f in lost
        for c in f.changes
    ]
    mo.vstack(
        [
            mo.md("A small drop can hide much churn: items lost and gained are counted apart."),
            mo.ui.table(detail, selection=None, page_size=12),
        ]
    )
    return


@app.cell(hide_code=True)
def _(store):
    sweeps = written(store, "sweep.json")
    pick_sweep = mo.ui.dropdown(
        {name: str(path) for name, path in sweeps.items()}, value=next(iter(sweeps), None), label="Sweep"
    )
    mo.vstack(
        [
            mo.md(
                "### Which levers keep it?\nOne lever moved at a time. Quality is measured on labelled items that no "
                "training saw, never on test items."
            ),
            pick_sweep
            if sweeps
            else mo.callout(
                mo.md(
                    "No sweep yet. Make one: `lab sweep datasets/triage --axis replay=0.01,0.05,0.25 --axis "
                    "epochs=3,30 --out lab-reports/levers`"
                ),
                kind="info",
            ),
        ]
    )
    return (pick_sweep,)


@app.cell(hide_code=True)
def _(pick_sweep):
    mo.stop(pick_sweep.value is None)
    try:
        swept, damage = Sweep.load(Path(pick_sweep.value)), ""
    except LabError as error:
        swept, damage = None, str(error)
    mo.stop(swept is None, mo.callout(views.text_block(damage), kind="danger"))
    settings = point_rows(measured(swept))
    axes = [a for a in dict.fromkeys(r["axis"] for r in settings) if a != "start"]
    pick_axis = mo.ui.dropdown(axes, value="replay" if "replay" in axes else next(iter(axes), None), label="Lever")
    mo.vstack(
        [
            mo.md(
                "Up is better, left forgets less. The dashed line joins the settings that no other one beats in "
                f"both. {swept.method} on {escaped(swept.task['name'])}, {swept.size} labelled examples; one "
                "seed's points without replication are not told apart from luck."
            ),
            frontier_chart(settings),
            pick_axis,
        ]
    )
    return pick_axis, settings, swept


@app.cell(hide_code=True)
def _(pick_axis, settings):
    mo.stop(pick_axis.value is None)
    doses = dose_rows(settings, pick_axis.value.replace(" ", "_"))
    table = [
        {
            "setting": r["setting"],
            "right %": round(r["right"], 1),
            "drop, points": round(r["drop"], 1),
            "from": round(r["drop_low"], 1),
            "to": round(r["drop_high"], 1),
            "KL from the base": None if r["kl"] is None else float(f"{r['kl']:.3g}"),
            "training loss": float(f"{r['loss']:.3g}"),
            "seeds": r["seeds"],
        }
        for r in settings
    ]
    mo.vstack(
        [
            mo.md(f"### The dose of {pick_axis.value}"),
            dose_chart(doses, pick_axis.value),
            mo.ui.table(table, selection=None, page_size=12),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
