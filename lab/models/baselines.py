"""Baselines that are no language models: the most frequent label, and classical classifiers.

They are arms like any other for classification tasks::

    linear(task.train, embed)(["my card was stolen"]) -> ["lost_card"]

A language model that is no better than one of them is the wrong choice, whatever it beats beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from lab.schema import Sample

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to (texts, width) float32 of unit length."""
Predict = Callable[[Sequence[str]], list[str]]
INVERSE_PENALTY = 10
"""C of the logistic regressions: few labels and unit-length features want less penalty than sklearn's 1."""


def majority(train: Sequence[Sample], embed: Embed) -> Predict:
    """Always the most frequent target (the first of equals)."""
    target = Counter(s.target for s in train).most_common(1)[0][0]
    return lambda inputs: [target] * len(inputs)


def linear(train: Sequence[Sample], embed: Embed) -> Predict:
    """TF-IDF over words and pairs of words, logistic regression; the majority where there is one label only."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len({s.target for s in train}) < 2:
        return majority(train, embed)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        LogisticRegression(C=INVERSE_PENALTY, max_iter=1000),
    )
    pipeline.fit([s.input for s in train], [s.target for s in train])
    return lambda inputs: [str(t) for t in pipeline.predict(list(inputs))]


def embedding_linear(train: Sequence[Sample], embed: Embed) -> Predict:
    """Sentence embeddings, logistic regression; the majority where there is one label only.

    SetFit's head (Tunstall et al. 2022, arXiv 2209.11055) without its tuning of the embedder.
    """
    from sklearn.linear_model import LogisticRegression

    if len({s.target for s in train}) < 2:
        return majority(train, embed)
    head = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    head.fit(embed([s.input for s in train]), [s.target for s in train])
    return lambda inputs: [str(t) for t in head.predict(embed(inputs))]


def embedding_nearest(train: Sequence[Sample], embed: Embed) -> Predict:
    """The target of the training item whose embedding is nearest (by cosine; the first of equals)."""
    known = embed([s.input for s in train])
    return lambda inputs: [train[i].target for i in (embed(inputs) @ known.T).argmax(axis=1)]


BASELINES: dict[str, Callable[[Sequence[Sample], Embed], Predict]] = {
    "majority": majority,
    "linear": linear,
    "embedding_linear": embedding_linear,
    "embedding_nearest": embedding_nearest,
}
