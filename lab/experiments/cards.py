"""Cards of the bundled model and embedder: every number measured by the command that the card names."""

from __future__ import annotations

import json
import math
from pathlib import Path

from lab.context.base import Tools
from lab.context.retrieval.search import Searcher, recall_at
from lab.files import read_jsonl
from lab.flow.probing import Prober, abilities
from lab.models.folders import folder_of
from lab.models.local import LocalModel
from lab.report.rendering import template
from lab.schema import LabError
from lab.store import Store
from lab.world.corpus import CORPUS_VERSION, HELD_OUT_ENGLISH, MIX, read_english
from lab.world.probes import CARD


def bits_a_character(model: LocalModel, texts: list[str], characters: int = 2000, most: int = 200) -> tuple[float, int]:
    """(bits a character, characters) of the beginnings of held-out texts, each within the window."""
    pieces = [t[:characters] for t in texts][:most]
    nats = sum(n for n, _, _ in model.text_nll(pieces))
    seen = sum(len(model.within_window(piece)) for piece in pieces)
    return nats / math.log(2) / seen, seen


def write_model_card(model: LocalModel, folder: Path, text: Path | None, store: Store, out: Path) -> Path:
    """Measure and write the card of a pretrained model folder; raises LabError where it has no pretraining record."""
    record = folder / "pretraining.json"
    if not record.exists():
        raise LabError(f"{folder}: no pretraining.json; lab card is for models made by lab pretrain")
    made = json.loads(record.read_text())
    english = None
    if text:
        _, held = read_english(text)
        bits, characters = bits_a_character(model, held)
        english = {"bits": bits, "characters": characters, "documents": len(held)}
    card = template("lab.experiments", "model_card.md").render(
        name=folder.name,
        made=made,
        abilities=abilities(Prober(model, store), CARD),
        english=english,
        mix=MIX,
        corpus_version=CORPUS_VERSION,
        held_out_english=HELD_OUT_ENGLISH,
    )
    out.write_text(card, encoding="utf-8")
    return out


def write_embedder_card(name: str, queries: Path, out: Path) -> Path:
    """Recall of question -> its own text among all texts of the folder's JSONL files, dense, lexical and hybrid."""
    rows = [row for file in sorted(queries.glob("*.jsonl")) for _, row in read_jsonl(file)]
    if not rows or not {"question", "context"} <= set(rows[0]):
        raise LabError(f"{queries}: JSONL files with the fields question and context are needed")
    texts, asked = [r["context"] for r in rows], [r["question"] for r in rows]
    gold, tools, found = [[str(i)] for i in range(len(rows))], Tools(name), []
    for mode, says in (
        ("dense", "this embedder through FAISS"),
        ("lexical", "BM25"),
        ("hybrid", "reciprocal rank fusion of both"),
    ):
        hits = [[str(i) for i, _ in h] for h in Searcher(texts, mode, tools).search(asked, 5)]
        found.append({"mode": mode, "says": says, "first": recall_at(hits, gold, 1), "five": recall_at(hits, gold, 5)})
    record = folder_of(name) / "training.json"
    card = template("lab.experiments", "embedder_card.md").render(
        vocabulary=tools.embedder.vocabulary,
        width=tools.embedder.width,
        megabytes=sum(p.stat().st_size for p in out.parent.glob("*.safetensors")) / 1e6,
        trained=json.loads(record.read_text()) if record.exists() else None,
        queries=queries.name,
        texts=len(rows),
        rows=found,
    )
    out.write_text(card, encoding="utf-8")
    return out
