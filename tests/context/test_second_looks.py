"""A cross-encoder's order of what was found, and an embedder that learned from the training questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder

from lab.context.base import Tools
from lab.context.passages import Passages
from lab.context.reranked_passages import RerankedPassages
from lab.context.retrieval.embedding import load_embedder
from lab.context.retrieval.reranking import load_reranker
from lab.context.retrieval.tuning import tuned
from lab.context.tuned_passages import TunedPassages
from lab.schema import Document, LabError, Sample
from tests.conftest import make_task

TASK = make_task(60)


@pytest.fixture
def tools(tmp_path, reranker):
    return Tools(cache=tmp_path / "vectors", reranker_name=reranker)


def test_the_order_is_the_cross_encoders(tools, reranker):
    context = RerankedPassages(k=3, mode="lexical", among=8)
    fitted, plain = (c.fit(TASK, tools) for c in (context, Passages(k=8, mode="lexical")))
    judge = CrossEncoder(reranker)
    moved = 0
    for sample in TASK.test[:6]:
        found = plain.build(sample).passages
        scores = judge.predict([(sample.input, p.text) for p in found])
        wanted = [found[n].id for n in np.argsort(-scores, kind="stable")[:3]]
        assert [p.id for p in fitted.build(sample).passages] == wanted
        moved += wanted != [p.id for p in found[:3]]
    assert moved, "a second look that changes nothing shows nothing"


def test_many_at_once_are_as_one_by_one(tools):
    context = RerankedPassages(k=2, mode="lexical", among=5)
    together, alone = context.fit(TASK, tools), context.fit(TASK, tools)
    together.prepare(list(TASK.test))
    for sample in TASK.test[:5]:
        assert together.build(sample).passages == alone.build(sample).passages
    assert together.searcher is None, "an index alone does not find these"


def test_the_key_knows_the_cross_encoder_and_controls_do_not(tools):
    context = RerankedPassages()
    assert context.digest_parts(TASK, tools)["reranker"] == load_reranker(tools.reranker_name).revision
    for mode in RerankedPassages.controls:
        assert "reranker" not in context.control(mode).digest_parts(TASK, Tools(cache=tools.cache))


def test_what_is_no_reranker_is_told(tmp_path, tools):
    with pytest.raises(LabError, match="rerank_rag needs a cross-encoder: --reranker FOLDER"):
        RerankedPassages().fit(TASK, Tools(cache=tools.cache))
    with pytest.raises(LabError, match="--reranker nowhere: no bundled reranker"):
        load_reranker("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError, match="no .safetensors weights in"):
        load_reranker(str(tmp_path / "empty"))


def code_names(count: int, seed: int):
    """Questions that call things by code names which no text explains but the training pairs."""
    rng = np.random.default_rng(seed)
    things = ["river", "castle", "engine", "violin", "garden", "harbour", "mirror", "candle"]
    codes = ["zulu", "oscar", "tango", "lima", "kilo", "quebec", "victor", "yankee"]
    documents = tuple(Document(f"d{n}", f"About the {t}: it stands in place number {n}.") for n, t in enumerate(things))
    drawn = [int(rng.integers(len(things))) for _ in range(count)]
    samples = tuple(
        Sample(f"s{seed}-{i}", f"Where is {codes[n]} now, report {i}?", f"place {n}", evidence=(f"d{n}",))
        for i, n in enumerate(drawn)
    )
    return documents, samples


def test_a_tuned_embedder_finds_what_the_words_do_not_say(tools):
    pytest.importorskip("datasets")
    documents, train = code_names(64, 1)
    _, test = code_names(24, 2)
    task = replace(TASK, train=train, test=test, documents=documents, validation=())
    context = TunedPassages(k=1, mode="dense", epochs=8)
    fitted, plain = context.fit(task, tools), Passages(k=1, mode="dense").fit(task, tools)

    def recall(of):
        of.prepare(list(test))
        return np.mean([of.build(s).passages[0].document_id == s.evidence[0] for s in test])

    before, after = recall(plain), recall(fitted)
    assert before < 0.5 and after > 0.9
    assert fitted.index_seconds > plain.index_seconds and fitted.searcher.tools.embedder_name != "embedder"
    # Made once, and the embedder that it began from stays as it was.
    folder = Path(fitted.searcher.tools.embedder_name)
    written = (folder / "tuning.json").stat().st_mtime_ns
    context.fit(task, tools)
    assert (folder / "tuning.json").stat().st_mtime_ns == written
    assert load_embedder("embedder").revision == load_embedder.__wrapped__("embedder").revision
    vectors = load_embedder("embedder").embed(["Where is zulu now?"])
    assert np.allclose(vectors, load_embedder.__wrapped__("embedder").embed(["Where is zulu now?"]))


def test_tuning_needs_known_evidence(tools):
    bare = replace(TASK, train=tuple(replace(s, evidence=()) for s in TASK.train), validation=())
    with pytest.raises(LabError, match="tuned_rag learns which document answers which question"):
        TunedPassages().require(bare)
    with pytest.raises(LabError, match="no training item names its evidence"):
        tuned(tools, [], 2)
    TunedPassages().require(TASK)


def test_data_size_and_draw_change_it():
    assert TunedPassages().uses_pool and not TunedPassages().control("oracle").uses_pool
    assert not TunedPassages().outline().uses_embedder
