# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Your task")

with app.setup(hide_code=True):
    from pathlib import Path

    import marimo as mo

    from lab.files import lab_home
    from lab.live import address, jobs, task_charts, uploads, views
    from lab.live.pages import PAGES, navigation
    from lab.live.pages import address as path_to
    from lab.measure.power import power_findings
    from lab.report.words import escaped
    from lab.schema import LabError
    from lab.tasks.check import check_task
    from lab.tasks.importing import choose_columns, import_task
    from lab.tasks.scorers import BY_TASK, PLAIN
    from lab.tasks.shapes import shaped
    from lab.tasks.tables import as_text, read_table, refusal
    from lab.tasks.task import write_task

    KINDS = {"error": "danger", "warning": "warn", "note": "neutral"}


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("your_task", address.asked())}

    # Your task

    A task is a table of inputs and right answers, and, where there is knowledge to look up, documents. Drop them
    here, look at the checks, save. Everything stays on this machine.
    """)
    return


@app.cell(hide_code=True)
def _():
    table_file = mo.ui.file(
        filetypes=[".csv", ".tsv", ".jsonl", ".json", ".gz", ".parquet"],
        kind="area",
        label="Drop a CSV, TSV, JSON, JSONL or Parquet file",
    )
    document_files = mo.ui.file(
        filetypes=[".md", ".txt"], multiple=True, kind="area", label="Drop documents (.md, .txt), if there are any"
    )
    document_folder = mo.ui.text(label="or a folder of documents on this machine", full_width=True)
    mo.vstack([mo.hstack([table_file, document_files], widths="equal", gap=2), document_folder])
    return document_files, document_folder, table_file


@app.cell(hide_code=True)
def _(table_file):
    mo.stop(not table_file.value, mo.md("<small>Waiting for a table.</small>"))
    source = uploads.keep(lab_home(), table_file.value[0].name, table_file.value[0].contents)
    try:
        table = shaped(read_table(str(source)))
    except LabError as error:
        mo.stop(True, mo.callout(views.text_block(str(error)), kind="danger"))
    names = table.columns
    mo.vstack(
        [
            mo.md(f"### {len(table.rows):,} rows"),
            *(views.text_block(note) for note in table.notes),
            *([mo.callout(views.text_block(str(refusal(table.bad, source.name))), kind="warn")] if table.bad else []),
            mo.ui.table(
                [{k: as_text(v) for k, v in row.cells.items()} for row in table.rows[:200]], selection=None, page_size=5
            ),
        ]
    )
    return names, source, table


@app.cell(hide_code=True)
def _(names, source, table):
    try:
        guess, _ = choose_columns(table)
    except LabError:
        guess = None

    def pick(label, value, optional=True):
        return mo.ui.dropdown(
            ["", *names] if optional else names, value=value or ("" if optional else names[0]), label=label
        )

    input_column = pick("input", guess.input if guess else "", False)
    target_column = pick("target", guess.target if guess else (names[1] if len(names) > 1 else ""), False)
    id_column, group_column = (
        pick("id", guess.id if guess else ""),
        pick("group (never split)", guess.group if guess else ""),
    )
    evidence_column = pick("evidence (document ids)", guess.evidence if guess else "")
    scorer = mo.ui.dropdown(
        ["", *PLAIN, *(s for s in BY_TASK if s != "record")], value="", label="scorer (empty: guessed)"
    )
    leave_out = mo.ui.checkbox(label="leave out rows that can't be read")
    instruction = mo.ui.text(
        placeholder="What should the model be told? Empty: a plain default.", label="instruction", full_width=True
    )
    mo.vstack(
        [
            mo.md("### Columns\nGuessed by their usual names; change them where the guess is wrong."),
            mo.hstack(
                [input_column, target_column, id_column, group_column, evidence_column, scorer, leave_out],
                justify="start",
                wrap=True,
            ),
            instruction,
        ]
    )
    return evidence_column, group_column, id_column, input_column, instruction, leave_out, scorer, target_column


@app.cell(hide_code=True)
def _(
    document_files,
    document_folder,
    evidence_column,
    group_column,
    id_column,
    input_column,
    instruction,
    leave_out,
    scorer,
    source,
    table,
    target_column,
):
    mo.stop(
        bool(table.bad) and not leave_out.value,
        mo.md("<small>Mend the rows that are named above, or leave them out.</small>"),
    )
    try:
        knowledge = uploads.documents(
            lab_home(), [(f.name, f.contents) for f in document_files.value], document_folder.value.strip()
        )
        found = import_task(
            str(source),
            name=source.stem,
            instruction=instruction.value,
            scorer=scorer.value or "",
            documents=knowledge,
            skip_bad_rows=leave_out.value,
            input_column=input_column.value or "",
            target_column=target_column.value or "",
            id_column=id_column.value or "",
            group_column=group_column.value or "",
            evidence_column=evidence_column.value or "",
        )
        task = found.task
        findings = [*check_task(task), *power_findings(task)]
    except LabError as error:
        mo.stop(True, mo.callout(views.text_block(str(error)), kind="danger"))
    mo.vstack(
        [
            mo.md("### Checks"),
            mo.md("\n".join(f"- {escaped(note)}" for note in found.notes)),
            *(mo.callout(mo.md(f"**{f.level}**: {escaped(f.text)}"), kind=KINDS[f.level]) for f in findings),
        ]
    )
    return findings, task


@app.cell(hide_code=True)
def _(task):
    mo.vstack(
        [
            mo.md(
                f"### What it looks like\nScorer **{task.scorer}**, {len(task.documents):,} documents. Groups (and "
                "equal inputs) stand whole on one side of the splits."
            ),
            mo.md("Splits"),
            task_charts.split_chart(task),
            mo.md("Lengths"),
            task_charts.length_chart(task),
            mo.md("Targets in train"),
            task_charts.balance_chart(task_charts.balance_rows(task)),
            mo.ui.tabs(
                {
                    split: mo.ui.table(
                        [
                            {"id": s.id, "input": s.input, "target": s.target, "group": s.group}
                            for s in task.split(split)[:500]
                        ],
                        selection=None,
                        page_size=5,
                    )
                    for split in ("train", "validation", "test")
                }
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(source):
    folder = mo.ui.text(value=source.stem, label="Save as folder")
    save = mo.ui.run_button(label="Save the task")
    mo.hstack([folder, save], justify="start", wrap=True)
    return folder, save


@app.cell(hide_code=True)
def _(findings, folder, save, task):
    mo.stop(not save.value)
    out = Path(folder.value.strip() or task.name)
    trouble = (
        "" if not out.exists() or not any(out.iterdir()) else f"{out}: exists and is not empty; choose another name"
    )
    mo.stop(bool(trouble), mo.callout(views.text_block(trouble), kind="danger"))
    try:
        write_task(task, out)
    except OSError as error:
        mo.stop(True, mo.callout(views.text_block(f"{out}: {error.strerror}; choose another folder"), kind="danger"))
    _, unreadable = views.load(str(out))
    mo.stop(
        bool(unreadable), mo.callout(views.text_block(f"Saved, but it can't be used yet: {unreadable}"), kind="danger")
    )
    errors = [f for f in findings if f.level == "error"]
    saved = "" if errors else str(out)
    mo.vstack(
        [
            mo.callout(views.text_block(f"Saved in {out.resolve()}"), kind="success"),
            *([mo.md("It has errors: mend them, or a decision needs `--allow-leak`.")] if errors else []),
        ]
    )
    return (saved,)


@app.cell(hide_code=True)
def _(saved):
    mo.stop(not saved)
    model = mo.ui.text(value="nano", label="Model (a name, a folder, a .gguf file or a Hub id)", full_width=True)
    first_run = mo.ui.run_button(label="Start the first run")
    mo.vstack(
        [
            mo.md(
                "### The first run\nEvery method that fits the task, on all labels, raced: what is clearly worse "
                "leaves early. It goes on in the background, and *Decide* shows how far it is."
            ),
            model,
            first_run,
        ]
    )
    return first_run, model


@app.cell(hide_code=True)
def _(first_run, model, saved):
    mo.stop(not first_run.value)
    name = model.value.strip() or "nano"
    jobs.start(lab_home(), [saved, "--model", name])
    where = path_to(next(p for p in PAGES if p.name == "decide"), {"task": Path(saved).name, "model": name})
    mo.callout(mo.md(f"It runs. [Go on to Decide]({where})."), kind="success")
    return


if __name__ == "__main__":
    app.run()
