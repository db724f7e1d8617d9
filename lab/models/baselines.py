"""Baselines that are no language models: the most frequent label, and TF-IDF with logistic regression.

They are arms like any other for classification tasks: ``linear(task.train)("my card was stolen") -> "lost_card"``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from lab.schema import Sample

Predict = Callable[[Sequence[str]], list[str]]


def majority(train: Sequence[Sample]) -> Predict:
    """Always the most frequent target (the first of equals)."""
    target = Counter(s.target for s in train).most_common(1)[0][0]
    return lambda inputs: [target] * len(inputs)


def linear(train: Sequence[Sample]) -> Predict:
    """TF-IDF over words and pairs of words, logistic regression at C = 10;
    the majority where there is one label only."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len({s.target for s in train}) < 2:
        return majority(train)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        LogisticRegression(C=10, max_iter=1000),
    )
    pipeline.fit([s.input for s in train], [s.target for s in train])
    return lambda inputs: [str(t) for t in pipeline.predict(list(inputs))]


BASELINES: dict[str, Callable[[Sequence[Sample]], Predict]] = {"majority": majority, "linear": linear}
