"""Shared parts: a tiny real model with a tokenizer, a store in a temporary folder, a small task."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers side by side, each with its own core's worth of threads, and what it starts too.
    os.environ.setdefault(
        "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
    )

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lab.models.device import machine
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.schema import Document, Sample
from lab.store import Store
from lab.tasks.task import Task

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def here():
    return machine("cpu")


@pytest.fixture(scope="session")
def nano(here) -> LocalModel:
    """The bundled base model."""
    return load_model("nano", here)


@pytest.fixture(scope="session")
def tiny(nano) -> LocalModel:
    """A random network of the bundled model's shape family, small enough to train in a second."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(nano.tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LocalModel("tiny", LlamaForCausalLM(config).eval(), nano.tokenizer, nano.machine, "tiny-revision")


@pytest.fixture(scope="session")
def reranker(tmp_path_factory) -> str:
    """Folder of a cross-encoder of random weights, in the layout of published ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("reranker")
    letters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(chr(c) for c in range(33, 127))]
    words = Tokenizer(models.BPE(vocab={t: n for n, t in enumerate(letters)}, merges=[], unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=128, **special).save_pretrained(folder)
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(
        vocab_size=len(letters), max_position_embeddings=128, num_labels=1, initializer_range=0.5, **sizes
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "home", committed=None)


def make_task(items: int = 40, documents: bool = True, scorer: str = "exact", **settings) -> Task:
    """Questions about invented people; document n holds the answer to items 2n and 2n + 1."""
    towns = ["Bridgend", "Oakley", "Marsham", "Tilbury"]
    samples = [
        Sample(
            f"s{i}",
            f"Where does person {i} live?",
            towns[(i // 2) % 4],
            group=f"g{i // 2}",
            evidence=(f"d{i // 2}",) if documents else (),
        )
        for i in range(items)
    ]
    texts = (
        tuple(
            Document(f"d{n}", f"Person {2 * n} and person {2 * n + 1} live in {towns[n % 4]}.")
            for n in range((items + 1) // 2)
        )
        if documents
        else ()
    )
    half, three_quarters = items // 2 // 2 * 2, items * 3 // 4 // 2 * 2
    return Task(
        "toy",
        "Answer the question.",
        scorer,
        tuple(samples[:half]),
        tuple(samples[half:three_quarters]),
        tuple(samples[three_quarters:]),
        texts,
        settings,
        "toy",
    )


@pytest.fixture
def toy() -> Task:
    return make_task()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; tests that need it are skipped elsewhere."""
    if not (SHARED / "data").is_dir():
        pytest.skip("../shared/data is not here: real data nobody here wrote stays outside the project")
    return SHARED
