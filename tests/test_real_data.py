"""Real data and a real foreign model, where ``../shared/data`` is at hand (skipped elsewhere)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from lab.context.base import Tools
from lab.context.retrieval.chunking import chunk_documents
from lab.context.retrieval.search import Searcher, recall_at
from lab.models.loading import load_model
from lab.schema import Decoding, Prompt
from lab.tasks.check import check_task
from lab.tasks.documents import read_document_folder
from lab.tasks.importing import import_task
from lab.weights.base import TrainingData
from lab.weights.lora import Lora
from lab.weights.training import encode_pairs, validate

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """The files as ``reports/real_data/prepare.py`` writes them."""
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "reports" / "real_data" / "prepare.py")
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    out = tmp_path_factory.mktemp("real")
    prepare.main(shared / "data", out)
    return out


def test_the_known_leaks_are_found(real):
    """The data's README: two test texts of clinc150 stand in train, nine of snips in lower case."""
    clinc = import_task(
        str(real / "clinc150" / "train.jsonl"),
        name="c",
        test_source=str(real / "clinc150" / "test.jsonl"),
        validation_source=str(real / "clinc150" / "validation.jsonl"),
    ).task
    snips = import_task(
        str(real / "snips" / "train.jsonl"), name="s", test_source=str(real / "snips" / "test.jsonl")
    ).task
    for task, least in ((clinc, 2), (snips, 9)):
        leaks = next(f for f in check_task(task) if f.kind == "leak")
        exact = {s.input.strip().lower() for s in task.labelled}
        known = {s.id for s in task.test if s.input.strip().lower() in exact}
        assert len(known) >= least and known <= set(leaks.ids)
    assert (clinc.scorer, snips.scorer) == ("label", "json")


def test_the_embedder_finds_abstracts(real):
    task = import_task(
        str(real / "pubmedqa" / "train.jsonl"),
        name="p",
        test_source=str(real / "pubmedqa" / "test.jsonl"),
        documents=real / "pubmedqa" / "documents",
        scorer="label",
    ).task
    samples = [*task.labelled, *task.test]
    texts, ids = [d.text for d in task.documents], [d.id for d in task.documents]
    recall = {}
    for mode in ("dense", "hybrid"):
        found = [
            [ids[i] for i, _ in hits] for hits in Searcher(texts, mode, Tools()).search([s.input for s in samples], 5)
        ]
        recall[mode] = recall_at(found, [s.evidence for s in samples], 5)
    assert recall["dense"] >= 0.80 and recall["hybrid"] >= 0.92


def test_a_real_handbook_is_chunked_and_searched(shared):
    documents = read_document_folder(shared / "data" / "handbook_18f")
    passages = chunk_documents(documents, 120, 20)
    assert len(documents) == 230 and len(passages) > 1000
    titled = [d for d in documents if len(d.title.split()) >= 2][:60]
    found = Searcher([p.text for p in passages], "hybrid", Tools()).search([d.title for d in titled], 5)
    assert recall_at([[passages[i].document_id for i, _ in hits] for hits in found], [[d.id] for d in titled], 5) > 0.7


def test_a_model_made_elsewhere_adapts_and_completes(shared, here, tmp_path):
    model = load_model(str(shared / "data" / "stories260K"), here)
    prompts = [Prompt("", text) for text in ("Once upon a time", "The little dog")]
    for prompt, made in zip(prompts, model.complete([("a", prompts[0]), ("b", prompts[1])], Decoding(12, ""))):
        ids = torch.tensor([model.tokenizer(model.render(prompt))["input_ids"]])
        plain = model.network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
        assert made.text == model.tokenizer.decode(plain[0, ids.shape[1] :], skip_special_tokens=True).strip()
    pairs = tuple((Prompt("", f"say {w}"), w) for w in ("dog", "cat", "sun", "tree") * 4)
    log = Lora(rank=4, learning_rate=2e-2, minimum_steps=40).adapt(
        model, TrainingData(pairs, pairs[:4]), tmp_path, 0, lambda *a: None
    )
    _, untrained = validate(model.network, encode_pairs(model, pairs[:4]), 0, "cpu")
    assert log.validation_nll < 0.5 * untrained
    assert Lora(rank=4).apply(model, tmp_path).text_nll(["The dog"])[0][0] != model.text_nll(["The dog"])[0][0]
