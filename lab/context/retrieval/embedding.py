"""The embedder: any sentence-transformers folder or Hub id; vectors are cached on disk.

``load_embedder("embedder")`` is the lab's own; ``load_embedder("sentence-transformers/all-MiniLM-L6-v2")`` needs a
network once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lab.files import folder_revision, tell, write_whole
from lab.models.folders import find_folder, folder_of
from lab.models.getting import catalogue
from lab.schema import LabError, first_line

FEW = 16
"""Texts that are embedded anew rather than kept."""


class Embedder:
    """Texts to unit vectors."""

    def __init__(self, name: str, model, revision: str) -> None:
        self.name, self.model, self.revision = name, model, revision

    @property
    def vocabulary(self) -> int:
        """Tokens that it knows."""
        return len(self.model.tokenizer.get_vocab())

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self.model.get_embedding_dimension()

    def embed(self, texts: Sequence[str], cache: Path | None = None) -> np.ndarray:
        """(texts, width) float32 of unit length; taken from ``cache`` where the same texts were embedded before."""
        return self.timed(texts, cache)[0]

    def timed(self, texts: Sequence[str], cache: Path | None = None) -> tuple[np.ndarray, float]:
        """The vectors, and the seconds that embedding took (of cached ones: when they were made)."""
        if not texts:
            return np.zeros((0, self.width), np.float32), 0.0
        path = self._cached_at(texts, cache)
        if path is not None and path.exists() and (kept := _kept(path)) is not None:
            return kept
        started = time.perf_counter()
        vectors = self.model.encode(
            list(texts), batch_size=256, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        ).astype(np.float32)
        seconds = time.perf_counter() - started
        if path is not None:
            told = {"seconds": f"{seconds:.6f}", "sha256": _checksum(vectors)}
            write_whole(path, save({"vectors": vectors}, metadata=told))
        return vectors, seconds

    def forecast_seconds(self, texts: Sequence[str], cache: Path | None = None) -> float:
        """What embedding all of these would take, by what a few of them take; 0 where they are in ``cache``."""
        path = self._cached_at(texts, cache)
        if not texts or (path is not None and path.exists()):
            return 0.0
        some = [texts[i] for i in range(0, len(texts), max(1, len(texts) // FEW))][:FEW]
        self.embed(some[:1])
        seconds = self.timed(some)[1]
        return seconds * sum(map(len, texts)) / max(1, sum(map(len, some)))

    def _cached_at(self, texts: Sequence[str], cache: Path | None) -> Path | None:
        """Where vectors of these texts are kept; None where there is no cache, or they are too few for it."""
        if cache is None or len(texts) <= FEW:
            return None
        sha = hashlib.sha256(self.revision.encode())
        for text in texts:
            sha.update(hashlib.sha256(text.encode()).digest())
        return cache / f"{sha.hexdigest()}.safetensors"


def _checksum(vectors: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()


def _kept(path: Path) -> tuple[np.ndarray, float] | None:
    """The vectors of a cache file and the seconds that they took; None where it is damaged, which is told."""
    try:
        with safe_open(path, "numpy") as file:
            vectors, told = file.get_tensor("vectors"), file.metadata() or {}
        checksum = _checksum(vectors)
        if told.get("sha256", checksum) != checksum:
            raise ValueError("its checksum is another than when it was written")
        return vectors, float(told.get("seconds", 0.0))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        tell(f"{path}: damaged ({first_line(error)}); the texts are embedded again")
        if path.is_dir():
            path.rmdir()
        return None


@lru_cache(maxsize=4)
def load_embedder(name: str) -> Embedder:
    """The bundled embedder, a sentence-transformers folder or a Hub id; raises LabError where there is none."""
    from sentence_transformers import SentenceTransformer

    if name in catalogue() and not folder_of(name).is_dir():
        raise LabError(f"--embedder {name}: not here yet; bring it with: lab get {name}")
    folder = find_folder(name, "--embedder", "embedder")
    if not list(folder.rglob("*.safetensors")):
        raise LabError(f"--embedder {name}: no .safetensors weights in {folder}; pickle weights are not loaded")
    try:
        model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
    except Exception as error:
        raise LabError(f"--embedder {name}: can't be loaded: {first_line(error)}") from None
    revision = hashlib.sha256(
        "".join(folder_revision(p.parent) for p in sorted(folder.rglob("*.safetensors"))).encode()
    ).hexdigest()
    return Embedder(name, model, revision)
