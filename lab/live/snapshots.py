"""The notebooks as they stand now, one HTML file each: what ``lab share --notebooks`` writes.

marimo's export is no file that stands alone: it shows its text and charts with marimo's own scripts, which come from a
CDN, and its sliders move nothing. The reports are what is live and needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path

from lab.live.exporting import export
from lab.live.pages import PAGES, Page, notebook_file

FOLDER = "notebooks"
"""Within the site."""
SAYS = (
    "Snapshots: they need marimo's own files from its CDN to be seen, and their sliders move nothing. The reports "
    "above are live, offline as well."
)


def snapshots(
    site: Path, pages: Sequence[Page] = PAGES, tell: Callable[[str], None] = print
) -> list[tuple[str, str, str]]:
    """(title, address, what it is) of every notebook that was written to the site; why another was not is told."""
    written = []
    (site / FOLDER).mkdir(parents=True, exist_ok=True)
    for page in pages:
        out = site / FOLDER / f"{page.name}.html"
        trouble = _written(page, out)
        if trouble:
            # Of a page with an error marimo writes the rest.
            out.unlink(missing_ok=True)
            tell(f"{page.title}: left out ({trouble})")
        else:
            written.append((page.title, f"{FOLDER}/{out.name}", page.says))
    return written


def _written(page: Page, out: Path) -> str:
    """Write one; what is wrong with it, empty where nothing is."""
    notebook = notebook_file(page)
    out.unlink(missing_ok=True)
    trouble = export("html", notebook, out, "--no-include-code")
    if trouble or heading_of(out, notebook):
        return trouble
    return "what marimo wrote shows no heading"


def heading_of(out: Path, notebook: Path) -> str:
    """The heading that a written page shows and that its notebook says; empty where there is none: a page may come out
    empty and marimo end well."""
    shown = re.sub(r"\\u003[ce]", lambda m: {"c": "<", "e": ">"}[m[0][-1].lower()], out.read_text("utf-8"), flags=re.I)
    said = notebook.read_text(encoding="utf-8")
    texts = (unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in re.findall(r"<h1[^>]*>(.*?)</h1>", shown))
    return next((text for text in texts if text and text in said), "")
