"""Chunking, FAISS, BM25 and fusion against brute force and hand-made cases."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.context.base import Tools
from lab.context.examples import NearestExamples
from lab.context.passages import Passages
from lab.context.retrieval.chunking import chunk_document, count, sentences
from lab.context.retrieval.embedding import load_embedder
from lab.context.retrieval.search import DenseIndex, LexicalIndex, Searcher, fuse, index_kind, recall_at
from lab.schema import Document, LabError
from lab.tasks.task import SPLITS
from tests.conftest import make_task


def test_sentences_split_at_borders_and_lines():
    assert sentences("One two. Three!  Four?\n- item one\n- item two") == [
        "One two.",
        "Three!",
        "Four?",
        "- item one",
        "- item two",
    ]
    assert sentences("It costs 3.5 crowns. Yes.") == ["It costs 3.5 crowns.", "Yes."]


@pytest.mark.parametrize(("length", "overlap"), [(12, 0), (12, 6), (30, 10), (7, 6)])
def test_chunks_keep_all_text_and_their_limits(length, overlap):
    text = " ".join(f"Sentence {i} says {'very ' * (i % 5)}little." for i in range(40))
    passages = chunk_document(Document("d", text), length, overlap)
    whole = sentences(text)
    covered = " ".join(p.text for p in passages)
    assert all(s in covered for s in whole if count(s) <= length)
    assert all(count(p.text) <= length for p in passages)
    assert len({p.id for p in passages}) == len(passages)
    for first, second in zip(passages, passages[1:]):
        shared = max(n for n in range(len(second.text) + 1) if first.text.endswith(second.text[:n]))
        assert count(second.text[:shared]) <= overlap


def test_long_sentences_are_cut_between_words():
    passages = chunk_document(Document("d", " ".join(f"w{i}" for i in range(100))), 20, 5)
    assert " ".join(dict.fromkeys(" ".join(p.text for p in passages).split())) == " ".join(f"w{i}" for i in range(100))
    with pytest.raises(LabError, match="below chunk_tokens"):
        chunk_document(Document("d", "x"), 10, 10)


@pytest.mark.parametrize(("kind", "wanted"), [("exact", 1.0), ("hnsw", 0.95), ("ivf", 0.6)])
def test_faiss_against_brute_force(kind, wanted):
    """Scores, not only ranks: vicinity's cosine bug left the ranks right."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:50] + 0.1 * rng.normal(size=(50, 32)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact = queries @ vectors.T
    found = DenseIndex(vectors, kind).search(queries, 10)
    hits = 0
    for row, ours in zip(exact, found):
        truth = np.argsort(-row)[:10]
        hits += len(set(truth) & {i for i, _ in ours})
        for index, score in ours:
            assert score == pytest.approx(row[index], abs=1e-4)
    assert hits / 500 >= wanted


def test_index_kind_follows_size():
    assert [index_kind(n) for n in (10, 60_000, 2_000_000)] == ["exact", "hnsw", "ivf"]


def test_bm25_against_its_formula():
    """Lucene's BM25 by hand for a word that stands in one of three texts of equal length."""
    index = LexicalIndex(["red lamp stands", "blue lamp stands", "green lamp stands"])
    hits = index.search(["blue"], 3)[0]
    # the marker word makes every text four words long; tf = 1, idf = ln(1 + (3 - 1 + .5) / (1 + .5)), k1 = 1.5, length
    # = mean
    expected = np.log(1 + 2.5 / 1.5) * 1 / (1 + 1.5)
    assert [i for i, _ in hits] == [1]
    assert hits[0][1] == pytest.approx(expected, rel=1e-4)
    assert LexicalIndex(["the", "of"]).search(["the"], 2) == [[]]


def test_fusion_by_hand():
    fused = fuse([[(7, 9.0), (3, 1.0)], [(3, 0.5), (8, 0.4)]], 3)
    assert fused == [(3, pytest.approx(1 / 62 + 1 / 61)), (7, pytest.approx(1 / 61)), (8, pytest.approx(1 / 62))]


def test_recall_counts_only_queries_with_gold():
    assert recall_at([["a", "b"], ["c"], ["d"]], [["b"], ["x"], []], 2) == 0.5
    assert recall_at([["a", "b"], ["c"]], [["b"], ["x"]], 1) == 0.0
    assert np.isnan(recall_at([["a"]], [[]], 1))


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_the_bundled_embedder_finds_the_right_text(tmp_path, mode):
    texts = [
        "The mayor of Quenford is Ida Skel.",
        "The market of Marsham is on Friday.",
        "The printer in the hall is broken.",
    ]
    found = Searcher(texts, mode, Tools(cache=tmp_path)).search(
        ["Who is the mayor of Quenford?", "When is the market in Marsham?"], 2
    )
    assert [hits[0][0] for hits in found] == [0, 1]


def test_vectors_are_cached_and_alike(tmp_path):
    embedder = load_embedder("embedder")
    texts = [f"text number {i}" for i in range(40)]
    assert embedder.forecast_seconds(texts, tmp_path) > 0
    first = embedder.embed(texts, tmp_path)
    assert embedder.forecast_seconds(texts, tmp_path) == 0, "what is kept takes no time"
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert np.array_equal(first, embedder.embed(texts, tmp_path))
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-3)
    with pytest.raises(LabError, match="--embedder nothing"):
        load_embedder("nothing")


def test_a_package_that_takes_the_gpu_is_not_tried_out(tmp_path):
    """bm25s imports JAX where it is, which takes most of a GPU for itself; later imports still find it."""
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("print('jax was imported')")
    (tmp_path / "jax" / "lax.py").write_text("")
    code = "import lab.context.retrieval.search, sys; assert 'jax' not in sys.modules; print('done'); import jax"
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command, env = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": paths}
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["done", "jax was imported"]


CHINESE = "".join(f"第{n}号仓库的负责人是第{n}位经理。" for n in range(200))


@pytest.mark.parametrize(
    "text",
    [
        CHINESE,
        CHINESE.replace("。", ""),
        "QUJD" * 3000,
        "Das ist ein Satz mit " + "x" * 5000 + " am Ende.",
        "ไทย" * 900,
    ],
)
def test_no_passage_is_longer_than_its_limit_in_any_script(text):
    passages = chunk_document(Document("d", text), 120, 20)
    assert len(passages) > 5
    assert all(count(p.text) <= 120 for p in passages)
    # About a token of a usual tokenizer for every letter there, and for every fourth letter of a long word.
    assert all(len(p.text) <= 4 * 125 for p in passages)
    kept = set("".join(p.text for p in passages).replace(" ", ""))
    assert kept == set(text.replace(" ", "")), "nothing is lost"


def test_plain_text_is_cut_as_before():
    text = " ".join(f"Sentence number {n} of this text has some words." for n in range(60))
    passages = chunk_document(Document("d", text), 40, 10)
    assert passages[0].text == " ".join(f"Sentence number {n} of this text has some words." for n in range(4))
    assert count("don't stop, 3.5 km") == 9 and count("internationalisation") == 1


def test_words_are_found_in_scripts_without_spaces():
    texts = [f"第{n}号仓库的负责人是{name}。" for n, name in enumerate(["王伟", "李娜", "张敏", "刘洋"])]
    index = LexicalIndex(texts)
    assert [h[0][0] for h in index.search(["李娜负责哪个仓库？", "谁是张敏"], 1)] == [1, 2]
    assert index.search(["xyz"], 2) == [[]]
    korean = LexicalIndex(["서울은 크다", "부산은 바다에 있다"])
    assert korean.search(["부산에는 무엇이 있나"], 1)[0][0][0] == 1


def test_single_letters_and_digits_are_words_where_questions_ask_with_them(tmp_path):
    texts = [
        "Use C for the kernel.",
        "Use C++ for the editor.",
        "Use C# for the shop.",
        "I don't use a plan 5, it's 6.",
    ]
    index = LexicalIndex(texts, singles=True)
    asked = ["Where is C++?", "What is in C#", "C?", "Is there a 5", "a I t s"]
    assert [[i for i, _ in hits] for hits in index.search(asked, 1)] == [[1], [2], [0], [3], []]
    assert LexicalIndex(texts).search(["C?"], 1) == [[]]


@pytest.mark.parametrize(
    ("question", "asks"),
    [("Is it C?", True), ("Plan B", True), ("step 5 of 6", True), ("C++", True), ("A+ or not", True)]
    + [("Am I a king? It's A day", False), ("in 2024 or 3.5 km", True), ("USA, NATO", False), ("x and y", False)],
)
def test_results_of_other_tasks_keep_their_keys(question, asks):
    made, tools = make_task(12), Tools()
    named = {s: tuple(replace(x, input="Where does she live?") for x in made.split(s)) for s in SPLITS}
    task = replace(made, **named)
    plain = {c: c.digest_parts(task, tools) for c in (Passages(mode="lexical"), NearestExamples(mode="hybrid"))}
    asking = replace(task, test=(replace(task.test[0], input=question), *task.test[1:]))
    assert asking.asks_singles is asks
    for context, parts in plain.items():
        assert ("words" in context.digest_parts(asking, tools)) is asks and "words" not in parts
    assert "words" not in Passages(mode="dense").digest_parts(asking, tools)
