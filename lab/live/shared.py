"""*Decide* over one study as a folder that any host serves, its sliders live in the reader's browser.

``lab share SITE --live reports/triage`` writes ``SITE/live/triage/``: the notebook ``shared_decide``, the scenes of the
study and a wheel of the lab, exported by ``marimo export html-wasm``. Python itself and its packages come from the
addresses that marimo uses.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lab.files import folder_name, write_whole
from lab.live.exporting import export
from lab.live.pages import NOTEBOOKS
from lab.live.scenes import Scenes
from lab.live.wheels import FILE, lab_wheel
from lab.schema import LabError, extra
from lab.study import Study

FOLDER = "live"
"""Within the site."""
NOTEBOOK = "shared_decide.py"
SAYS = (
    "Live in the browser: Python (Pyodide) comes from cdn.jsdelivr.net, the list of its packages from wasm.marimo.app, "
    "what is not among them from PyPI: the addresses that marimo uses. Serve the site over HTTP; opened as a file "
    "these pages stay empty."
)


def share_live(site: Path, report: Path) -> tuple[str, str, str]:
    """Write one study's page into the site: (title, address, what it is); raises LabError where there is no study, or
    marimo can't export."""
    study = Study.load(report)
    notebook = NOTEBOOKS / NOTEBOOK
    if not notebook.exists():
        raise LabError(f"{notebook}: no such notebook; --live needs a checkout of the project (pip install -e .)")
    uv = uv_at_hand()
    name = folder_name(report.resolve().name)
    out = site / FOLDER / name
    carried = {f"public/{FILE}": lab_wheel(), "public/scenes.json": Scenes.of(study).written()}
    with tempfile.TemporaryDirectory() as made:
        # marimo takes the folder public/ along that lies beside a notebook.
        shutil.copyfile(notebook, Path(made) / NOTEBOOK)
        for file, data in carried.items():
            write_whole(Path(made) / file, data)
        trouble = export("html-wasm", Path(made) / NOTEBOOK, out, "--mode", "run", surroundings={"UV": uv})
    # Ending well proves nothing, and files of an earlier export may lie there.
    arrived = all((out / file).is_file() and (out / file).read_bytes() == data for file, data in carried.items())
    if trouble or not arrived or not (out / "index.html").is_file():
        raise LabError(f"--live {report}: marimo could not export it: {trouble or 'files are missing'}")
    # marimo's word to coding agents, which has no place on a published site.
    (out / "CLAUDE.md").unlink(missing_ok=True)
    says = f"which method should {study.task['name']} with {study.model['name']} take?"
    return name, f"{FOLDER}/{name}/index.html", says


def uv_at_hand() -> str:
    """Where uv is, by which marimo looks for further files of a notebook; raises LabError where it is not."""
    found = os.environ.get("UV") or shutil.which("uv")
    if found is None:
        # In an environment that is not activated it lies off the path.
        with extra("share", "lab share --live"):
            from uv import find_uv_bin

        found = find_uv_bin()
    return found
