"""How long a notebook's page takes to its first chart, in a real browser.

``PYTHONPATH=. python reports/benchmarks/pages.py`` starts ``lab open`` on an empty LAB_HOME beside the committed
studies and opens each page once cold and five times warm (the browser's cache kept, as a person's is); run it on a
quiet machine. How long sliders take is printed by ``pytest -s tests/browser/test_notebooks.py -k reaches_verdict``.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import serving

PAGES = {
    "decide": "task=triage&model=nano&size=400",
    "cost": "task=triage&model=nano",
    "forgetting": "task=triage&model=nano",
    "rank_and_data": "task=triage&model=nano",
}
RUNS = 5


def main() -> None:
    """Print one line a page."""
    folder = Path(tempfile.mkdtemp())
    with serving(folder, {}) as at, sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        for name, query in PAGES.items():
            seconds = []
            for _ in range(RUNS + 1):
                began = time.monotonic()
                page.goto(at(f"/{name}").replace("?", f"?{query}&"))
                page.locator("canvas").first.wait_for(timeout=60_000)
                seconds.append(time.monotonic() - began)
                page.wait_for_timeout(2000)
            warm = statistics.median(seconds[1:])
            print(
                f"{name}: to the first chart {seconds[0]:.1f} s cold, {warm:.1f} s warm (median of {RUNS})", flush=True
            )
        browser.close()


if __name__ == "__main__":
    main()
