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
    from lab.live.shelf import MINE, Shelf
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
    store = Store()
    shelf = Shelf.read(store)
    running = [j for j in jobs.jobs(store.home) if j.running]
    own = [s for s in shelf.studies if not s.committed]
    pages = {p.name: p for p in PAGES}
    newest = {"task": own[0].study.task["name"], "model": own[0].study.model["name"]} if own else {}
    steps = (
        f"[Look at your newest decision]({address(pages['decide'], newest)}): {escaped(newest['task'])} with "
        f"{escaped(newest['model'])}."
        if own
        else f"[Look at a decision]({address(pages['decide'])}) that was measured before, and move its sliders.",
        f"[Bring your own task]({address(pages['your_task'])}): a table of inputs and right answers.",
        f"{len(running)} runs go on in the background." if running else "",
    )
    mo.md("## What next\n\n" + "\n".join(f"{n}. {step}" for n, step in enumerate(filter(None, steps), 1)))
    return pages, shelf, store


@app.cell(hide_code=True)
def _(pages, shelf):
    rows = []
    for task, model in shelf.names():
        decision = decide(shelf.first(task, model), Settings())
        rows.append(
            {
                "task": task,
                "model": model,
                "results": "mine" if shelf.offered(task, model)[0] == MINE else "reference",
                "verdict": decision.sentence.split(":")[0],
                "best arm right": f"{100 * decision.arms[0].accuracy:.1f} %",
                "link": address(pages["decide"], {"task": task, "model": model}),
            }
        )
    mo.vstack(
        [
            mo.md("## What is measured"),
            views.table(rows, links={"task": "link"}) if rows else mo.md("Nothing yet: go to *Decide*."),
            *(mo.callout(views.text_block(text), kind="warn") for text in shelf.damaged),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(
        "## The pages\n\n" + "\n".join(f"- [**{p.title}**]({address(p)}): {p.says}" for p in PAGES if p.name != "start")
    )
    return


@app.cell(hide_code=True)
def _(store):
    def contents():
        # Read when somebody looks: a large store takes a while.
        kinds = {}
        for row in listed(store):
            kinds.setdefault(row.kind, [0, 0, 0])
            kinds[row.kind][0 if not row.committed else 1] += 1
            kinds[row.kind][2] += not row.readable
        stored = [
            {"kind": kind, "own": counts[0], "committed": counts[1], "damaged": counts[2]}
            for kind, counts in kinds.items()
        ]
        return mo.vstack(
            [
                views.text_block(str(store.home)),
                views.table(stored) if stored else mo.md("The store is empty."),
                mo.md(f"Tasks at hand: {', '.join(map(escaped, views.task_folders())) or 'none'}."),
            ]
        )

    mo.accordion({"In the store": mo.lazy(contents)})
    return


if __name__ == "__main__":
    app.run()
