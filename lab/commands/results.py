"""Commands about what is stored: reports, sharing, listing, keeping, pruning."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lab.commands import completion
from lab.commands.options import OUTPUT, Redact, console, with_settings
from lab.commands.output import Result, with_output
from lab.files import load
from lab.measure.settings import Settings
from lab.schema import LabError

if TYPE_CHECKING:
    from lab.report.share import Section
    from lab.store import Store
    from lab.study import Study

NEWEST = 50
"""Results that a list shows where not all are asked for."""


@with_output("json")
@with_settings
def report(
    study: Annotated[Path, typer.Argument(help="study.json or its folder", autocompletion=completion.reports)],
    out: Annotated[
        Path | None, typer.Option(help="folder to write to; the study's own by default", rich_help_panel=OUTPUT)
    ] = None,
    redact: Redact = False,
    *,
    settings: Settings,
) -> Result:
    """Write HTML, Markdown and JSON from a stored study, without running anything."""
    from lab.commands.terminal import show_decision
    from lab.decision import decide
    from lab.flow.looks import count_test_looks
    from lab.report.items import with_texts
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study

    read, store = Study.load(study), Store()
    decision = decide(read, settings)
    show_decision(console, read, decision)
    read.settings["test_looks"] = max(read.settings.get("test_looks", 0), count_test_looks(store, read))
    read, items = (read, None) if redact else with_texts(read, store)
    written = write_report(
        read.redacted() if redact else read, settings, out or (study if study.is_dir() else study.parent), items
    )
    for made in written.values():
        console.print(str(made), soft_wrap=True)
    if items is None and not redact:
        console.print("Without texts: the task's folder or its completions are not at hand.")
    told = {"chosen": decision.chosen, "sentence": decision.sentence}
    return Result(told | {"written": {kind: str(path) for kind, path in written.items()}})


@with_output("json")
def share(
    out: Annotated[Path, typer.Argument(help="folder of the site")],
    reports: Annotated[
        list[Path] | None,
        typer.Argument(
            help="folders of reports, lab why and lab sweep; all under reports/ and lab-reports/ by default",
            autocompletion=completion.reports,
        ),
    ] = None,
    notebooks: Annotated[
        bool,
        typer.Option(
            "--notebooks",
            help="also a snapshot of every notebook, texts of tasks included; needs marimo's CDN to be seen",
        ),
    ] = False,
    live: Annotated[
        list[Path] | None,
        typer.Option(
            help="a report's folder whose decision shall be live in the reader's browser (Pyodide, over HTTP; needs "
            "uv); may be given several times",
            autocompletion=completion.reports,
        ),
    ] = None,
) -> Result:
    """Write a static site, an index and the reports, that any static host can serve."""
    from lab.report.share import at_hand
    from lab.report.share import share as write

    beside = [section for section in (_live_pages(out, live or []), _snapshots(out) if notebooks else None) if section]
    listed = write(out, reports or at_hand([Path("reports"), Path("lab-reports")]), beside)
    console.print(f"{out / 'index.html'}: {len(listed)} reports and pages", soft_wrap=True)
    for section in beside:
        console.print(f"{out / section.folder}: {len(section.links)} pages. {section.says}", soft_wrap=True)
    further = {section.folder: [address for _, address, _ in section.links] for section in beside}
    told = {"written": str(out / "index.html"), "entries": [vars(entry) for entry in listed]}
    return Result(told | {"notebooks": further.get("notebooks", []), "live": further.get("live", [])})


def _live_pages(out: Path, reports: list[Path]) -> Section | None:
    """Pages that decide in the reader's browser; None where none is asked for."""
    if not reports:
        return None
    from lab.live import shared
    from lab.report.share import Section

    names = [report.resolve().name for report in reports]
    if len(set(names)) < len(names):
        raise LabError(f"--live: two reports are called {max(names, key=names.count)}; rename one of the folders")
    return Section("Decide, live", shared.FOLDER, shared.SAYS, [shared.share_live(out, report) for report in reports])


def _snapshots(out: Path) -> Section | None:
    """The notebooks as they stand now; None where none could be written."""
    from lab.live import snapshots
    from lab.report.share import Section

    written = snapshots.snapshots(out, tell=lambda text: console.print(text, soft_wrap=True, markup=False))
    return Section("Notebooks", snapshots.FOLDER, snapshots.SAYS, written) if written else None


@with_output("json")
def runs(
    every: Annotated[bool, typer.Option("--all", help="every result, not only the newest")] = False,
) -> Result:
    """List what is stored: studies first, then results, damaged ones and the newest ahead."""
    from lab.live.shelf import Shelf
    from lab.store import Store
    from lab.store.listing import listed

    store = Store()
    shelf = Shelf.read(store)
    for shelved in shelf.studies:
        study = shelved.study
        arms, cells = ", ".join(study.arms()), len(study.cells)
        line = f"study  {study.task['name']} with {study.model['name']}: {arms}; {cells} cells, {shelved.path}"
        console.print(line, soft_wrap=True)
    for text in shelf.damaged:
        console.print(f"damaged  {text}", soft_wrap=True)
    found = listed(store)
    whole = sorted((r for r in found if r.readable), key=lambda r: r.date, reverse=True)
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "key", "what", "seconds", "made", "where"):
        table.add_column(column)
    chosen = [r for r in found if not r.readable] + (whole if every else whole[:NEWEST])
    for row in chosen:
        made = (row.says, f"{row.seconds:.1f}", row.date) if row.readable else ("damaged", "", "")
        table.add_row(row.kind, row.key[:12], *made, "committed" if row.committed else "own")
    console.print(table)
    shown = "" if every or len(whole) <= NEWEST else f"; the newest {NEWEST} are listed, lab runs --all lists every one"
    console.print(f"{len(whole):,} results in {store.home} and committed studies{shown}", soft_wrap=True)
    studies = [
        {
            "task": s.study.task["name"],
            "model": s.study.model["name"],
            "arms": s.study.arms(),
            "cells": len(s.study.cells),
            "path": str(s.path),
            "committed": s.committed,
        }
        for s in shelf.studies
    ]
    results = [
        {
            "kind": r.kind,
            "key": r.key,
            "what": r.says,
            "seconds": r.seconds,
            "date": r.date,
            "folder": r.folder,
            "committed": bool(r.committed),
            "damaged": not r.readable,
        }
        for r in chosen
    ]
    return Result({"studies": studies, "damaged": shelf.damaged, "results": results, "results_in_all": len(found)})


@with_output("json", "quiet")
def keep(
    studies: Annotated[
        list[Path],
        typer.Argument(
            help="folder of a report with its study.json; several on the same data and model become one",
            autocompletion=completion.reports,
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder to copy to, such as reports/mine")],
    texts: Annotated[
        bool, typer.Option(help="also the completions, so that nothing is run twice; --no-texts for private tasks")
    ] = True,
    as_deployed: Annotated[
        bool, typer.Option("--as-deployed", help="put studies of other models on the same data beside the first one's")
    ] = False,
) -> Result:
    """Copy a study for committing or sending: results without weights."""
    from lab.measure.joining import beside, combine
    from lab.report.items import with_texts
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study

    folders = [path if path.is_dir() else path.parent for path in studies]
    read = [Study.load(folder) for folder in folders]
    study, store = (beside(read[0], read[1:]) if as_deployed else combine(read)), Store()
    study, items = with_texts(study, store) if texts else (study, None)
    out.mkdir(parents=True, exist_ok=True)
    shown = study if texts else study.redacted()
    shown.save(out / "study.json")
    write_report(shown, settings_of_decision(folders[0] / "decision.json"), out, items)
    kept = sum(_copy(store, kind, key, out) for kind, key in dict.fromkeys(_results_of(study, store, texts)))
    console.print(f"{out}: study and {kept} results, no weights", soft_wrap=True)
    return Result({"written": str(out), "results": kept}, [str(out)])


def _results_of(study: Study, store: Store, texts: bool) -> Iterator[tuple[str, str]]:
    """(kind, key) of everything that a study rests on; completions with ``texts`` only."""
    trials = [t for c in study.choices for t in c.trials]
    yield from (("choice", c.key) for c in study.choices)
    for key in filter(None, [*(c.adaptation for c in study.cells), *(t.adaptation for t in trials)]):
        yield "adaptation", key
        entry = store.find("adaptation", key)
        if entry and entry.record["what"]["start"]:
            yield "adaptation", entry.record["what"]["start"]
    if texts:
        evaluations = [
            *(k for c in study.cells for k in (c.evaluation, c.validation_evaluation)),
            *(t.evaluation for t in trials),
            *(p["evaluation"] for p in study.probes.values()),
            *(p.evaluation for p in study.probed),
        ]
        yield from (("evaluation", key) for key in evaluations if key)


def _copy(store: Store, kind: str, key: str, out: Path) -> bool:
    """Copy a result's record and completions; not what another study in the same folder holds already."""
    entry, target = store.find(kind, key), out / "results" / kind / key
    if entry is None:
        return False
    here, own = entry.folder.resolve(), out.resolve()
    elsewhere = entry.committed and here.is_relative_to(own.parent) and not here.is_relative_to(own)
    if elsewhere or here == target.resolve():
        return False
    target.mkdir(parents=True, exist_ok=True)
    for name in ("record.json", "completions.parquet"):
        if (entry.folder / name).exists():
            shutil.copyfile(entry.folder / name, target / name)
    return True


def settings_of_decision(path: Path) -> Settings:
    """The settings that a written decision was made with; the defaults where there is none."""
    if not path.exists():
        return Settings()
    return load(path, lambda decision: Settings(**decision["settings"]), "decision", "lab report")


def prune(
    damaged: Annotated[bool, typer.Option(help="remove damaged and unfinished results")] = False,
    weights: Annotated[bool, typer.Option(help="remove adaptations (they are trained again where needed)")] = False,
    older_than_days: Annotated[float | None, typer.Option(help="remove results older than this")] = None,
    everything: Annotated[bool, typer.Option(help="remove all of your results")] = False,
) -> None:
    """Free disk space; committed studies stay."""
    from lab.store import Store

    if older_than_days is not None and not 0 <= older_than_days < math.inf:
        raise LabError(f"--older-than-days {older_than_days:g}: a number of days from 0")
    if not (damaged or weights or everything or older_than_days is not None):
        raise LabError("lab prune: say what: --damaged, --weights, --older-than-days N or --everything")
    removed, freed = Store().prune(
        damaged=damaged, weights=weights, older_than_days=older_than_days, everything=everything
    )
    console.print(f"removed {removed} results, freed {freed / 1e6:.1f} MB")
