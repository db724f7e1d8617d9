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
    import time
    from functools import lru_cache
    from pathlib import Path

    import marimo as mo

    from lab.context.base import Tools
    from lab.decision import Settings, verdict
    from lab.flow.looks import note_test_look
    from lab.flow.methods import default_methods, presets
    from lab.live import address, doubts, jobs, study_charts, task_charts, verdicts, views
    from lab.live.charts import live
    from lab.live.pages import navigation
    from lab.live.shelf import MINE, REFERENCE, Shelf, missing, nearest
    from lab.measure.evidence import evidence
    from lab.measure.plainly import arms_in_words
    from lab.measure.winning import gains
    from lab.measure.words import minutes
    from lab.report.charts.cost import cost_chart
    from lab.report.charts.drops import drop_chart, drop_rows
    from lab.report.charts.quality import forgets, quality_chart
    from lab.report.charts.sizes import size_chart, size_rows
    from lab.report.items import disagreements
    from lab.report.looks import Looks
    from lab.report.rows import arm_rows
    from lab.report.tables import choices_table, controls_table, cost_table, lost_of, volumes
    from lab.report.words import escaped
    from lab.report.write import page
    from lab.store import Store

    SIZES, RANKS, SEEDS = (25, 100, 400, 1600), (1, 4, 16, 64), 3
    SETTLED = 3.0  # Seconds that the sliders rest before a forecast is made.
    TICKS = "<small>Ticks: how many completions hold the right content, whatever their form.</small>"
    WHOSE = {MINE: "my results", REFERENCE: "the reference study", "both": "both together"}
    VIEWS = (
        "Data size and rank",
        "Cost",
        "Forgetting",
        "Passages",
        "Is this right?",
        "Disagreements",
        "Settings",
        "Provenance",
    )


@app.cell(hide_code=True)
def _(shown_now):
    mo.md(f"""
    {navigation("decide", shown_now)}
    <h1 style="font-size:1.25rem;margin:.3rem 0 0">Which method should this task take?</h1>
    """)
    return


@app.cell(hide_code=True)
def _():
    # What is chosen: task, model, whose results. The address may name each of them.
    store, parameters = Store(), address.asked()
    get_pulse, set_pulse = mo.state(0)
    get_ended, set_ended = mo.state(0)
    get_free, tell_free = mo.state("rank" not in parameters)
    seen, remembered = {"free": "rank" not in parameters}, {"model": parameters.get("model", "")}

    def set_free(free):
        # marimo runs all that follows once more, also where nothing has changed.
        if seen["free"] != free:
            seen["free"] = free
            tell_free(free)

    folders, at_start = views.task_folders(), Shelf.read(store)
    likely = next((task for task, _ in at_start.names() if task in folders), next(iter(folders), None))
    pick_task = mo.ui.dropdown(folders, value=address.chosen(parameters, "task", folders, likely), label="Task")
    held_task = [pick_task]
    return (
        at_start,
        get_ended,
        get_free,
        get_pulse,
        held_task,
        parameters,
        pick_task,
        remembered,
        seen,
        set_ended,
        set_free,
        set_pulse,
        store,
    )


@app.cell(hide_code=True)
def _(pick_task):
    mo.stop(
        pick_task.value is None,
        mo.callout(mo.md("No task at hand. Make one in *Your task*, or with `lab init`."), kind="warn"),
    )
    task, trouble = views.load(pick_task.value)
    mo.stop(task is None, mo.callout(views.text_block(trouble), kind="danger"))
    return (task,)


@app.cell(hide_code=True)
def _(at_start, remembered, task):
    names = views.models_at_hand(at_start, task.name)
    pick_model = mo.ui.dropdown(
        names,
        value=address.chosen(remembered, "model", names, names[0]),
        label="Model",
        on_change=lambda name: remembered.update(model=name),
    )
    other_model = mo.ui.text(
        value=remembered["model"] if remembered["model"] not in names else "",
        placeholder="folder, .gguf or Hub id",
        label="or another",
        on_change=lambda name: remembered.update(model=name),
        full_width=True,
    )
    held_model = [pick_model, other_model]
    return held_model, other_model, pick_model


@app.cell(hide_code=True)
def _(get_ended, other_model, pick_model, seen, store, task):
    get_ended()
    model = other_model.value.strip() or pick_model.value
    there = Shelf.read(store)
    offered = there.offered(task.name, Path(model).name, there.digests_of(task))
    options = {WHOSE[name]: name for name in offered}
    # The first results of one's own are shown as soon as they are there.
    newly_own = MINE in offered and MINE not in seen.setdefault(("offered", task.name), offered)
    seen[("offered", task.name)] = offered
    first_shown = MINE if newly_own else address.chosen(address.asked(), "results", offered, next(iter(offered), None))
    pick_results = mo.ui.dropdown(
        options, value=WHOSE[first_shown] if first_shown else None, label="Results of", allow_select_none=not offered
    )
    held_results = [pick_results]
    return held_results, model, offered, pick_results


@app.cell(hide_code=True)
def _(get_pulse, model, pick_results, store, task):
    get_pulse()
    shelf = Shelf.read(store)
    known_as, digests = Path(model).name, shelf.digests_of(task)
    found = shelf.of(task.name, known_as, digests, pick_results.value) if pick_results.value else []
    study = shelf.combined(task.name, known_as, digests, pick_results.value) if found else None
    shown_at = lru_cache(maxsize=64)(lambda size, rank: evidence(study, size, rank))
    won = gains(study) if study else []
    said_of_arms = arms_in_words(study) if study else {}
    return digests, found, known_as, said_of_arms, shelf, shown_at, study, won


@app.cell(hide_code=True)
def _(known_as, pick_results, set_free, store, task):
    # Read apart from the study above: new results must not put the sliders back. Where the sliders are made again, the
    # address knows where they were.
    here = address.asked()
    first_shelf = Shelf.read(store)
    at_first = (
        first_shelf.combined(task.name, known_as, first_shelf.digests_of(task), pick_results.value)
        if pick_results.value
        else None
    )
    measured_sizes = at_first.sizes() if at_first else []
    whole = len(task.labelled)
    sizes = sorted({s for s in (*SIZES, whole) if s <= whole} | {s for s in measured_sizes if s <= whole})
    ranks = sorted({*RANKS, *(r for n in at_first.arms() for r in at_first.ranks(n))} if at_first else RANKS)
    start_size = address.chosen(here, "size", sizes, nearest(whole, measured_sizes) or min(400, whole))
    size = mo.ui.slider(
        steps=sizes or [whole],
        value=start_size if start_size in sizes else whole,
        label="Labelled examples",
        show_value=True,
        full_width=True,
    )
    rank = mo.ui.slider(
        steps=ranks,
        value=address.chosen(here, "rank", ranks, 16),
        label="LoRA rank",
        show_value=True,
        full_width=True,
        on_change=lambda _: set_free(False),
    )
    held_data = [size, rank]
    return at_first, held_data, rank, size


@app.cell(hide_code=True)
def _(get_free, set_free):
    # Whoever moves the rank's slider wants that rank.
    free_rank = mo.ui.switch(value=get_free(), label="rank by validation", on_change=set_free)
    held_free = [free_rank]
    return free_rank, held_free


@app.cell(hide_code=True)
def _(parameters):
    offered_volumes = volumes(Settings())
    requests = mo.ui.slider(
        steps=offered_volumes,
        value=address.chosen(parameters, "requests", offered_volumes, 10_000),
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
    held_prices = [requests, margin, price, months, latency, shared_model, forgetting]
    return forgetting, held_prices, latency, margin, months, price, requests, shared_model


@app.cell(hide_code=True)
def _(at_first, held_data, held_free, held_model, held_prices, held_results, held_task):
    # Held in lists: a cell that names a control is run again at its every move, and would draw the sidebar anew.
    has_rank = at_first is None or any(at_first.ranks(n) for n in at_first.arms())
    learns = at_first is None or bool(at_first.sizes())
    (size_slider, rank_slider), (volume, points, *limits, shared, most_lost) = held_data, held_prices
    # Controls that change nothing for this study are not there.
    limits += [shared, most_lost] if at_first and forgets(at_first) else []
    mo.sidebar(
        [
            *held_task,
            *held_model,
            *(r for r in held_results if r.value),
            *([size_slider] if learns else []),
            *([rank_slider, *held_free] if has_rank else []),
            volume,
            points,
            mo.accordion({"Prices and limits": mo.vstack(limits)}),
        ],
        width="19rem",
    )
    return


@app.cell(hide_code=True)
def _(forgetting, latency, margin, months, price, requests, shared_model):
    settings = Settings(
        margin=margin.value / 100,
        monthly_requests=int(requests.value),
        price_per_hour_usd=float(price.value or 0),
        months=int(months.value or 1),
        latency_limit_seconds=float(latency.value or 0) or None,
        forgetting_limit=forgetting.value / 100 if shared_model.value else None,
    )
    return (settings,)


@app.cell(hide_code=True)
def _(free_rank, rank, size, study):
    # Where nothing is measured the neighbour is shown: the page never goes empty.
    at_rank = None if free_rank.value else int(rank.value)
    at_size = nearest(int(size.value), study.sizes()) if study else None
    aside = []
    if study and at_size not in (None, int(size.value)):
        told = ", ".join(f"{s:,}" for s in study.sizes())
        aside.append(
            f"{size.value:,} labelled examples are not measured (there are {told}): this is {at_size:,}. "
            "Measure more below."
        )
    if study and at_rank is not None:
        ranked = {n: study.ranks(n) for n in study.arms() if study.ranks(n)}
        lacks = [n for n in ranked if not study.cells_of(n, at_size, at_rank)]
        aside.append(
            f"Rank {at_rank} is not measured for {', '.join(lacks)} at {at_size:,} examples: it has validation's rank."
            if lacks
            else f"Ranks are held at {at_rank}: a what-if on test items, not a choice."
        )
    return aside, at_rank, at_size


@app.cell(hide_code=True)
def _(aside, at_rank, at_size, digests, found, known_as, offered, pick_results, settings, shelf, shown_at, study, task):
    mo.stop(study is None)
    decision = verdict(shown_at(at_size, at_rank), settings)
    machines = sorted({s.study.made["machine"]["name"] for s in found})
    dates = sorted({s.study.made["date"][:10] for s in found})
    whose = "My results" if pick_results.value == MINE else WHOSE[pick_results.value].capitalize()
    source = f"{whose}: {len(study.cells)} cells of {dates[-1]} on {', '.join(machines)}"
    beside = []
    if pick_results.value == MINE and REFERENCE in offered:
        both = shelf.combined(task.name, known_as, digests)
        more = [n for n in both.arms() if n not in study.arms()]
        with_both = verdict(evidence(both, at_size if at_size in both.sizes() else None, at_rank), settings)
        beside.append(
            f"The reference study has {', '.join(more) or 'the same arms'}"
            f"{' as well' if more else ''}; with it: {with_both.sentence.split(':')[0]}."
        )
    verdicts.verdict_box(decision, [*aside, *beside, f"{source}."])
    return (decision,)


@app.cell(hide_code=True)
def _(decision, study):
    # A cell of its own, and nothing around it: the words above are on the screen while the browser draws, and a chart
    # within other things would come as text that is parsed and cleaned again at every move.
    live(quality_chart, arm_rows(decision.arms, Looks.of(study), decision.chosen), forgets(study))
    return


@app.cell(hide_code=True)
def _(running, stop_buttons, stopped):
    bars = []
    for job, button in zip(running, stop_buttons):
        progress = job.progress
        done, cells = progress.get("cells_done", 0), progress.get("cells", 1)
        words = (
            f"{done} of {cells} cells, {progress.get('stage', 'starting')} {progress.get('done', '')}/"
            f"{progress.get('total', '')}, about {minutes(job.left_seconds)} left"
            if progress
            else "starting: loading the model, making the plan"
        )
        share = progress.get("share", 0.0)
        bar = f"**Running** <progress value='{share}' style='width: 60%'></progress>"
        bars.append(mo.vstack([mo.md(bar), mo.hstack([mo.plain_text(words), button], justify="start", wrap=True)]))
    if stopped:
        bars.append(mo.callout(views.text_block(f"The last run ended early: {stopped.last_words}"), kind="warn"))
    mo.vstack(bars) if bars else None
    return


@app.cell(hide_code=True)
def _(decision, said_of_arms, won):
    mo.vstack(
        [
            *([mo.md(TICKS)] if decision.tells_content else []),
            mo.md("### Why not the others?"),
            verdicts.standing_table(decision, won, said_of_arms),
        ]
    )
    return


@app.cell(hide_code=True)
def _(parameters, study):
    mo.stop(study is None)
    look_at = mo.ui.tabs(dict.fromkeys(VIEWS, ""), value=address.chosen(parameters, "view", VIEWS, VIEWS[0]))
    look_at
    return (look_at,)


@app.cell(hide_code=True)
def _(at_rank, look_at, study):
    # No margin changes these: a slider does not draw them again.
    def growth():
        if len(study.sizes()) < 2:
            return mo.md("One data size is measured. Choose another one in the sidebar and measure it below.")
        rows = size_rows(study, Looks.of(study), at_rank)
        return mo.vstack(
            [
                mo.md("Would more data flip this? A line that still rises says maybe; dashed arms use no labels."),
                live(size_chart, rows, Looks.of(study), tuple(study.sizes())),
            ]
        )

    def lost():
        changes = lost_of(study)
        if not changes:
            return mo.md("Nothing was probed: run without `--no-forgetting`.")
        told = [f"- **{escaped(f.label)}**: {escaped(f.manner)}" for f in changes if f.manner]
        return mo.vstack(
            [
                mo.md("The same probes before and after each training; right of the line is forgotten."),
                drop_chart(drop_rows(changes, Looks.of(study))),
                mo.md("\n".join(told)),
            ]
        )

    def passages():
        controls = controls_table(study)
        if not controls:
            return mo.md("No arm with passages is measured.")
        shares = ("retrieved", "oracle", "random")
        rows = [
            {
                "arm": c["label"],
                **{n.replace("oracle", "gold"): None if c[n] is None else f"{100 * c[n]:.1f} %" for n in shares},
                "recall": ", ".join(f"@{k} {100 * v:.0f} %" for k, v in c["recall"].items()),
            }
            for c in controls
        ]
        return mo.vstack(
            [
                mo.md("With gold passages the retriever's misses are taken out; random ones should give nothing."),
                views.table(rows),
            ]
        )

    def chosen():
        rows = [
            {
                "arm": c["method"] + (f" r{c['rank']}" if c["rank"] else ""),
                "examples": c["size"] or "any",
                "chosen": c["chosen"],
                "right on validation": f"{100 * c['accuracy']:.0f} % of {c['items']}",
                "looks": c["looks"],
            }
            for c in choices_table(study)
        ]
        tried = [r for axis in ("k", "examples") for r in study_charts.trial_rows(study, axis)]
        return mo.vstack(
            [
                mo.md("Chosen on validation, never by a slider on test; below every prompt that was tried."),
                views.table(rows),
                views.table(tried) if tried else mo.md(""),
            ]
        )

    drawn = {
        "Data size and rank": growth,
        "Forgetting": lost,
        "Passages": passages,
        "Settings": chosen,
    }
    drawn[look_at.value]() if look_at.value in drawn else None
    return


@app.cell(hide_code=True)
def _(at_rank, at_size, decision, found, look_at, settings, study):
    def money():
        rows = [
            {
                "arm": c["label"],
                "making, USD a month": float(f"{c['making']:.3g}"),
                "USD per 1,000 requests": float(f"{c['thousand']:.3g}"),
                "USD a month": float(f"{c['monthly']:.3g}"),
                "s a request alone": round(c["latency"], 3),
                "prompt tokens": round(a.prompt_tokens),
                "training s": round(a.fixed_seconds),
            }
            for c, a in zip(cost_table(decision), decision.arms)
        ]
        return mo.vstack(
            [
                mo.md("Up is better, left is cheaper: measured seconds times your price. More on the page *Cost*."),
                live(cost_chart, arm_rows(decision.arms, Looks.of(study), decision.chosen)),
                views.table(rows),
            ]
        )

    def doubt():
        races = doubts.race_rows(study)
        pairs = [
            {
                "pair": f"{p.first} minus {p.second}",
                "points": round(100 * p.difference, 1),
                "from": round(100 * p.low, 1),
                "to": round(100 * p.high, 1),
                "p (Holm)": "below 0.001" if p.p_holm < 0.001 else f"{p.p_holm:.2g}",
                "in words": p.words,
            }
            for p in decision.pairs
        ]
        return mo.vstack(
            [
                live(doubts.race_chart, races)
                if races
                else mo.md("This study measured a whole grid: no arm was dropped on the way."),
                mo.md("Each draw of the training sample alone: which arm would it have put first?"),
                views.table(doubts.seed_rows(study, at_size, at_rank, decision)),
                mo.md("Every two arms on the same items:"),
                views.table(pairs),
                mo.md("\n".join(f"- {escaped(note)}" for note in decision.notes)),
            ]
        )

    def origin():
        commands = [s.study.settings.get("command", "") for s in found]
        return mo.vstack(
            [
                mo.md("Measured by:"),
                *(views.text_block(c) for c in commands if c),
                *(mo.md(f"<small>{escaped(str(s.path))}</small>") for s in found),
                mo.md("One HTML file that stays live offline; with texts it holds up to 50 validation items a pair."),
                mo.hstack(
                    [
                        mo.download(
                            lambda: page(study.redacted(), settings).encode(),
                            filename=f"{study.task['name']}-decision.html",
                            mimetype="text/html",
                            label="Report without texts",
                        ),
                        mo.download(
                            lambda: views.report_with_texts(study, settings),
                            filename=f"{study.task['name']}-decision-with-texts.html",
                            mimetype="text/html",
                            label="Report with texts",
                        ),
                    ],
                    justify="start",
                    wrap=True,
                ),
            ]
        )

    judged = {
        "Cost": money,
        "Is this right?": doubt,
        "Provenance": origin,
    }
    judged[look_at.value]() if look_at.value in judged else None
    return


@app.cell(hide_code=True)
def _(at_first, look_at, task):
    mo.stop(look_at.value != "Disagreements")
    opening = verdict(evidence(at_first), Settings()) if at_first else None
    ahead = [a.name for a in sorted(opening.arms, key=lambda a: a.label != opening.chosen)] if opening else []
    pair_names = list(dict.fromkeys([*ahead, *default_methods(task)]))
    first_arm = mo.ui.dropdown(pair_names, value=pair_names[0], label="Right with one only:")
    second_arm = mo.ui.dropdown(pair_names, value=pair_names[min(1, len(pair_names) - 1)], label="or")
    on_test = mo.ui.switch(value=False, label="test items instead (each look is written down and counted)")
    mo.vstack(
        [
            mo.md("Validation items that one arm gets right and the other doesn't. Choose a row to see both prompts."),
            mo.hstack([first_arm, second_arm, on_test], justify="start", gap=1.5, wrap=True),
        ]
    )
    return first_arm, on_test, second_arm


@app.cell(hide_code=True)
def _(at_rank, at_size, first_arm, on_test, second_arm, shown_at, store, study, task):
    label_of = {a.name: a.label for a in shown_at(at_size, at_rank).arms}
    one, other = (label_of.get(a.value, "") for a in (first_arm, second_arm))
    split = "test" if on_test.value else "validation"
    texts = disagreements(study, store, task, size=at_size, split=split, rank=at_rank)
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
    completed, row_of = texts["completions"], views.rows_by_id(task)
    item_rows = [
        {
            "row": row_of.get(i, i),
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
    return item_table, one, other, row_of


@app.cell(hide_code=True)
def _(at_rank, at_size, item_table, one, other, row_of, shown_at, store, study, task):
    mo.stop(not item_table.value)
    row = item_table.value[0]
    item = next(i for i, n in row_of.items() if n == row["row"])
    tools = Tools(study.settings["embedder"], store.cache / "vectors", study.settings.get("reranker", ""))

    def prompt_side(label):
        arm = next(a for a in shown_at(at_size, at_rank).arms if a.label == label)
        cell = study.cells_of(arm.name, at_size if arm.seeded else None, arm.rank)[0]
        largest = (study.sizes() or [len(task.labelled)])[-1]
        text = task_charts.prompt_of(task, cell, largest, item, tools) if cell.context else "(no prompt: a baseline)"
        said = f"**{escaped(label)}** ({row[f'{label} is']})"
        return mo.vstack([mo.md(said), views.text_block(text), mo.md("completes:"), views.text_block(row[label])])

    mo.hstack([prompt_side(one), prompt_side(other)], widths="equal", gap=2, wrap=True)
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
def _(model, pick_task, rank, run, size, study, task, wanted):
    lacking = missing(study, wanted.value, int(size.value), int(rank.value), SEEDS)
    grid = [
        pick_task.value,
        "--model",
        model,
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
    heading = (
        "### Measure more"
        if study
        else f"### Nothing is measured yet for {escaped(task.name)} with {escaped(model)}\n\nA first run asks every "
        "method the same test items, with the same labels, and ends in a verdict. It goes on in the background, can be "
        "stopped at any time, and keeps what is done."
    )
    mo.vstack(
        [
            mo.md(heading),
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
def _(grid, lacking, pulse, seen, store, study, task):
    mo.stop(not lacking)
    pulse.value
    if seen.get("grid") != grid:
        seen.update(grid=grid, since=time.monotonic())
    # While a slider is dragged no forecast is begun: it would take the processor from the chart.
    settled = time.monotonic() - seen["since"] > SETTLED
    plan = jobs.planned(store.home, grid, f"{task.digest} {len(study.cells) if study else 0}") if settled else {}
    if "error" in plan:
        forecast = mo.callout(views.text_block(plan["error"]), kind="danger")
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
                views.table(costs),
            ]
        )
    forecast
    return


@app.cell(hide_code=True)
def _(grid, run, store):
    mo.stop(not run.value)
    jobs.start(store.home, grid)
    return


@app.cell(hide_code=True)
def _():
    pulse = mo.ui.refresh(options=["1s"], default_interval="1s")
    mo.Html(f'<div style="display:none">{pulse}</div>')
    return (pulse,)


@app.cell(hide_code=True)
def _(pick_task, pulse, seen, set_ended, set_pulse, store):
    pulse.value
    recent = jobs.of_task(store.home, pick_task.value)
    running = [j for j in recent if j.running]
    stopped = recent[0] if recent and not running and not recent[0].ended_well else None
    now, ended = sum(j.progress.get("cells_done", 0) + j.ended_well for j in recent), len(recent) - len(running)
    # What there was when the page opened is shown already.
    for kind, count, tell in (("pulse", now, set_pulse), ("ended", ended, set_ended)):
        if seen.setdefault((kind, pick_task.value), count) != count:
            seen[kind, pick_task.value] = count
            tell(lambda told: told + 1)
    stop_buttons = mo.ui.array(
        [mo.ui.button(label="Stop", kind="danger", on_click=lambda _, j=j: j.stop()) for j in running]
    )
    return running, stop_buttons, stopped


@app.cell(hide_code=True)
def _(shelf):
    mo.vstack([mo.callout(views.text_block(text), kind="warn") for text in shelf.damaged]) if shelf.damaged else None
    return


@app.cell(hide_code=True)
def _(
    forgetting,
    free_rank,
    latency,
    margin,
    model,
    months,
    pick_results,
    price,
    rank,
    requests,
    shared_model,
    size,
    task,
):
    # Written down last: the verdict goes first to the screen.
    shown_now = address.remember(
        task=task.name,
        model=model,
        results=pick_results.value,
        size=size.value,
        rank=None if free_rank.value else rank.value,
        requests=requests.value,
        margin=margin.value,
        price=price.value if price.value != 1 else None,
        months=months.value if months.value != 12 else None,
        latency=latency.value,
        forgetting=forgetting.value if shared_model.value else None,
    )
    return (shown_now,)


if __name__ == "__main__":
    app.run()
