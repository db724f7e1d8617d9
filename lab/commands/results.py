"""Commands about what is stored: reports, sharing, listing, keeping, pruning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.commands.decide import count_test_looks
from lab.schema import LabError


def run_report(console: Console, path: Path, out: Path | None, redact: bool, settings: dict[str, Any]) -> None:
    """Reports from a stored study."""
    from lab.decide import Settings, decide
    from lab.report.items import disagreements, task_of
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study
    from lab.terminal import show_decision

    file = path / "study.json" if path.is_dir() else path
    study, chosen_settings = Study.load(file), Settings(**settings)
    show_decision(console, study, decide(study, chosen_settings))
    store = Store()
    study.settings["test_looks"] = max(study.settings.get("test_looks", 0), count_test_looks(store, study))
    items = None if redact else disagreements(study, store, task_of(study))
    for made in write_report(study.redacted() if redact else study, chosen_settings, out or file.parent, items).values():
        console.print(str(made), highlight=False, soft_wrap=True)
    if items is None and not redact:
        console.print("Without texts: the task's folder or its completions are not at hand.", highlight=False)


def run_open(console: Console, edit: bool, port: int) -> None:
    """Serve the notebooks until Ctrl-C."""
    import subprocess

    from lab.live.pages import NOTEBOOKS, PAGES, address, notebook_file
    from lab.live.serve import HOST, edit_command, free_port, serve

    for page in PAGES:
        notebook_file(page)
    port = free_port(port)
    if edit:
        raise SystemExit(subprocess.call(edit_command(NOTEBOOKS, port)))
    console.print(f"http://{HOST}:{port}{address(PAGES[0])}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it; runs that were started go on.", highlight=False)
    serve(port)


def run_share(console: Console, out: Path, folders: list[Path]) -> None:
    """Copy reports beside an index."""
    from lab.report.share import share

    listed = share(out, folders or [p.parent for top in ("reports", "lab-reports") for p in sorted(Path(top).glob("*/report.html"))])
    console.print(f"{out / 'index.html'}: {len(listed)} reports", highlight=False, soft_wrap=True)


def run_runs(console: Console) -> None:
    """One line a study and one a result, damaged ones marked."""
    from lab.live.shelf import Shelf
    from lab.store import Store

    store = Store()
    shelf = Shelf.read(store)
    for shelved in shelf.studies:
        study = shelved.study
        console.print(f"study  {study.task['name']} with {study.model['name']}: {', '.join(study.arms())}; {len(study.cells)} cells, {shelved.path}", highlight=False, markup=False, soft_wrap=True)
    for text in shelf.damaged:
        console.print(f"damaged  {text}", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "key", "what", "seconds", "made", "where"):
        table.add_column(column)
    count = 0
    for entry in store.entries():
        where = "committed" if entry.committed else "own"
        if entry.damaged:
            table.add_row(entry.kind, entry.key[:12], "damaged", "", "", where)
            continue
        record = entry.record
        what = record["what"]
        words = what.get("probe") or " ".join(str(what.get(k, {}).get("name", "")) for k in ("context", "weights") if isinstance(what.get(k), dict))
        count += 1
        table.add_row(entry.kind, entry.key[:12], words + (f" {record['result'].get('split', '')}" if entry.kind == "evaluation" else ""),
                      f"{record['made'].get('seconds', 0):.1f}", record["made"]["date"][:16], where)
    console.print(table)
    console.print(f"{count} results in {store.home} and committed studies", highlight=False, soft_wrap=True)


def run_keep(console: Console, paths: list[Path], out: Path, texts: bool) -> None:
    """Copy a study (several on the same data and weights as one) with its choices and training logs, and with ``texts`` its completions, to a folder that can be committed; weights stay behind."""
    from lab.live.shelf import combine
    from lab.report.items import disagreements, task_of
    from lab.report.write import write_report
    from lab.store import Store
    from lab.study import Study

    folders = [path if path.is_dir() else path.parent for path in paths]
    study, store = combine([Study.load(folder / "study.json") for folder in folders]), Store()
    out.mkdir(parents=True, exist_ok=True)
    shown = study if texts else study.redacted()
    shown.save(out / "study.json")
    write_report(shown, settings_of_decision(folders[0] / "decision.json"), out, disagreements(study, store, task_of(study)) if texts else None)
    kept = 0
    trials = [t for c in study.choices for t in c["trials"]]
    wanted = [("choice", c["key"]) for c in study.choices]
    wanted += [("adaptation", k) for k in [*(c.adaptation for c in study.cells), *(t["adaptation"] for t in trials)] if k]
    wanted += [("adaptation", start) for kind, key in list(wanted) if kind == "adaptation" and (entry := store.find(kind, key)) and (start := entry.record["what"]["start"])]
    if texts:
        completed = [*(k for c in study.cells for k in (c.evaluation, c.validation_evaluation)), *(t["evaluation"] for t in trials), *(p["evaluation"] for p in study.probes.values()), *(p.evaluation for p in study.probed)]
        wanted += [("evaluation", k) for k in completed if k]
    for kind, key in dict.fromkeys(wanted):
        entry = store.find(kind, key)
        # What another study in the same folder holds already is read from there.
        if entry is None or (entry.committed and entry.folder.resolve().is_relative_to(out.resolve().parent) and not entry.folder.resolve().is_relative_to(out.resolve())):
            continue
        target = out / "results" / kind / key
        target.mkdir(parents=True, exist_ok=True)
        if target.resolve() == entry.folder.resolve():
            continue
        for name in ("record.json", "completions.parquet"):
            if (entry.folder / name).exists():
                shutil.copyfile(entry.folder / name, target / name)
        kept += 1
    console.print(f"{out}: study and {kept} results, no weights", highlight=False, soft_wrap=True)


def settings_of_decision(path: Path):
    """The settings that a written decision was made with; the defaults where there is none."""
    from lab.decide import Settings

    return Settings(**json.loads(path.read_text(encoding="utf-8"))["settings"]) if path.exists() else Settings()


def run_prune(console: Console, **what: Any) -> None:
    """Remove and say how much was freed."""
    from lab.store import Store

    if not any(what.values()):
        raise LabError("lab prune: say what: --damaged, --weights, --older-than-days N or --everything")
    removed, freed = Store().prune(**what)
    console.print(f"removed {removed} results, freed {freed / 1e6:.1f} MB", highlight=False)
