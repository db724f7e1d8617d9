"""Cards of the bundled model and embedder: every number measured by the command that the card names."""

from __future__ import annotations

import json
import math
from pathlib import Path

from lab.abilities import abilities
from lab.context.base import Tools
from lab.context.retrieval.search import Searcher, recall_at
from lab.models.local import LocalModel, folder_of
from lab.schema import LabError
from lab.store import Store
from lab.tasks.task import read_jsonl
from lab.world.corpus import CORPUS_VERSION, HELD_OUT_ENGLISH, MIX, read_english
from lab.world.probes import CARD


def bits_a_character(model: LocalModel, texts: list[str], characters: int = 2000, most: int = 200) -> tuple[float, int]:
    """(bits a character, characters) of the beginnings of held-out texts, each within the window."""
    pieces = [t[:characters] for t in texts][:most]
    nats = sum(n for n, _, _ in model.text_nll(pieces))
    seen = 0
    for piece in pieces:
        ids = model.tokenizer(piece)["input_ids"][:model.window]
        seen += len(model.tokenizer.decode(ids, skip_special_tokens=True))
    return nats / math.log(2) / seen, seen


def write_model_card(model: LocalModel, folder: Path, text: Path | None, store: Store, out: Path) -> Path:
    """Measure and write the card of a pretrained model folder; raises LabError where it has no pretraining record."""
    record = folder / "pretraining.json"
    if not record.exists():
        raise LabError(f"{folder}: no pretraining.json; lab card is for models made by lab pretrain")
    made = json.loads(record.read_text())
    rows = [f"| {name} | {p['says']} | {p['accuracy']:.3f} | {p['low']:.3f} to {p['high']:.3f} | {p['items']} |" for name, p in abilities(model, store, CARD).items()]
    english = ""
    if text:
        _, held = read_english(text)
        bits, seen = bits_a_character(model, held)
        english = f"Held-out real English: {bits:.3f} bits a character over {seen:,} characters ({len(held)} documents of the text, every {HELD_OUT_ENGLISH}th, kept out of the corpus).\n"
    mix = ", ".join(f"{k.replace('_', ' ')} {100 * v:.0f} %" for k, v in MIX.items())
    machine = made["machine"]
    stretches = "; ".join(f"from step {s['from_step']:,}: corpus version {s['corpus']}, planned to {s['tokens_planned'] / 1e6:g}M tokens" for s in made["stretches"])
    again = f"`lab pretrain --text plain_english.txt.gz --work FOLDER --tokens {made['config']['tokens'] / 1e6:g}`"
    again += " makes its like in one stretch; this one was made in the stretches above." if len(made["stretches"]) > 1 \
        else " (same seed and text; floating-point sums differ a little between machines)."
    card = f"""# {folder.name}

A small base model made by `lab pretrain`, whose past is fully known: the calibration weight of the lab, not a model for real work.

| | |
|---|---|
| architecture | Llama type, {made['config']['layers']} layers, width {made['config']['hidden']}, {made['config']['heads']} heads, window {made['config']['window']} |
| parameters | {made['parameters']:,} ({made['parameters_without_embeddings']:,} without embeddings), stored in bf16 |
| tokenizer | byte-level BPE, {made['config']['vocabulary']:,} tokens, digits one by one |
| trained on | {made['tokens']:,} tokens in {made['steps']:,} steps, seed {made['config']['seed']} |
| compute | {made['flops']:.3g} FLOPs (6 N D, N without embeddings), {made['seconds']:,} s by the clock, pauses included; median {made['median_tokens_per_second']:,} tokens/s |
| stretches | {stretches} |
| machine | {machine['name']}, {machine['dtype']}, {machine['threads']} threads{made.get('remark', '')} |
| real English | SHA-256 of the file {made['text_sha256']} |

Corpus (version {CORPUS_VERSION}), by share of tokens: {mix}. The real English is plain text of the United States government (CC0 1.0); the text itself is not in this repository.

## What it can do

Measured by `lab card --model {folder.name}{' --text plain_english.txt.gz' if text else ''}`: greedy, exact match, Wilson 95 % intervals. Entities and wordings of the probes never occur in pretraining;
public facts were stated in pretraining, but the questions asked here never were.

| probe | what is asked | right | 95 % interval | items |
|---|---|---|---|---|
{chr(10).join(rows)}

{english}
Made again: {again}
"""
    out.write_text(card, encoding="utf-8")
    return out


def write_embedder_card(name: str, queries: Path, out: Path) -> Path:
    """Recall of question -> its own text among all texts of the folder's JSONL files, dense, lexical and hybrid."""
    rows = [row for file in sorted(queries.glob("*.jsonl")) for _, row in read_jsonl(file)]
    if not rows or not {"question", "context"} <= set(rows[0]):
        raise LabError(f"{queries}: JSONL files with the fields question and context are needed")
    texts, asked = [r["context"] for r in rows], [r["question"] for r in rows]
    gold, tools, lines = [[str(i)] for i in range(len(rows))], Tools(name), []
    for mode, says in (("dense", "this embedder through FAISS"), ("lexical", "BM25"), ("hybrid", "reciprocal rank fusion of both")):
        found = [[str(i) for i, _ in hits] for hits in Searcher(texts, mode, tools).search(asked, 5)]
        lines.append(f"| {mode} ({says}) | {recall_at(found, gold, 1):.3f} | {recall_at(found, gold, 5):.3f} |")
    embedder, record = tools.embedder, folder_of(name) / "training.json"
    trained = json.loads(record.read_text()) if record.exists() else None
    cost = f"on {trained['pairs']:,} pairs" if trained else "on pairs"
    spent = f": {trained['epochs']} epochs, {trained['seconds']} s{trained.get('remark', '')}" if trained else ""
    size = sum(p.stat().st_size for p in Path(out.parent).glob("*.safetensors"))
    out.write_text(f"""# embedder

Static token embeddings ({len(embedder.model.tokenizer.get_vocab()):,} x {embedder.model.get_embedding_dimension()}, float16, {size / 1e6:.1f} MB) trained by `lab train-embedder --text plain_english.txt.gz --out FOLDER`
with sentence-transformers' trainer and MultipleNegativesRankingLoss {cost} (a sentence and the rest of its paragraph, a heading and what follows, two crops of one paragraph,
words of a paragraph and the paragraph, and questions and passages of the generated world){spent}.

## Recall on text it was not trained on

Measured by `lab embedder-card FOLDER` on {queries.name}: a question finds its own abstract among {len(rows):,}.

| search | recall@1 | recall@5 |
|---|---|---|
{chr(10).join(lines)}

Lexical search is better on this foreign text, which is why the retrieval mode is chosen on validation. For real work with a network, take a larger model:
`--embedder sentence-transformers/all-MiniLM-L6-v2`.
""", encoding="utf-8")
    return out
