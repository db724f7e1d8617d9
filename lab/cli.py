"""The ``lab`` command.

``lab decide datasets/triage --methods zero_shot,few_shot,lora --sizes 100,400 --seeds 3 --budget 20m``
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lab import __version__
from lab.schema import LabError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Measure prompting, retrieval and fine-tuning on your own task, matched, and decide.")
console = Console()

Model = Annotated[str, typer.Option(help="bundled name, local folder or Hub id")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps")]
Embedder = Annotated[str, typer.Option(help="'embedder' (the lab's own), a sentence-transformers folder or a Hub id")]
Folder = Annotated[Path, typer.Argument(help="task folder")]
Margin = Annotated[float, typer.Option(help="accuracy (share of 1) that a cheaper arm may lose")]
Requests = Annotated[int, typer.Option(help="requests a month")]
HourPrice = Annotated[float, typer.Option(help="price of the machine; the default is an example")]
Hosting = Annotated[str, typer.Option(help="shared (seconds of work are paid), dedicated (idle hours too) or api (tokens)")]
PromptPrice = Annotated[float, typer.Option(help="of an API")]
CachedPrice = Annotated[float, typer.Option(help="of an API, for prompt tokens it has cached")]
CompletionPrice = Annotated[float, typer.Option(help="of an API")]
PriceName = Annotated[str, typer.Option(help="a name from lab prices: sets the prices above and the hosting")]
PriceFile = Annotated[Path | None, typer.Option(help="a price table of your own (TOML), read before the lab's")]
Months = Annotated[int, typer.Option(help="months over which fixed costs are spread")]
Updates = Annotated[float, typer.Option(help="how often the knowledge changes")]
PeoplePrice = Annotated[float, typer.Option(help="an hour of labelling, writing and evaluating; shown apart, 0 by default")]
LabelMinutes = Annotated[float, typer.Option(help="a labelled example takes")]
DocumentHours = Annotated[float, typer.Option(help="to write and keep the documents")]
EvaluationHours = Annotated[float, typer.Option(help="to judge the system")]
LatencyLimit = Annotated[float | None, typer.Option(help="seconds a request may take")]
ForgettingLimit = Annotated[float | None, typer.Option(help="accuracy (share of 1) that a trained arm may lose on the probes, where its weights also serve others")]
DEFAULT_MODEL = "nano"
INTERRUPTED = 130


def _version(value: bool) -> None:
    if value:
        console.print(f"decision-lab {__version__}")
        raise typer.Exit


@app.callback()
def options(debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False,
            version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """Options of every command."""


def _names(text: str) -> list[str]:
    return [t.strip() for t in text.split(",") if t.strip()]


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(t) for t in _names(text)]
    except ValueError:
        raise LabError(f"{option} {text}: whole numbers with commas between them, such as 100,400") from None


@app.command()
def decide(
    task: Folder,
    model: Model = DEFAULT_MODEL,
    methods: Annotated[str, typer.Option(help="arms, with commas")] = "",
    ranks: Annotated[str, typer.Option(help="LoRA ranks")] = "16",
    sizes: Annotated[str, typer.Option(help="labelled examples (train + validation); all by default")] = "",
    seeds: Annotated[int, typer.Option(help="draws of the training sample")] = 3,
    budget: Annotated[str, typer.Option(help="drop cells, dearest first, until the forecast fits: 20m, 2h")] = "",
    device: Device = "auto",
    embedder: Embedder = "embedder",
    margin: Margin = 0.05, monthly_requests: Requests = 10_000, price_per_hour_usd: HourPrice = 1.0, hosting: Hosting = "shared", usd_per_million_prompt_tokens: PromptPrice = 0.0,
    usd_per_million_cached_tokens: CachedPrice = 0.0, usd_per_million_completion_tokens: CompletionPrice = 0.0, price: PriceName = "", prices: PriceFile = None, months: Months = 12,
    updates_a_month: Updates = 0.0, people_usd_per_hour: PeoplePrice = 0.0, minutes_a_label: LabelMinutes = 1.0, document_hours: DocumentHours = 0.0, evaluation_hours: EvaluationHours = 0.0,
    latency_limit: LatencyLimit = None, forgetting_limit: ForgettingLimit = None,
    out: Annotated[Path | None, typer.Option(help="folder of the report")] = None,
    fresh: Annotated[bool, typer.Option(help="measure on this machine; of committed studies reuse only what validation chose")] = False,
    allow_leak: Annotated[bool, typer.Option(help="run although test items stand in train; the report says so")] = False,
    allow_scorer_code: Annotated[bool, typer.Option(help="run the task's own module:function scorer")] = False,
    redact: Annotated[bool, typer.Option(help="leave every text of the task out of the report")] = False,
    forgetting: Annotated[bool, typer.Option(help="ask probes before and after each training")] = True,
    probes: Annotated[list[Path] | None, typer.Option(help="folder of a probe of your own (task.toml, test.jsonl); may stand several times")] = None,
    general_text: Annotated[Path | None, typer.Option(help="text file (.txt or .gz, form feeds between documents) for replay and the likelihood of general text")] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="say what would be run and stop")] = False,
    plan_json: Annotated[bool, typer.Option("--plan-json", help="the same, with the forecast as JSON in the last line")] = False,
    job: Annotated[Path | None, typer.Option(hidden=True, help="folder that a background run keeps its progress in")] = None,
) -> None:
    """Run the arms on a task and decide between them."""
    from lab.commands.decide import run_decide

    command = "lab decide " + shlex.join(_repeatable(sys.argv))
    run_decide(console, command=command, folder=task, model_name=model, method_names=_names(methods), ranks=_numbers(ranks, "--ranks"), sizes=_numbers(sizes, "--sizes"),
               seeds=seeds, budget=budget, device=device, embedder=embedder, out=out, fresh=fresh, allow_leak=allow_leak, allow_scorer_code=allow_scorer_code,
               plan_only=plan_only, plan_json=plan_json, redact=redact, job=job, forgetting=forgetting, probe_folders=probes or [], general_text=general_text, settings=_settings(locals()))


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """A command's options as fields of ``lab.decide.Settings``; a named price fills in its own."""
    from lab.prices import price_fields

    names = ("margin", "monthly_requests", "price_per_hour_usd", "hosting", "usd_per_million_prompt_tokens", "usd_per_million_cached_tokens", "usd_per_million_completion_tokens", "months",
             "updates_a_month", "people_usd_per_hour", "minutes_a_label", "document_hours", "evaluation_hours", "forgetting_limit")
    named = price_fields(options["price"], options["prices"]) if options["price"] else {}
    return {n: options[n] for n in names} | {"latency_limit_seconds": options["latency_limit"]} | named


def _repeatable(arguments: list[str]) -> list[str]:
    """The user's own arguments after ``decide``, but for folders that change no result."""
    kept = arguments[arguments.index("decide") + 1:] if "decide" in arguments else []
    for option in ("--out", "--job"):
        kept = [a for n, a in enumerate(kept) if a != option and (n == 0 or kept[n - 1] != option) and not a.startswith(f"{option}=")]
    return kept


@app.command()
def check(task: Folder, model: Model = DEFAULT_MODEL) -> None:
    """Look at a task's data: size, splits, leaks, duplicates, conflicts, balance, lengths."""
    from lab.commands.data import run_check

    if run_check(console, task, model):
        raise typer.Exit(1)


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(help="CSV, TSV, JSONL or Parquet file, or a Hub dataset id")],
    out: Annotated[Path, typer.Option(help="task folder to write")],
    input: Annotated[str, typer.Option(help="column with the input")] = "",
    target: Annotated[str, typer.Option(help="column with the target")] = "",
    id: Annotated[str, typer.Option(help="column with ids")] = "",
    group: Annotated[str, typer.Option(help="column whose equal values never stand on both sides of a split")] = "",
    evidence: Annotated[str, typer.Option(help="column with ids of the documents that hold the answer")] = "",
    documents: Annotated[Path | None, typer.Option(help="folder with .md and .txt files")] = None,
    test: Annotated[str, typer.Option(help="a file of its own for the test split")] = "",
    validation: Annotated[str, typer.Option(help="a file of its own for the validation split")] = "",
    instruction: Annotated[str, typer.Option(help="what the model is told to do")] = "",
    scorer: Annotated[str, typer.Option(help="exact, label, any, number, json, f1 or record; guessed by default")] = "",
    encoding: Annotated[str, typer.Option(help="of CSV files")] = "utf-8",
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    force: Annotated[bool, typer.Option(help="replace an existing task folder")] = False,
) -> None:
    """Make a task folder from a file."""
    from lab.commands.data import run_import

    run_import(console, source, out, force=force, columns={"input_column": input, "target_column": target, "id_column": id, "group_column": group, "evidence_column": evidence},
               documents=documents, test_source=test, validation_source=validation, instruction=instruction, scorer=scorer, encoding=encoding, seed=seed)


@app.command(name="import-probe")
def import_probe(suite: Annotated[str, typer.Argument(help="hellaswag, arc, winogrande or mmlu")], source: Annotated[Path, typer.Argument(help="the suite's own JSONL or CSV file")],
                 out: Annotated[Path, typer.Option(help="probe folder to write")], items: Annotated[int, typer.Option(help="the first so many")] = 200) -> None:
    """Make a forgetting probe from a public suite's file; use it with lab decide --probes FOLDER."""
    from lab.tasks.suites import import_suite

    console.print(f"{out}: {import_suite(suite, source, out, items)} items", highlight=False, soft_wrap=True)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="study.json or its folder")],
    out: Annotated[Path | None, typer.Option(help="folder to write to; the study's own by default")] = None,
    redact: Annotated[bool, typer.Option(help="leave every text of the task out of the report")] = False,
    margin: Margin = 0.05, monthly_requests: Requests = 10_000, price_per_hour_usd: HourPrice = 1.0, hosting: Hosting = "shared", usd_per_million_prompt_tokens: PromptPrice = 0.0,
    usd_per_million_cached_tokens: CachedPrice = 0.0, usd_per_million_completion_tokens: CompletionPrice = 0.0, price: PriceName = "", prices: PriceFile = None, months: Months = 12,
    updates_a_month: Updates = 0.0, people_usd_per_hour: PeoplePrice = 0.0, minutes_a_label: LabelMinutes = 1.0, document_hours: DocumentHours = 0.0, evaluation_hours: EvaluationHours = 0.0,
    latency_limit: LatencyLimit = None, forgetting_limit: ForgettingLimit = None,
) -> None:
    """Write HTML, Markdown and JSON from a stored study, without running anything."""
    from lab.commands.results import run_report

    run_report(console, study, out, redact, _settings(locals()))


@app.command()
def share(
    out: Annotated[Path, typer.Argument(help="folder of the site")],
    reports: Annotated[list[Path] | None, typer.Argument(help="report folders; all under reports/ and lab-reports/ by default")] = None,
) -> None:
    """Write a static site, an index and the reports, that any static host can serve."""
    from lab.commands.results import run_share

    run_share(console, out, reports or [])


@app.command(name="open")
def open_(
    edit: Annotated[bool, typer.Option("--edit", help="open the marimo editor instead")] = False,
    port: Annotated[int, typer.Option(help="0 takes any that is free")] = 2718,
) -> None:
    """Serve the notebooks on 127.0.0.1 and print the address."""
    from lab.commands.results import run_open

    run_open(console, edit, port)


@app.command()
def sweep(
    task: Folder, out: Annotated[Path, typer.Option(help="folder to write sweep.json and sweep.md to")],
    axis: Annotated[list[str] | None, typer.Option(help="a lever and its values, such as replay=0.01,0.05,0.25; may stand several times")] = None,
    method: Annotated[str, typer.Option(help="an arm that trains")] = "lora", size: Annotated[int, typer.Option(help="labelled examples")] = 400,
    seeds: Annotated[int, typer.Option(help="draws of the training sample")] = 1, model: Model = DEFAULT_MODEL, device: Device = "auto", embedder: Embedder = "embedder",
    probes: Annotated[list[Path] | None, typer.Option(help="folder of a probe of your own")] = None,
    general_text: Annotated[Path | None, typer.Option(help="text file for replay and the likelihood of general text")] = None,
) -> None:
    """Move one lever of a training at a time: what is learned, what is forgotten."""
    from lab.commands.experiments import run_sweep

    run_sweep(console, command="lab sweep " + shlex.join(sys.argv[2:]), folder=task, out=out, axes=axis or [], method_name=method, size=size, seeds=seeds, model_name=model, device=device,
              embedder=embedder, probe_folders=probes or [], general_text=general_text)


@app.command()
def why(
    task: Folder, out: Annotated[Path, typer.Option(help="folder to write why.json and why_cheap.html to")],
    sizes: Annotated[str, typer.Option(help="labelled examples")] = "100,400", model: Model = DEFAULT_MODEL, device: Device = "auto",
) -> None:
    """Why is fine-tuning so cheap? Pretraining beside LoRA, full fine-tuning and training from scratch."""
    from lab.commands.experiments import run_why

    run_why(console, command="lab why " + shlex.join(sys.argv[2:]), folder=task, out=out, sizes=_numbers(sizes, "--sizes"), model_name=model, device=device)


@app.command()
def memory(config: Annotated[str, typer.Argument(help="a model's config.json, or the name of a known shape")], batch: int = 1, sequence: int = 1024, rank: int = 16,
           checkpointing: Annotated[bool, typer.Option(help="recompute activations in the backward pass")] = True) -> None:
    """Memory to train a model in full, with LoRA and with QLoRA, from its config.json alone."""
    from lab.commands.experiments import run_memory

    run_memory(console, config, batch, sequence, rank, checkpointing)


@app.command()
def prices(file: PriceFile = None) -> None:
    """List the price table: what each price is, where it comes from and when it was read."""
    from lab.commands.experiments import run_prices

    run_prices(console, file)


@app.command()
def runs() -> None:
    """List what is stored: studies first, then every result."""
    from lab.commands.results import run_runs

    run_runs(console)


@app.command()
def keep(
    studies: Annotated[list[Path], typer.Argument(help="folder of a report with its study.json; several on the same data and model become one")],
    out: Annotated[Path, typer.Option(help="folder to copy to, such as reports/mine")],
    texts: Annotated[bool, typer.Option(help="also the completions, so that nothing is run twice; --no-texts for private tasks")] = True,
) -> None:
    """Copy a study for committing or sending: results without weights."""
    from lab.commands.results import run_keep

    run_keep(console, studies, out, texts)


@app.command()
def prune(
    damaged: Annotated[bool, typer.Option(help="remove damaged and unfinished results")] = False,
    weights: Annotated[bool, typer.Option(help="remove adaptations (they are trained again where needed)")] = False,
    older_than_days: Annotated[float | None, typer.Option(help="remove results older than this")] = None,
    everything: Annotated[bool, typer.Option(help="remove all of your results")] = False,
) -> None:
    """Free disk space; committed studies stay."""
    from lab.commands.results import run_prune

    run_prune(console, damaged=damaged, weights=weights, older_than_days=older_than_days, everything=everything)


@app.command()
def generate(out: Annotated[Path, typer.Option(help="folder of the task folders")] = Path("datasets"),
             name: Annotated[str, typer.Option(help="one task only")] = "",
             rare_format: bool = True, label_noise: float = 0.0, distractors: int = 0, wordings: int = 1, known_facts: bool = False,
             train: int = 2000, validation: int = 300, test: int = 600, seed: int = 1) -> None:
    """Write the bundled tasks, or variants with other knobs."""
    from lab.commands.data import run_generate

    run_generate(console, out, name, rare_format=rare_format, label_noise=label_noise, distractors=distractors, wordings=wordings, known_facts=known_facts,
                 train=train, validation=validation, test=test, seed=seed)


@app.command()
def pretrain(
    work: Annotated[Path, typer.Option(help="folder of checkpoints, log and result; outside the checkout")],
    text: Annotated[str, typer.Option(help="plain English text (.txt or .gz, form feeds between documents), or none")],
    size: Annotated[str, typer.Option(help="nano or small")] = "nano",
    tokens: Annotated[float | None, typer.Option(help="millions of tokens")] = None,
    device: Device = "auto",
    compile: Annotated[bool, typer.Option(help="torch.compile; needs a C++ compiler on a CPU")] = True,
) -> None:
    """Pretrain a base model on the generated world; goes on where it stopped."""
    from lab.commands.making import run_pretrain

    run_pretrain(console, work, text, size, tokens, device, compile)


@app.command(name="train-embedder")
def train_embedder(text: Annotated[str, typer.Option(help="plain English text, or none")], out: Annotated[Path, typer.Option(help="folder to write")], epochs: int = 3) -> None:
    """Train the static embedder."""
    from lab.world.embedder import train_embedder as train

    console.print(str(train(None if text == "none" else Path(text), out, epochs=epochs)))


@app.command()
def card(model: Model = DEFAULT_MODEL, text: Annotated[str, typer.Option(help="the pretraining text, for the likelihood of its held-out part")] = "none",
         device: Device = "auto", out: Annotated[Path | None, typer.Option(help="file to write; the model's own README.md by default")] = None) -> None:
    """Measure a base model's probes and write its card."""
    from lab.commands.making import run_card

    run_card(console, model, text, device, out)


@app.command(name="embedder-card")
def embedder_card(queries: Annotated[Path, typer.Argument(help="JSONL files' folder with question and context fields")], embedder: Embedder = "embedder",
                  out: Annotated[Path | None, typer.Option(help="file to write")] = None) -> None:
    """Measure an embedder's recall beside BM25 and write its card."""
    from lab.commands.making import run_embedder_card

    run_embedder_card(console, queries, embedder, out)


def main() -> None:
    """Entry point: every expected mistake is one line, ``--debug`` shows the traceback."""
    errors = Console(stderr=True)
    if "--debug" in sys.argv:
        app(standalone_mode=True)
        return
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this status
            raise KeyboardInterrupt
        sys.exit(code or 0)
    except LabError as error:
        errors.print(f"lab: {error}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("\nlab: stopped; what is finished is stored, the same command goes on from there", markup=False)
        sys.exit(INTERRUPTED)
    except OSError as error:
        errors.print(f"lab: {error.filename or ''} {error.strerror}; what was stored before is intact", markup=False, soft_wrap=True)
        sys.exit(2)
    except Exception as error:
        if hasattr(error, "format_message"):
            errors.print(f"lab: {error.format_message()}", markup=False, soft_wrap=True)
            sys.exit(getattr(error, "exit_code", 2))
        text = (str(error).splitlines() or [""])[0]
        errors.print(f"lab: {type(error).__name__}: {text} (this is a bug or an unforeseen input; lab --debug ... shows where)", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
