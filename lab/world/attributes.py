"""Attributes that a linear probe looks for in a layer's hidden states, from easy to hard; the last token is looked at.

``attribute("word_class", 600, 300)`` gives (train, test) pairs of (text, label); words, entities and wordings of the
test part never occur in the train part.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from lab.schema import LabError
from lab.world.facts import RELATIONS, draw_value
from lab.world.lexicon import ADJECTIVES, CATEGORIES, DAYS, MONTHS
from lab.world.names import NameMaker

Labelled = tuple[str, str]
CLASSES: dict[str, list[str]] = {
    "adjective": ADJECTIVES,
    "day": DAYS,
    "month": MONTHS,
    "colour": CATEGORIES["colour"],
    "profession": CATEGORIES["profession"],
    "animal": CATEGORIES["animal"],
    "furniture": CATEGORIES["furniture"],
    "weather": CATEGORIES["weather"],
}
THINGS = sorted(
    w
    for kind in ("furniture", "tool", "equipment")
    for w in CATEGORIES[kind]
    if not w.endswith("s") and w not in ("knife", "brush", "wrench", "shelf", "bench")
)


def _half(words: list[str], test: bool) -> list[str]:
    ordered = sorted(words)
    return ordered[1::3] if test else [w for n, w in enumerate(ordered) if n % 3 != 1]


def _word_class(rng: random.Random, names: NameMaker, test: bool) -> Labelled:
    """What kind of word is this? Everything before it is the same for all classes."""
    kind = rng.choice(list(CLASSES))
    return f"{names.person()} wrote the word {rng.choice(_half(CLASSES[kind], test))}", kind


def _referent(rng: random.Random, names: NameMaker, test: bool) -> Labelled:
    """Whom does it stand for? The pronoun's number tells which of two things is meant."""
    one, many = rng.sample(_half(THINGS, test), 2)
    place, first_is_one, singular = names.place(), rng.random() < 0.5, rng.random() < 0.5
    first, second = (f"The {one}", f"the {many}s") if first_is_one else (f"The {many}s", f"the {one}")
    verb = "stands" if first_is_one else "stand"
    return (
        f"{first} {verb} beside {second} in {place}. {'It' if singular else 'They'}",
        "first" if first_is_one == singular else "second",
    )


def _fact_asked(rng: random.Random, names: NameMaker, test: bool) -> Labelled:
    """Which fact does the question ask for? The wordings of the test part were held back."""
    relation = rng.choice([r for r in RELATIONS if not r.task_only and len(r.questions) > 2])
    wordings = relation.questions[-1:] if test else relation.questions[:-1]
    return rng.choice(wordings).format(s=draw_value(relation.subject, names, rng)), relation.name


ATTRIBUTES: dict[str, tuple[str, Callable[[random.Random, NameMaker, bool], Labelled]]] = {
    "word_class": ("class of a word (of eight), on unseen words", _word_class),
    "referent": ("which of two things a pronoun stands for, on unseen words", _referent),
    "fact_asked": ("which fact a question asks for, in unseen wordings", _fact_asked),
}


def attribute(name: str, train: int, test: int) -> tuple[list[Labelled], list[Labelled]]:
    """(train, test) texts with labels; raises LabError for an unknown name."""
    if name not in ATTRIBUTES:
        raise LabError(f"unknown attribute {name!r}; one of {', '.join(ATTRIBUTES)}")
    draw = ATTRIBUTES[name][1]
    parts = []
    for count, is_test in ((train, False), (test, True)):
        rng = random.Random(f"attribute {name} {is_test}")
        names = NameMaker(rng, "probe")
        parts.append([draw(rng, names, is_test) for _ in range(count)])
    return parts[0], parts[1]
