"""What a shell offers behind ``lab ... <Tab>``: names and folders, found without loading anything heavy.

``methods("lora,ra")`` -> ["lora,rag", "lora,rag_lora", ...]; where nothing fits, the shell offers files as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

TASK_FILE = "task.toml"
REPORT_FILES = ("report.html", "study.json")


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Completion of a closed list."""

    def offered(incomplete: str) -> list[str]:
        return _fitting(values, incomplete)

    return offered


def tasks(incomplete: str) -> list[str]:
    """Task folders here, in ``datasets/``, and in the folder that is being typed."""
    return _folders(incomplete, ("datasets",), (TASK_FILE,))


def reports(incomplete: str) -> list[str]:
    """Folders with a report or a study here, in ``lab-reports/`` and ``reports/``, and in the one being typed."""
    return _folders(incomplete, ("lab-reports", "reports"), REPORT_FILES)


def methods(incomplete: str) -> list[str]:
    """Methods behind those that stand there already; combined ones once something is typed."""
    from lab.flow.names import method_names, plain_names

    given, comma, last = incomplete.rpartition(",")
    known = method_names() if last else plain_names()
    taken = {name.strip() for name in given.split(",")}
    return [f"{given}{comma}{name}" for name in _fitting(known, last) if name not in taken]


def models(incomplete: str) -> list[str]:
    """Models that are here by name: bundled ones and those that ``lab get`` brought."""
    from lab.models.folders import brought_models, bundled_models

    return _fitting([*bundled_models(), *brought_models()], incomplete)


def embedders(incomplete: str) -> list[str]:
    """The lab's own embedder and those that ``lab get`` brought."""
    from lab.models.getting import catalogue

    brought = (k.name for k in catalogue().values() if k.kind == "embedder" and k.folder.is_dir())
    return _fitting(["embedder", *brought], incomplete)


def known(incomplete: str) -> list[str]:
    """What ``lab get`` can bring."""
    from lab.models.getting import catalogue

    return _fitting(catalogue(), incomplete)


def pages(incomplete: str) -> list[str]:
    """The notebooks' pages."""
    from lab.live.pages import PAGES

    return _fitting((page.name for page in PAGES), incomplete)


def prices(incomplete: str) -> list[str]:
    """Names of the price table."""
    from lab.measure.prices import read_prices

    return _fitting((price.name for price in read_prices(None)), incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _folders(incomplete: str, usual: tuple[str, ...], files: tuple[str, ...]) -> list[str]:
    """Folders that hold one of the files: below the folder that is being typed, and below the usual ones."""
    typed, slash, _ = incomplete.rpartition("/")
    places = dict.fromkeys([typed + slash, *(f"{name}/" for name in usual)])
    found = [f"{place}{folder.name}" for place in places for folder in _below(Path(place)) if _holds(folder, files)]
    return _fitting(found, incomplete)


def _below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _holds(folder: Path, files: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in files)
