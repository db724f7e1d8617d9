"""The classical arms: each against what can be worked out by hand, all against chance."""

from __future__ import annotations

import numpy as np
import pytest

from lab.context.retrieval.embedding import load_embedder
from lab.models.baselines import BASELINES, embedding_linear, embedding_nearest, majority
from lab.schema import Sample

PLACES = {"north": (1.0, 0.0), "nnw": (0.9, -0.436), "east": (0.0, 1.0), "ene": (0.436, 0.9), "south": (-1.0, 0.0)}


def on_a_compass(texts):
    return np.array([PLACES[t] for t in texts], np.float32)


def samples(**targets):
    return [Sample(str(n), text, target) for n, (text, target) in enumerate(targets.items())]


def test_the_nearest_by_hand():
    predict = embedding_nearest(samples(north="up", east="right", south="down"), on_a_compass)
    assert predict(["nnw", "ene", "south"]) == ["up", "right", "down"]


def test_a_head_on_embeddings_by_hand():
    predict = embedding_linear(samples(north="up", nnw="up", south="down"), on_a_compass)
    assert predict(["north", "south"]) == ["up", "down"]


@pytest.mark.parametrize("name", BASELINES)
def test_one_label_and_no_item_are_answered(name):
    train = samples(north="up", east="up")
    predict = BASELINES[name](train, on_a_compass)
    assert predict(["south"]) == ["up"] == majority(train, on_a_compass)(["south"])


@pytest.mark.parametrize("name", [n for n in BASELINES if n != "majority"])
def test_each_learns_what_words_say(name):
    """Twenty sentences of two kinds with the bundled embedder: chance is one in two."""
    things = ("river", "harbour", "mountain", "bridge", "museum", "library", "station", "garden", "castle", "market")
    kinds = {"where": "Where is the {} of the town?", "who": "Who wrote the book about the {} last year?"}
    made = [Sample(f"{k}{t}", text.format(t), k) for t in things for k, text in kinds.items()]
    predict = BASELINES[name](made[:12], load_embedder("embedder").embed)
    assert predict([s.input for s in made[12:]]) == [s.target for s in made[12:]]
