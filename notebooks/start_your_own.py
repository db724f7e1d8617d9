# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Start your own")

with app.setup:
    import marimo as mo

    import lab
    from lab.live.pages import REPOSITORY, navigation
    from lab.live.views import table


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("start_your_own")}

    # Start your own

    Copy this notebook, open it with `marimo edit`, and change what you like: everything below stands on a dozen
    functions, `import lab` and `help(lab.decide)`.
    """)
    return


@app.cell
def _():
    # A study that was measured before. Measure your own instead, in minutes to hours, stored and never run twice:
    # study = lab.decide("my_task", model="smollm2-135m", sizes=[100], out="lab-reports/mine")
    study = lab.load_study(REPOSITORY / "reports/triage")
    return (study,)


@app.cell
def _(study):
    margin = mo.ui.slider(1, 20, value=5, label="Margin, points", show_value=True)
    size = mo.ui.slider(steps=study.sizes(), value=study.sizes()[-1], label="Labelled examples", show_value=True)
    mo.hstack([margin, size], justify="start")
    return margin, size


@app.cell
def _(margin, size, study):
    decision = lab.verdict(study, lab.Settings(margin=margin.value / 100), size=size.value)
    mo.vstack([mo.md(f"## {decision.sentence}"), lab.quality_chart(study, decision)])
    return (decision,)


@app.cell
def _(decision):
    table(
        [
            {"arm": row.label, "points": row.difference and 100 * row.difference, "why": row.why}
            for row in decision.standings
        ]
    )
    return


@app.cell
def _(study):
    lab.size_chart(study)
    return


if __name__ == "__main__":
    app.run()
