"""A mirror of what a page with Pyodide asks the internet for, made of npm and PyPI alone.

``python -m tests.browser.pyodide_mirror FOLDER`` writes it; with ``LAB_PYODIDE_MIRROR=FOLDER`` in the environment
``tests/browser/test_shared.py`` answers the page from it. Pyodide's own build of two packages (PyYAML and MarkupSafe)
is on neither: their own Python code, which both have beside their C, stands in.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from marimo._pyodide.pyodide_constraints import PYODIDE_VERSION
from marimo._version import __version__

from lab.live.wheels import wheel_of

LOCK = "pyodide-lock.json"
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", LOCK)
PURE = (
    f"marimo-base=={__version__}",
    "markdown<4",
    "pymdown-extensions<12",
    "narwhals",
    "packaging",
    "micropip==0.11.1",
    "docutils<0.23",
    "pygments<3",
    "jedi<0.21",
    "parso",
    "pyodide-http",
    "jinja2",
    "itsdangerous",
    "tomlkit",
    "python-multipart",
)
COMPILED = ("msgspec==0.22.0",)
WITHOUT_C = {"pyyaml==6.0.3": "lib/yaml", "markupsafe==3.0.3": "src/markupsafe"}
"""Source packages, and where in them the Python code lies."""
NEEDS = {
    "marimo-base": "jedi markdown pymdown-extensions pygments tomlkit pyyaml python-multipart docutils itsdangerous "
    "narwhals packaging msgspec",
    "pymdown-extensions": "markdown pyyaml",
    "jedi": "parso",
    "jinja2": "markupsafe",
}


def make(folder: Path) -> None:
    """Write the mirror: Pyodide's files, the wheels, and a lock file that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        here = Path(made)
        subprocess.run(["npm", "pack", f"pyodide@{PYODIDE_VERSION}"], cwd=here, check=True, capture_output=True)
        with tarfile.open(next(here.glob("pyodide-*.tgz"))) as packed:
            packed.extractall(here, filter="data")
        for name in CORE:
            shutil.copyfile(here / "package" / name, folder / name)
        python = ("--python-version", "3.14", "--implementation", "cp", "--abi", "cp314")
        _download(folder, "--only-binary=:all:", *python[:2], *PURE)
        _download(folder, "--only-binary=:all:", *python, "--platform", "pyemscripten_2026_0_wasm32", *COMPILED)
        _download(here, "--no-binary=:all:", *WITHOUT_C)
        for wanted, place in WITHOUT_C.items():
            name, version = wanted.split("==")
            with tarfile.open(next(here.glob(f"{name}-*.tar.gz"))) as packed:
                packed.extractall(here, filter="data")
            top = here / f"{name}-{version}" / place
            kept = {f"{top.name}/{p.relative_to(top).as_posix()}": p.read_bytes() for p in top.rglob("*.py")}
            (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(wheel_of(name, version, kept))
    info = json.loads((folder / LOCK).read_text())["info"]
    packages = {_name(p): _entry(p) for p in folder.glob("*.whl")}
    (folder / LOCK).write_text(json.dumps({"info": info, "packages": packages}))


def _download(folder: Path, *what: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *what]
    subprocess.run(command, check=True)


def _name(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def _entry(wheel: Path) -> dict:
    name = _name(wheel)
    with zipfile.ZipFile(wheel) as archive:
        tops = {n.split("/")[0].removesuffix(".py") for n in archive.namelist() if n.endswith(".py")}
    return {
        "depends": NEEDS.get(name, "").split(),
        "file_name": wheel.name,
        "imports": sorted(tops),
        "install_dir": "site",
        "name": name,
        "package_type": "package",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "unvendored_tests": False,
        "version": wheel.name.split("-")[1],
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]))
