"""The notebooks as pages: which there are, their addresses, and the links that stand on top of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.schema import LabError

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"


@dataclass(frozen=True)
class Page:
    """One notebook."""

    name: str
    title: str
    says: str


PAGES = (
    Page("start", "Start", "what there is, and what lies in the store"),
    Page("decide", "Decide", "which method should this task take? Quality, cost, and what would change the verdict"),
    Page("your_task", "Your task", "drop a table and documents, look at the checks, save the task"),
    Page("retrieval", "Retrieval", "type a question, see what is found and what the model gets to read"),
    Page(
        "rank_and_data",
        "Rank and data",
        "the LoRA lab: rank, data size, learning rate, and how many directions the update needed",
    ),
    Page(
        "cost",
        "Cost",
        "what each arm costs at your prices, where two cost the same, and whether a model fits your memory",
    ),
    Page("forgetting", "Forgetting", "what a training took away, and which levers keep it"),
    Page("why_cheap", "Why cheap", "why fine-tuning costs so little beside pretraining, from this lab's own ledger"),
)
"""In the order of the navigation; a further notebook is one line here and one file in ``notebooks/``."""


def navigation(current: str) -> str:
    """Links to all pages as Markdown, the current one in bold."""
    return " · ".join(f"**{p.title}**" if p.name == current else f"[{p.title}]({address(p)})" for p in PAGES)


def address(page: Page) -> str:
    """The page's path on the server."""
    return "/" if page.name == "start" else f"/{page.name}"


def page_named(name: str) -> Page:
    """The page of this name; raises LabError listing those there are."""
    found = next((p for p in PAGES if p.name == name), None)
    if found is None:
        raise LabError(f"--page {name}: one of {', '.join(p.name for p in PAGES)}")
    return found


def notebook_file(page: Page) -> Path:
    """The page's file; raises LabError where the notebooks are not at hand."""
    path = NOTEBOOKS / f"{page.name}.py"
    if not path.exists():
        raise LabError(f"{path}: no such notebook; lab open needs a checkout of the project (pip install -e .)")
    return path
