# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Decide")

with app.setup(hide_code=True):
    from functools import lru_cache

    import marimo as mo

    from lab.context.base import Tools
    from lab.decision import Settings, verdict
    from lab.flow.looks import note_test_look
    from lab.flow.methods import default_methods, presets
    from lab.live import doubts, jobs, study_charts, task_charts, views
    from lab.live.charts import live
    from lab.live.pages import navigation
    from lab.live.shelf import Shelf, missing
    from lab.measure.evidence import evidence
    from lab.measure.words import minutes
    from lab.models.folders import brought_models, bundled_models
    from lab.report.charts.base import Looks
    from lab.report.charts.cost import cost_chart
    from lab.report.charts.quality import arm_rows, quality_chart
    from lab.report.charts.sizes import size_chart, size_rows
    from lab.report.items import disagreements
    from lab.report.tables import controls_table, volumes
    from lab.report.words import escaped
    from lab.report.write import page
    from lab.store import Store

    SIZES, RANKS, SEEDS = (25, 100, 400, 1600), (1, 4, 16, 64), 3


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("decide")}

    # Which method should this task take?

    Every arm sees the same base model, the same labels and documents, the same test items and the same scorer. What
    is measured is shown at once; what is missing says what it would cost.
    """)
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    get_pulse, set_pulse = mo.state(0)
    seen = {"pulse": 0}
    folders = views.task_folders()
    first = next((task for task, _ in Shelf.read(store).names() if task in folders), next(iter(folders), None))
    pick_task = mo.ui.dropdown(folders, value=first, label="Task")
    pick_model = mo.ui.dropdown(
        list(dict.fromkeys([*bundled_models(), *brought_models(), *(m for _, m in Shelf.read(store).names())])),
        value="nano",
        label="Model",
    )
    mo.hstack([pick_task, pick_model], justify="start", gap=2, wrap=True)
    return get_pulse, pick_model, pick_task, seen, set_pulse, store


@app.cell(hide_code=True)
def _(pick_task):
    mo.stop(
        pick_task.value is None,
        mo.callout(mo.md("No task at hand. Make one in *Your task*, or with `lab import`."), kind="warn"),
    )
    task, trouble = views.load(pick_task.value)
    mo.stop(task is None, mo.callout(mo.plain_text(trouble), kind="danger"))
    return (task,)


@app.cell(hide_code=True)
def _(get_pulse, pick_model, store, task):
    get_pulse()
    shelf = Shelf.read(store)
    found = shelf.of(task.name, pick_model.value, task.digest)
    study = shelf.combined(task.name, pick_model.value, task.digest)
    shown_at = lru_cache(maxsize=64)(lambda size, rank: evidence(study, size if study.sizes() else None, rank))
    notes = [mo.callout(mo.plain_text(text), kind="warn") for text in shelf.damaged]
    if study:
        committed = [s for s in found if s.committed]
        origin = "; ".join(
            (
                f"{'reference study' if s.committed else 'own run'} of {s.study.made['date'][:10]} on "
                f"{escaped(s.study.made['machine']['name'])}"
            )
            for s in found[:4]
        )
        notes.append(
            mo.md(
                f"<small>{len(study.cells)} cells measured: "
                f"{origin}{' and more' if len(found) > 4 else ''}."
                f"{' Committed studies hold no weights.' if committed else ''}</small>"
            )
        )
    else:
        notes.append(
            mo.callout(mo.md("Nothing is measured yet for this task and model. Choose below what to run."), kind="info")
        )
    mo.vstack(notes)
    return shown_at, study


@app.cell(hide_code=True)
def _(pick_model, store, task):
    # Read apart from the study above: new results must not put the sliders back.
    at_first = Shelf.read(store).combined(task.name, pick_model.value, task.digest)
    measured_sizes = [s for s in at_first.sizes() if s <= len(task.labelled)] if at_first else []
    measured_ranks = sorted({r for n in at_first.arms() for r in at_first.ranks(n)}) if at_first else []
    size_steps = sorted({s for s in SIZES if s <= len(task.labelled)} | set(measured_sizes)) or [len(task.labelled)]
    rank_steps = sorted(set(RANKS) | set(measured_ranks))
    size = mo.ui.slider(
        steps=size_steps,
        value=(measured_sizes or size_steps)[-1],
        label="Training examples",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    rank = mo.ui.slider(
        steps=rank_steps,
        value=16 if 16 in rank_steps else rank_steps[-1],
        label="LoRA rank",
        show_value=True,
        debounce=True,
        full_width=True,
    )
    free_rank = mo.ui.switch(value=False, label="let validation choose the rank")
    offered = volumes(Settings())
    requests = mo.ui.slider(
        steps=offered, value=10_000, label="Requests a month", show_value=True, debounce=True, full_width=True
    )
    margin = mo.ui.slider(
        0.5, 20, 0.5, value=5, label="Margin, points", show_value=True, debounce=True, full_width=True
    )
    price = mo.ui.number(0, 1000, 0.1, value=1.0, label="USD a machine hour")
    months = mo.ui.number(1, 120, 1, value=12, label="Months in use")
    latency = mo.ui.number(0, 600, 0.01, value=0, label="Latency limit, seconds (0: none)")
    shared_model = mo.ui.switch(value=False, label="the trained weights also serve others")
    forgetting = mo.ui.slider(0, 50, 1, value=5, label="Forgetting limit, points", show_value=True, debounce=True)
    mo.vstack(
        [
            mo.hstack([size, rank], widths="equal", gap=2),
            mo.hstack([requests, margin], widths="equal", gap=2),
            mo.hstack([price, months, latency, free_rank], justify="start", gap=1.5, wrap=True),
            mo.hstack([shared_model, forgetting], justify="start", gap=1.5, wrap=True),
        ]
    )
    return at_first, forgetting, free_rank, latency, margin, months, price, rank, requests, shared_model, size


@app.cell(hide_code=True)
def _(forgetting, free_rank, latency, margin, months, price, rank, requests, shared_model, shown_at, size, study):
    at_rank = None if free_rank.value else int(rank.value)
    settings = Settings(
        margin=margin.value / 100,
        monthly_requests=int(requests.value),
        price_per_hour_usd=float(price.value or 0),
        months=int(months.value or 1),
        latency_limit_seconds=float(latency.value or 0) or None,
        forgetting_limit=forgetting.value / 100 if shared_model.value else None,
    )
    mo.stop(
        study is None or (study.sizes() and int(size.value) not in study.sizes()),
        mo.callout(
            mo.md(f"Nothing is measured at {size.value} training examples. See *Missing cells* below."), kind="info"
        ),
    )
    decision = verdict(shown_at(int(size.value), at_rank), settings)
    fixed = (
        ""
        if at_rank is None
        else f" Ranks are held at {rank.value} where it was measured: a what-if on test items, not a choice."
    )
    says = mo.callout(
        mo.md(
            f"## {escaped(decision.sentence)}\n\n"
            + "\n".join(f"- {escaped(r)}" for r in decision.reasons)
            + "\n"
            + "\n".join(f"- What would change it: {escaped(c)}" for c in decision.would_change)
            + f"\n\n<small>{' '.join(escaped(n) for n in decision.notes)}{fixed}</small>"
        ),
        kind="success" if decision.chosen else "warn",
    )
    mo.vstack(
        [
            says,
            mo.md(
                "### Quality by method\nShare of test items answered right, with 95 % intervals. Overlapping "
                "intervals may still differ: the verdict uses paired differences."
            ),
            live(quality_chart, arm_rows(decision.arms, Looks.of(study), decision.chosen)),
        ]
    )
    return at_rank, decision, settings


@app.cell(hide_code=True)
def _():
    look_at = mo.ui.dropdown(
        ["By data size", "Against cost", "Is this right?", "Numbers", "Pairs", "Passages"],
        value="By data size",
        label="Look at the arms",
        allow_select_none=False,
    )
    look_at
    return (look_at,)


@app.cell(hide_code=True)
def _(at_rank, decision, look_at, size, study):
    decision_size = int(size.value) if study.sizes() else None

    def growth():
        return (
            live(size_chart, size_rows(study, Looks.of(study), at_rank), Looks.of(study), tuple(study.sizes()))
            if len(study.sizes()) > 1
            else mo.md("Only one data size is measured yet.")
        )

    def numbers():
        return [
            {
                "arm": a.label,
                "right %": round(100 * a.accuracy, 1),
                "from": round(100 * a.low, 1),
                "to": round(100 * a.high, 1),
                **{p: f"{100 * v:.1f} %" for p, v in a.parts.items()},
                "prompt tokens": round(a.prompt_tokens),
                "s a request": round(a.seconds_per_request, 4),
                "training s": round(a.fixed_seconds, 1),
                "USD a month": float(f"{a.monthly_usd:.3g}"),
                "forgets, points": None if a.forgetting is None else round(100 * a.forgetting, 1),
                "excluded": a.excluded,
            }
            for a in decision.arms
        ]

    def pair_rows():
        return [
            {
                "pair": f"{p.first} minus {p.second}",
                "points": round(100 * p.difference, 1),
                "from": round(100 * p.low, 1),
                "to": round(100 * p.high, 1),
                "p (Holm)": float(f"{p.p_holm:.2g}"),
                "in words": p.words,
            }
            for p in decision.pairs
        ]

    {
        "By data size": lambda: mo.vstack(
            [
                mo.md(
                    "Would more data flip this? A line that still rises says maybe. Dashed lines with bands are arms "
                    "that use no labels."
                ),
                growth(),
            ]
        ),
        "Against cost": lambda: mo.vstack(
            [
                mo.md(
                    "Up is better, left is cheaper, at the settings above. Money is measured seconds times your price."
                ),
                live(cost_chart, arm_rows(decision.arms, Looks.of(study), decision.chosen)),
            ]
        ),
        "Is this right?": lambda: mo.vstack(
            [
                live(doubts.race_chart, races)
                if (races := doubts.race_rows(study))
                else mo.md("This study measured a whole grid: no arm was dropped on the way."),
                mo.md("Each draw of the training sample alone: which arm would it have put first?"),
                mo.ui.table(
                    doubts.seed_rows(study, decision_size, at_rank, decision), selection=None, pagination=False
                ),
                mo.md("\n".join(f"- What would change it: {escaped(c)}" for c in decision.would_change) or ""),
            ]
        ),
        "Numbers": lambda: mo.ui.table(numbers(), selection=None, pagination=False),
        "Pairs": lambda: mo.ui.table(pair_rows(), selection=None, pagination=True),
        "Passages": lambda: (
            mo.ui.table(controls_table(study), selection=None, pagination=False)
            if controls_table(study)
            else mo.md("No arm with passages is measured.")
        ),
    }[look_at.value]()
    return


@app.cell(hide_code=True)
def _(at_first):
    passages = study_charts.trial_rows(at_first, "k") if at_first else []
    retrieving = {at_first.name_of(c) for c in at_first.cells if c.needs_documents} if at_first else set()
    k_steps = {
        "examples": sorted({r["k"] for r in passages if r["method"] not in retrieving}),
        "passages": sorted({r["k"] for r in passages if r["method"] in retrieving}),
    }
    examples = mo.ui.slider(
        steps=k_steps["examples"] or [0], label="Examples in the prompt", show_value=True, debounce=True
    )
    passage_count = mo.ui.slider(steps=k_steps["passages"] or [0], label="Passages", show_value=True, debounce=True)
    mo.vstack(
        [
            mo.md(
                "### Settings inside the prompt\nThese are chosen on validation, never by a slider on test. Here is "
                "what each setting gave on the validation items, and which one each arm took."
            ),
            mo.hstack([examples, passage_count], justify="start", gap=2, wrap=True),
        ]
    )
    return examples, passage_count, passages, retrieving


@app.cell(hide_code=True)
def _(examples, passage_count, passages, retrieving):
    chosen_rows = [
        r for r in passages if r["k"] == (passage_count.value if r["method"] in retrieving else examples.value)
    ]
    mo.ui.table(chosen_rows, selection=None, page_size=8) if chosen_rows else mo.md(
        "<small>No trial with this setting is stored.</small>"
    )
    return


@app.cell(hide_code=True)
def _(task):
    wanted = mo.ui.multiselect(
        [n for n, m in presets().items() if task.documents or not m.needs_documents],
        value=default_methods(task),
        label="Methods",
    )
    run = mo.ui.run_button(label="Run what is missing")
    return run, wanted


@app.cell(hide_code=True)
def _(pick_model, pick_task, rank, run, size, study, wanted):
    lacking = missing(study, wanted.value, int(size.value), int(rank.value), SEEDS)
    grid = [
        pick_task.value,
        "--model",
        pick_model.value,
        "--methods",
        ",".join(lacking),
        "--ranks",
        str(rank.value),
        "--sizes",
        str(size.value),
        "--seeds",
        str(SEEDS),
        "--full-grid",
    ]
    mo.vstack(
        [
            mo.md("### Missing cells"),
            wanted,
            run
            if lacking
            else mo.md(
                f"Everything chosen is measured at {size.value} examples and rank {rank.value}, with {SEEDS} seeds."
            ),
            *(mo.md(f"<small>{escaped(text)}</small>") for text in doubts.left_out(study, lacking)),
        ]
    )
    return grid, lacking


@app.cell(hide_code=True)
def _(grid, lacking, pulse, store, study, task):
    mo.stop(not lacking)
    pulse.value
    plan = jobs.planned(store.home, grid, f"{task.digest} {len(study.cells) if study else 0}")
    if "error" in plan:
        forecast = mo.callout(mo.plain_text(plan["error"]), kind="danger")
    elif not plan:
        forecast = mo.md(f"Missing: {', '.join(lacking)}. The forecast of their cost is being made ...")
    else:
        costs = [
            {
                "method": n,
                "cells": sum(1 for c in plan["cells"] if c.split()[0] == n),
                "search": minutes(sum(s for k, s in plan["searches"].items() if k.split()[0] == n)),
                "cells take": minutes(sum(s for k, s in plan["cells"].items() if k.split()[0] == n)),
            }
            for n in lacking
        ]
        forecast = mo.vstack(
            [
                mo.md(f"About **{minutes(plan['seconds'])}** on this machine, the search on validation included:"),
                mo.ui.table(costs, selection=None, pagination=False),
            ]
        )
    forecast
    return


@app.cell(hide_code=True)
def _(grid, run, store):
    mo.stop(not run.value)
    started = jobs.start(store.home, grid)
    mo.md(f"Started: `lab decide {' '.join(started.arguments)}`. It goes on if you close this tab.")
    return


@app.cell(hide_code=True)
def _():
    pulse = mo.ui.refresh(options=["1s"], default_interval="1s")
    mo.Html(f'<div style="display:none">{pulse}</div>')
    return (pulse,)


@app.cell(hide_code=True)
def _(pulse, seen, set_pulse, store):
    pulse.value
    recent = jobs.jobs(store.home)
    running = [j for j in recent if j.running]
    now = sum(j.progress.get("cells_done", 0) + j.ended_well for j in recent)
    if now != seen["pulse"]:
        seen["pulse"] = now
        set_pulse(now)
    stop_buttons = mo.ui.array(
        [mo.ui.button(label="Stop", kind="danger", on_click=lambda _, j=j: j.stop()) for j in running]
    )
    return recent, running, stop_buttons


@app.cell(hide_code=True)
def _(recent, running, stop_buttons):
    bars = []
    for job, button in zip(running, stop_buttons):
        p = job.progress
        share = p.get("cells_done", 0) / max(1, p.get("cells", 1))
        words = (
            (
                f"{p.get('cells_done', 0)} of {p.get('cells', '?')} cells, {p.get('stage', 'starting')} "
                f"{p.get('done', '')}/{p.get('total', '')}, about {minutes(p.get('left_seconds', 0))} left"
            )
            if p
            else "starting: loading the model, making the plan"
        )
        bars.append(
            mo.vstack(
                [
                    mo.md(f"**Running** <progress value='{share}' style='width: 60%'></progress>"),
                    mo.plain_text(words),
                    button,
                ]
            )
        )
    if not running and recent and not recent[0].ended_well:
        bars.append(mo.callout(mo.plain_text(f"The last run ended early: {recent[0].last_words}"), kind="warn"))
    mo.vstack(bars) if bars else mo.md("<small>Nothing runs.</small>")
    return


@app.cell(hide_code=True)
def _(at_first, task):
    names = list(
        dict.fromkeys(
            [*((c.method for c in at_first.cells if not c.control) if at_first else ()), *default_methods(task)]
        )
    )
    first_arm = mo.ui.dropdown(names, value=names[0], label="Right with one only:")
    second_arm = mo.ui.dropdown(names, value=names[-1], label="or")
    on_test = mo.ui.switch(value=False, label="test items instead (each look is written down and counted)")
    mo.vstack(
        [
            mo.md(
                "### Where two methods disagree\nValidation items that one arm gets right and the other doesn't. "
                "Choose a row to see both prompts."
            ),
            mo.hstack([first_arm, second_arm, on_test], justify="start", gap=1.5, wrap=True),
        ]
    )
    return first_arm, on_test, second_arm


@app.cell(hide_code=True)
def _(at_rank, first_arm, on_test, second_arm, shown_at, size, store, study, task):
    mo.stop(study is None or (study.sizes() and int(size.value) not in study.sizes()))
    label_of = {a.name: a.label for a in shown_at(int(size.value), at_rank).arms}
    one, other = (label_of.get(a.value, "") for a in (first_arm, second_arm))
    split = "test" if on_test.value else "validation"
    texts = disagreements(
        study, store, task, size=int(size.value) if study.sizes() else None, split=split, rank=at_rank
    )
    pairs_found = (texts or {"pairs": {}})["pairs"]
    pair = pairs_found.get(f"{one}\n{other}") or pairs_found.get(f"{other}\n{one}")
    mo.stop(
        not pair or not pair["ids"],
        mo.md(
            "<small>No stored completions of both arms disagree at this size (arms without labels are measured at the "
            "largest size; committed studies may hold no texts).</small>"
        ),
    )
    looks = note_test_look(store.home, task, f"{one} against {other}") if on_test.value else 0
    completed = texts["completions"]
    item_rows = [
        {
            "id": i,
            "input": texts["texts"][i]["input"],
            "wanted": texts["texts"][i]["target"],
            one: completed[one][i][0],
            f"{one} is": completed[one][i][1],
            other: completed[other][i][0],
            f"{other} is": completed[other][i][1],
        }
        for i in pair["ids"]
    ]
    item_table = mo.ui.table(item_rows, selection="single", page_size=8, wrapped_columns=["input"])
    mo.vstack(
        [
            mo.md(
                f"<small>{pair['count']} of {texts['validation']} {split} "
                f"items.{f' Looks at test items so far: {looks}.' if looks else ''}</small>"
            ),
            item_table,
        ]
    )
    return item_table, one, other


@app.cell(hide_code=True)
def _(at_rank, item_table, one, other, shown_at, size, store, study, task):
    mo.stop(not item_table.value)
    row = item_table.value[0]
    tools = Tools(study.settings["embedder"], store.cache / "vectors", study.settings.get("reranker", ""))

    def prompt_side(label):
        arm = next(a for a in shown_at(int(size.value), at_rank).arms if a.label == label)
        cell = study.cells_of(arm.name, int(size.value), arm.rank)[0]
        text = (
            task_charts.prompt_of(task, cell, study.sizes()[-1], row["id"], tools)
            if cell.context
            else "(no prompt: a baseline)"
        )
        return mo.vstack(
            [
                mo.md(f"**{escaped(label)}** ({row[f'{label} is']})"),
                mo.plain_text(text),
                mo.md("completes:"),
                mo.plain_text(row[label]),
            ]
        )

    mo.hstack([prompt_side(one), prompt_side(other)], widths="equal", gap=2)
    return


@app.cell(hide_code=True)
def _(settings, store, study, task):
    mo.vstack(
        [
            mo.md(
                "### Take it with you\nOne HTML file that stays live offline. With texts it carries up to 50 "
                "validation items a pair of arms; leave them out if they are private."
            ),
            mo.hstack(
                [
                    mo.download(
                        lambda: page(study.redacted(), settings).encode(),
                        filename=f"{task.name}-decision.html",
                        mimetype="text/html",
                        label="Report without texts",
                    ),
                    mo.download(
                        lambda: page(study, settings, disagreements(study, store, task)).encode(),
                        filename=f"{task.name}-decision-with-texts.html",
                        mimetype="text/html",
                        label="Report with texts",
                    ),
                ],
                justify="start",
                wrap=True,
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
