# /// script
# requires-python = ">=3.11"
# dependencies = ["decision-lab"]
#
# [tool.marimo.display]
# theme = "system"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Retrieval")

with app.setup(hide_code=True):
    from functools import lru_cache

    import marimo as mo

    from lab.context.base import Tools
    from lab.context.retrieval.chunking import chunk_documents
    from lab.context.retrieval.search import Searcher
    from lab.live import address, task_charts, views
    from lab.live.pages import navigation
    from lab.models.prompts import render
    from lab.report.words import escaped
    from lab.schema import LabError, Prompt
    from lab.store import Store

    MODES = ("hybrid", "dense", "lexical")


@app.cell(hide_code=True)
def _():
    mo.md(f"""
    {navigation("retrieval", address.asked())}

    # Retrieval

    What does the model get to read? Dense search is FAISS over sentence-transformers vectors, lexical search is BM25,
    hybrid fuses their ranks. Which one your task takes is chosen on validation.
    """)
    return


@app.cell(hide_code=True)
def _():
    store = Store()
    folders = {
        name: folder
        for name, folder in views.task_folders().items()
        if (loaded := views.load(folder)[0]) and loaded.documents
    }
    mo.stop(not folders, mo.callout(mo.md("No task with documents at hand."), kind="warn"))
    parameters = address.asked()
    pick_task = mo.ui.dropdown(
        folders, value=address.chosen(parameters, "task", folders, next(iter(folders))), label="Task"
    )
    embedder = mo.ui.text(value="embedder", label="Embedder (bundled, folder or Hub id)")
    mode = mo.ui.dropdown(MODES, value="hybrid", label="Search")
    k = mo.ui.slider(1, 10, 1, value=3, label="Passages (k)", show_value=True, debounce=True)
    chunk = mo.ui.slider(
        steps=[40, 80, 120, 160, 240], value=120, label="Tokens a chunk", show_value=True, debounce=True
    )
    mo.vstack(
        [
            mo.hstack([pick_task, mode, embedder], justify="start", gap=2, wrap=True),
            mo.hstack([k, chunk], justify="start", gap=2, wrap=True),
        ]
    )
    return chunk, embedder, k, mode, pick_task, store


@app.cell(hide_code=True)
def _(embedder, pick_task, store):
    task, trouble = views.load(pick_task.value)
    mo.stop(task is None, mo.callout(views.text_block(trouble), kind="danger"))
    tools = Tools(embedder.value, store.cache / "vectors")

    @lru_cache(maxsize=16)
    def search_over(tokens, name):
        passages = chunk_documents(task.documents, tokens, min(20, tokens // 4))
        return Searcher([p.text for p in passages], name, tools, task.asks_singles), passages

    return search_over, task


@app.cell(hide_code=True)
def _(task):
    questions = [s.input for s in task.labelled if s.evidence][:200] or [s.input for s in task.labelled][:200]
    choice = mo.ui.dropdown(questions, value=next(iter(questions), None), label="A labelled question", full_width=True)
    asked = mo.ui.text(placeholder="or type a question of your own and press Enter", full_width=True)
    mo.vstack([choice, asked])
    return asked, choice


@app.cell(hide_code=True)
def _(asked, choice, chunk, k, mode, search_over, task):
    question = asked.value.strip() or choice.value
    mo.stop(not question, mo.md("Choose or type a question."))
    known = next((s for s in task.labelled if s.input == question), None)
    try:
        searcher, passages = search_over(int(chunk.value), mode.value)
        hits = searcher.search([question], 50)[0]
    except LabError as error:
        mo.stop(True, mo.callout(views.text_block(str(error)), kind="danger"))
    gold = set(known.evidence) if known else set()
    place = next((n for n, (i, _) in enumerate(hits, 1) if passages[i].document_id in gold), None)
    found = [
        {
            "rank": n,
            "score": round(score, 4),
            "document": passages[i].document_id,
            "holds the answer": "yes" if passages[i].document_id in gold else "",
            "passage": passages[i].text,
        }
        for n, (i, score) in enumerate(hits[: int(k.value)], 1)
    ]
    where = (
        ""
        if not gold
        else f"The document that holds the answer (*{escaped(known.target)}*) stands at rank **{place}**."
        if place
        else "The document that holds the answer is **not among the first 50**."
    )
    mo.vstack(
        [
            mo.md(f"### What is found\n{where}"),
            mo.ui.table(found, selection=None, pagination=False, wrapped_columns=["passage"])
            if found
            else mo.md("Nothing shares a word with the question."),
        ]
    )
    return hits, passages, question


@app.cell(hide_code=True)
def _(hits, k, passages, question, task):
    seen = Prompt(task.instruction, question, passages=tuple(passages[i] for i, _ in hits[: int(k.value)]))
    mo.vstack(
        [
            mo.md(
                "### The prompt as the model sees it\nBefore it is cut to the window: whole passages go first, the "
                "last ones first."
            ),
            views.text_block(render(seen)),
        ]
    )
    return


@app.cell(hide_code=True)
def _(chunk, search_over, task):
    limits = (1, 2, 3, 5, 10)
    by_mode = task_charts.recall_rows(task, {name: search_over(int(chunk.value), name) for name in MODES}, limits)
    mo.stop(not by_mode, mo.md("<small>No labelled item names its evidence, so recall can't be measured.</small>"))
    by_chunk = task_charts.recall_rows(
        task, {f"{tokens} tokens": search_over(tokens, "lexical") for tokens in (40, 80, 120, 240)}, limits
    )
    count = min(300, sum(bool(s.evidence) for s in task.labelled))
    mo.vstack(
        [
            mo.md(
                f"### Recall\nShare of {count} labelled questions (train and validation, never test) whose document "
                "is among the first k passages. Above by kind of search, below by chunk size (lexical). An answer "
                "can't be read from a passage that was not found."
            ),
            task_charts.recall_chart(by_mode),
            task_charts.recall_chart(by_chunk),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
