"""How long a notebook's page takes to its first chart and how smoothly a slider is dragged, in a real browser.

``PYTHONPATH=. python reports/benchmarks/pages.py [--results N]`` starts ``lab open`` beside the committed studies, on a
LAB_HOME that is empty or holds N stored results, and opens each page once cold and five times warm (the browser's cache
kept, as a person's is); run it on a quiet machine. How long a single move of a slider takes is printed by
``pytest -s tests/browser/test_notebooks.py -k reaches_verdict``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import serving

PAGES = {
    "decide": "task=triage&model=nano&size=400",
    "cost": "task=triage&model=nano",
    "forgetting": "task=triage&model=nano",
    "rank_and_data": "task=triage&model=nano",
}
RUNS = 5
MOVES, BETWEEN_MS = 60, 50
"""How a slider is dragged: so many moves, so far apart."""
FRAMES = """
window.frames_at = [];
const frame = (now) => { window.frames_at.push(now); requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""


def main() -> None:
    """Print one line a page, and one for a slider that is dragged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=0, help="stored results that LAB_HOME begins with")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    fill(folder / "home", asked.results)
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
        page.add_init_script(FRAMES)
        page.goto(at("/decide").replace("?", f"?{PAGES['decide']}&"))
        page.locator("canvas").first.wait_for(timeout=60_000)
        page.wait_for_timeout(5000)
        print(f"decide: {dragged(page)}", flush=True)
        began = time.monotonic()
        page.goto(at("/"))
        page.get_by_role("button", name="In the store").click(timeout=60_000)
        page.get_by_text("evaluation", exact=True).first.wait_for(timeout=60_000)
        print(f"start: what is in the store is read {time.monotonic() - began:.1f} s after the page was asked for")
        browser.close()


def fill(home: Path, count: int) -> None:
    """So many records of evaluations, as a store that was used for long holds them."""
    what = {"kind": "evaluation", "context": {"name": "none"}, "items": "i"}
    made = {"date": "2026-11-27T10:00:00", "seconds": 1.5}
    for n in range(count):
        folder = home / "results" / "evaluation" / f"{n:064x}"
        folder.mkdir(parents=True)
        record = {"key": folder.name, "kind": "evaluation", "what": what, "made": made, "result": {"split": "test"}}
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


def dragged(page: Page) -> str:
    """What the frames say while the margin's slider is dragged to and fro."""
    page.locator("marimo-slider", has_text="Margin").get_by_role("slider").filter(visible=True).focus()
    page.evaluate("window.frames_at = []")
    for move in range(MOVES):
        page.keyboard.press("ArrowRight" if move % 20 < 10 else "ArrowLeft")
        page.wait_for_timeout(BETWEEN_MS)
    times = page.evaluate("window.frames_at")
    waits = sorted(b - a for a, b in zip(times, times[1:]))
    return (
        f"{MOVES} moves of the margin, {BETWEEN_MS} ms apart: {len(waits)} frames, median "
        f"{statistics.median(waits):.0f} ms, 95 % within {waits[int(0.95 * len(waits))]:.0f} ms, "
        f"the longest {waits[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
