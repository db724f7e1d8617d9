"""The reranker: any sentence-transformers cross-encoder, a folder or a Hub id; it reads query and text together.

``load_reranker("cross-encoder/ms-marco-MiniLM-L6-v2").orders(questions, texts_of_each)`` gives places, best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lab.files import folder_revision
from lab.models.folders import find_folder
from lab.schema import LabError, first_line


class Reranker:
    """A cross-encoder by its revision."""

    def __init__(self, model, revision: str) -> None:
        self.model, self.revision = model, revision

    def orders(self, queries: Sequence[str], texts: Sequence[Sequence[str]]) -> list[list[int]]:
        """Of each query the places of its texts, the best first; ties keep their order."""
        pairs = [(query, text) for query, some in zip(queries, texts) for text in some]
        if not pairs:
            return [[] for _ in queries]
        scores = iter(self.model.predict(pairs, batch_size=64, show_progress_bar=False).tolist())
        of_each = [[next(scores) for _ in some] for some in texts]
        return [sorted(range(len(told)), key=lambda n: -told[n]) for told in of_each]


@lru_cache(maxsize=2)
def load_reranker(name: str) -> Reranker:
    """A cross-encoder of one score a pair; raises LabError where there is none, or it is another kind of model."""
    from sentence_transformers import CrossEncoder

    if not name:
        raise LabError(
            "rerank_rag needs a cross-encoder: --reranker FOLDER, or a Hub id such as those of cross-encoder/"
        )
    folder = find_folder(name, "--reranker", "none")
    if not list(folder.glob("*.safetensors")):
        raise LabError(f"--reranker {name}: no .safetensors weights in {folder}; pickle weights are not loaded")
    try:
        model = CrossEncoder(str(folder), device="cpu", trust_remote_code=False)
    except Exception as error:
        raise LabError(f"--reranker {name}: can't be loaded: {first_line(error)}") from None
    if model.num_labels != 1:
        raise LabError(f"--reranker {name}: gives {model.num_labels} scores a pair; one that ranks gives one")
    return Reranker(model, folder_revision(folder))
