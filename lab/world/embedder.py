"""Training of the bundled embedder: static token embeddings, sentence-transformers' own trainer and loss.

``lab train-embedder --text plain_english.txt.gz --out folder`` takes a few minutes on two cores.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from lab.context.retrieval.chunking import sentences
from lab.schema import LabError, extra
from lab.world.corpus import read_english
from lab.world.facts import SUBJECT_KINDS, ask, draw_facts, paragraph
from lab.world.names import NameMaker

VOCABULARY, WIDTH = 8192, 256
MOST_EPOCHS = 100


def pairs_from_english(texts: list[str], rng: random.Random) -> list[tuple[str, str]]:
    """(sentence, rest of its paragraph), (heading, what follows) and (crop, crop) pairs cut from plain text."""
    pairs = []
    for text in texts:
        blocks = [b.strip() for b in text.split("\n\n") if b.strip()]
        for block, following in zip(blocks, blocks[1:] + [""]):
            words = block.split()
            if len(words) <= 12 and len(following.split()) >= 20:
                pairs.append((" ".join(words), " ".join(following.split()[:150])))
            parts = sentences(block)
            if len(parts) >= 3:
                chosen = rng.randrange(len(parts))
                rest = " ".join(parts[:chosen] + parts[chosen + 1 :])
                if len(parts[chosen].split()) >= 5:
                    pairs.append((parts[chosen], " ".join(rest.split()[:150])))
            if len(words) >= 60:
                middle = len(words) // 2
                start = rng.randint(0, middle // 2)
                pairs.append(
                    (" ".join(words[start : start + rng.randint(10, 30)]), " ".join(words[middle : middle + 120]))
                )
                # A question shares a few content words with its text, seldom their order.
                content = [w for w in words if len(w) > 4]
                if len(content) >= 12:
                    pairs.append((" ".join(rng.sample(content, rng.randint(4, 9))), " ".join(words[:150])))
    return pairs


def pairs_from_world(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(question, passage that answers it) about invented entities."""
    names, pairs = NameMaker(rng, "corpus"), []
    for _ in range(count):
        facts = draw_facts(rng.choice(SUBJECT_KINDS), names, rng, rng.randint(2, 6))
        pairs.append((ask(rng.choice(facts), rng), paragraph(facts, rng)))
    return pairs


def train_embedder(
    text: Path | None, out: Path, seed: int = 1, epochs: int = 2, vocabulary: int = VOCABULARY, width: int = WIDTH
) -> dict:
    """Train, store in float16 safetensors, and return {pairs, seconds...} for the card.

    Raises LabError for a number of epochs that is none, and where the trainer's own package is missing.
    """
    import time

    if not 1 <= epochs <= MOST_EPOCHS:
        raise LabError(f"--epochs {epochs:,}: from 1 to {MOST_EPOCHS}")
    with extra("embedder", "training an embedder"):
        from datasets import Dataset

    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    started, rng = time.time(), random.Random(f"embedder {seed}")
    english, _ = read_english(text)
    pairs = pairs_from_english(english, rng) + pairs_from_world(rng, 20_000)
    rng.shuffle(pairs)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        (b for _, b in pairs),
        trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=["[UNK]", "[PAD]"], show_progress=False),
    )
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, 0.1, (tokenizer.get_vocab_size(), width)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(out.parent / "embedder-trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=1024,
        learning_rate=0.05,
        warmup_steps=20,
        seed=seed,
        save_strategy="no",
        report_to=[],
        logging_steps=50,
        use_cpu=True,
        disable_tqdm=True,
        dataloader_drop_last=True,
    )
    dataset = Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [b for _, b in pairs]})
    SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=dataset, loss=MultipleNegativesRankingLoss(model)
    ).train()
    model.save_pretrained(str(out), safe_serialization=True, create_model_card=False)
    for path in out.rglob("*.safetensors"):
        save_file({k: v.astype(np.float16) for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    record = {"pairs": len(pairs), "epochs": epochs, "seconds": round(time.time() - started), "seed": seed}
    (out / "training.json").write_text(json.dumps(record) + "\n")
    return record
