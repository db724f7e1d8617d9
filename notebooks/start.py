# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Decision lab")

with app.setup(hide_code=True):
    import marimo as mo

    from lab.decision import Settings, decide
    from lab.live import jobs, views
    from lab.live.pages import PAGES, address, navigation
    from lab.live.shelf import Shelf
    from lab.report.words import escaped
    from lab.store import Store
    from lab.store.listing import listed


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("start")}

    # Decision lab

    Prompting, retrieval or fine-tuning? Measured on your task: same base model, same information, same test items,
    same scorer.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md("\n".join(f"- [**{p.title}**]({address(p)}): {p.says}" for p in PAGES if p.name != "start"))
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    shelf = Shelf.read(store)
    rows = []
    for task, model in shelf.names():
        study, found = shelf.combined(task, model), shelf.of(task, model)
        verdict = decide(study, Settings())
        rows.append(
            {
                "task": task,
                "model": model,
                "cells": len(study.cells),
                "arms": len(study.arms()),
                "sizes": ", ".join(map(str, study.sizes())),
                "from": "reference study" if all(s.committed for s in found) else "own runs",
                "verdict at the largest size": verdict.sentence,
            }
        )
    mo.vstack(
        [
            mo.md("## What is measured"),
            mo.ui.table(rows, selection=None, pagination=False, wrapped_columns=["verdict at the largest size"])
            if rows
            else mo.md("Nothing yet: go to *Decide*."),
            *(mo.callout(mo.plain_text(text), kind="warn") for text in shelf.damaged),
        ]
    )
    return (store,)


@app.cell(hide_code=True)
def _(store):
    kinds = {}
    for row in listed(store):
        kinds.setdefault(row.kind, [0, 0, 0])
        kinds[row.kind][0 if not row.committed else 1] += 1
        kinds[row.kind][2] += not row.readable
    stored = [
        {"kind": kind, "own": own, "committed": committed, "damaged": damaged}
        for kind, (own, committed, damaged) in kinds.items()
    ]
    alive = [j for j in jobs.jobs(store.home) if j.running]
    mo.vstack(
        [
            mo.md(f"## In the store\n{escaped(str(store.home))}"),
            mo.ui.table(stored, selection=None, pagination=False) if stored else mo.md("The store is empty."),
            mo.md(
                f"{len(alive)} runs in the background; tasks at hand: "
                f"{', '.join(map(escaped, views.task_folders())) or 'none'}."
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
