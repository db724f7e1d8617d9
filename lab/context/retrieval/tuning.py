"""An embedder fine-tuned on a task's own training questions: sentence-transformers' trainer, in-batch negatives.

``tuned(tools, pairs, epochs)`` gives tools whose embedder has learned which passage answers which question; it is kept
in the cache under what it was made from, and made once.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from lab.context.base import Tools
from lab.context.retrieval.embedding import load_embedder
from lab.files import digest
from lab.schema import LabError, extra

BATCH = 64
RATES = {"static": 3e-2, "transformer": 2e-5}
"""Learning rates: of token embeddings without a network, and the usual one of sentence-transformers."""


def tuned(tools: Tools, pairs: Sequence[tuple[str, str]], epochs: int) -> tuple[Tools, float]:
    """(tools with the embedder trained on (question, passage that answers it), seconds that the training took).

    Raises LabError without pairs, and where the trainer's own package is missing.
    """
    if not pairs:
        raise LabError("tuned_rag: no training item names its evidence, so no passage is known to answer one")
    what = digest([tools.embedder.revision, [list(p) for p in pairs], epochs, BATCH, RATES])
    folder = (tools.cache or Path(".")) / "tuned" / what[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "tuning.json").exists():
            _train(tools, pairs, epochs, folder)
    seconds = json.loads((folder / "tuning.json").read_text(encoding="utf-8"))["seconds"]
    return replace(tools, embedder_name=str(folder)), seconds


def _train(tools: Tools, pairs: Sequence[tuple[str, str]], epochs: int, folder: Path) -> None:
    with extra("embedder", "tuned_rag"):
        from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.training_args import BatchSamplers

    # Loaded anew: the tools' own embedder stays as it is.
    # In float32: the smallest steps of a training are nothing in the half precision that embedders are kept in.
    model, started = load_embedder.__wrapped__(tools.embedder_name).model.float(), time.perf_counter()
    kind = "static" if type(model[0]).__name__ == "StaticEmbedding" else "transformer"
    shutil.rmtree(folder, ignore_errors=True)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=BATCH,
        learning_rate=RATES[kind],
        warmup_steps=1,
        seed=0,
        # A passage that answers two questions of a batch would be the wrong answer to both.
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        save_strategy="no",
        report_to=[],
        logging_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    rows = Dataset.from_dict({"anchor": [q for q, _ in pairs], "positive": [p for _, p in pairs]})
    loss = MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss).train()
    shutil.rmtree(folder / "trainer", ignore_errors=True)
    model.save_pretrained(str(folder), safe_serialization=True, create_model_card=False)
    told = {"pairs": len(pairs), "epochs": epochs, "seconds": time.perf_counter() - started}
    (folder / "tuning.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
