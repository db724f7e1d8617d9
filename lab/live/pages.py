"""The notebooks as pages: which there are, their addresses, and the links that stand on top of each."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

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
    Page("start_your_own", "Start your own", "forty lines over the Python API, to copy and adapt in the editor"),
    Page("why_cheap", "Why cheap", "why fine-tuning costs so little beside pretraining, from this lab's own ledger"),
)
"""In the order of the navigation; a further notebook is one line here and one file in ``notebooks/``."""


SERVED = "LAB_SERVED"
"""In the environment of notebooks that ``lab open`` serves together; a notebook alone has no other page to link to."""
CARRIED = ("task", "model", "results", "size", "rank", "requests")
"""Of what an address says: what the next page asks for as well."""


def navigation(current: str, shown: Mapping[str, str] | None = None) -> str:
    """Links to all pages as HTML, the current one in bold; what is ``shown`` goes with them. Empty for a notebook that
    stands alone."""
    if SERVED not in os.environ:
        return ""
    query = {name: value for name, value in (shown or {}).items() if name in CARRIED}
    links = [
        f"<strong>{p.title}</strong>"
        if p.name == current
        else f'<a href="{html.escape(address(p, query))}">{p.title}</a>'
        for p in PAGES
    ]
    # On a phone the links scroll sideways, clear of marimo's own button.
    style = "display:flex;gap:.9rem;overflow-x:auto;white-space:nowrap;padding:.2rem 3.2rem .2rem 0"
    return f'<nav aria-label="Pages" style="{style}">{"".join(links)}</nav>'


def address(page: Page, query: Mapping[str, str] | None = None) -> str:
    """The page's path on the server, with a query where there is one."""
    path = "/" if page.name == "start" else f"/{page.name}"
    return f"{path}?{urlencode(query)}" if query else path


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
