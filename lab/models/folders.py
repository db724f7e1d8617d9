"""Where a model or embedder lies: a bundled name, a folder of the user's or a Hub id; nothing here loads torch.

``find_folder("nano", "--model")`` gives the folder, fetched from the Hub where the name is an id.
"""

from __future__ import annotations

from pathlib import Path

from lab.files import lab_home
from lab.schema import LabError, first_line

BUNDLED = Path(__file__).parent / "bundled"
FROM_THE_HUB = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def bundled_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob("*/pretraining.json"))


def folder_of(name: str) -> Path:
    """The folder of a bundled model or embedder or of one that ``lab get`` brought, else the name as a path."""
    brought = lab_home() / "models" / name
    plain = Path(name).name == name
    if plain and (BUNDLED / name).is_dir():
        return BUNDLED / name
    return brought if plain and not Path(name).is_dir() and brought.is_dir() else Path(name)


def brought_models() -> list[str]:
    """Names of the models that ``lab get`` brought."""
    return sorted(p.parent.name for p in (lab_home() / "models").glob("*/config.json") if _completes(p))


def _completes(config: Path) -> bool:
    """Whether a configuration is a language model's, not an embedder's."""
    return not (config.parent / "modules.json").exists()


def find_folder(name: str, option: str, bundled: str) -> Path:
    """The folder that a name stands for; raises LabError for an unknown one, naming what is ``bundled``."""
    folder = folder_of(name)
    if folder.is_dir():
        return folder
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return hub_folder(name, option)
    kind = option.removeprefix("--")
    raise LabError(f"{option} {name}: no bundled {kind} (there are {bundled}), no folder, and no Hub id (owner/name)")


def hub_folder(name: str, option: str) -> Path:
    """The local snapshot of a Hub repository: safetensors, tokenizer and configuration only;
    raises LabError where it can't be had."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(FROM_THE_HUB)))
    except Exception as error:
        raise LabError(f"{option} {name}: can't be had from the Hub: {first_line(error)}") from None


def require_loadable(folder: Path) -> None:
    """Raise LabError where a model folder lacks config, tokenizer or safetensors weights."""
    if not (folder / "config.json").exists():
        raise LabError(f"{folder}: no config.json; a model folder in the transformers format is needed")
    if not any((folder / f).exists() for f in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise LabError(
            f"{folder}: no tokenizer (tokenizer.json); save it there with tokenizer.save_pretrained('{folder}')"
        )
    if not list(folder.glob("*.safetensors")):
        pickles = [p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        if pickles:
            raise LabError(
                f"{folder}: only pickle weights ({pickles[0]}), which can run code when loaded; convert them with "
                "save_pretrained(..., safe_serialization=True)"
            )
        raise LabError(f"{folder}: no .safetensors weights in it")
