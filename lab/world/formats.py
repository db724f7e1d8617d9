"""Arbitrary output formats and labels, to be followed from worked examples alone."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

from lab.world.lexicon import ADJECTIVES, CATEGORIES, COUNTRIES, DAYS, MONTHS, NONSENSE_LABELS, SCENES, TIMES
from lab.world.names import FIRST_NAMES, NameMaker

SLOT_FRAMES = (
    ("{person} left the {item} in {place}.", ("person", "item", "place")),
    ("{person} took the {item} to {place} on {day}.", ("person", "item", "place", "day")),
    ("The {item} of {person} was found in {place}.", ("item", "person", "place")),
    ("On {day} {person} bought {number} {colour} candles.", ("day", "person", "number", "colour")),
    ("{person} from {place} needs a new {item}.", ("person", "place", "item")),
    ("Please send the {colour} {item} to {person} in {place}.", ("colour", "item", "person", "place")),
    ("Order {number} came from {person} on {day}.", ("number", "person", "day")),
    ("In {place} the {item} costs {number} crowns.", ("place", "item", "number")),
    ("{person} will meet {person2} in {place}.", ("person", "person2", "place")),
    ("The {colour} {item} belongs to {person}.", ("colour", "item", "person")),
    ("There is a problem with the {item} in {place}, says {person}.", ("item", "place", "person")),
    ("Hello, my {item} stopped working on {day}. Regards, {person}", ("item", "day", "person")),
    ("I am {person} and I lost my {item} near {place}.", ("person", "item", "place")),
    ("Can someone bring {number} chairs to {place}? {person} asked on {day}.", ("number", "place", "person", "day")),
    ("Room {number} in {place} has no {item}.", ("number", "place", "item")),
    ("{person} plays the {instrument} every {day}.", ("person", "instrument", "day")),
    ("A {colour} {item} was seen by {person} in {month}.", ("colour", "item", "person", "month")),
    ("Since {month} {person} has lived in {place}.", ("month", "person", "place")),
    ("play some music by {person} on the {item}", ("person", "item")),
    ("what will the weather be like in {place} on {day}", ("place", "day")),
    ("book a table for {number} people in {place}", ("number", "place")),
    ("add {person} to my {colour} list", ("person", "colour")),
)
ITEM_CATEGORIES = ("tool", "clothing", "furniture", "vehicle", "equipment", "instrument")


def draw_slots(names: NameMaker, rng: random.Random) -> dict[str, str]:
    """A value for every slot name that a frame may use."""
    return {
        "person": names.person(),
        "person2": names.person(),
        "place": names.place(),
        "item": rng.choice(CATEGORIES[rng.choice(ITEM_CATEGORIES)]),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
        "number": str(rng.randint(2, 999)),
        "colour": rng.choice(CATEGORIES["colour"]),
        "instrument": rng.choice(CATEGORIES["instrument"]),
    }


KEY_NAMES = {
    "person": ("person", "name", "who", "from", "user"),
    "person2": ("with", "other", "second"),
    "place": ("place", "where", "town", "room", "city"),
    "item": ("item", "thing", "what", "object"),
    "day": ("day", "when", "date"),
    "month": ("month", "when", "since"),
    "number": ("number", "count", "n", "id"),
    "colour": ("colour", "shade", "paint"),
    "instrument": ("instrument", "plays"),
}


DrawLabel = Callable[[random.Random], str]


def listed_label(rng: random.Random) -> str:
    """One of the fixed labels; the probes use these alone, so that their items stay the same."""
    return rng.choice(NONSENSE_LABELS)


def any_label(rng: random.Random) -> str:
    """A fixed label or a random code such as ``AB3``, ``K-17``, ``QXR`` or ``m/4``:
    labels are to be copied, not known."""
    if rng.random() < 0.5:
        return listed_label(rng)
    letters, small, digits = string.ascii_uppercase, string.ascii_lowercase, string.digits
    pattern = rng.choice(
        (
            letters + " " + letters + " " + digits,
            letters + " - " + digits + " " + digits,
            letters + " " + letters + " " + letters,
            letters + " " + letters,
            small + " / " + digits,
            small + " " + digits + " " + digits,
            digits + " " + letters,
            small + " " + small + " " + small,
        )
    )
    return "".join(rng.choice(part) for part in pattern.split())


def listed_labels(rng: random.Random, count: int) -> list[str]:
    """Distinct fixed labels."""
    return rng.sample(NONSENSE_LABELS, count)


def any_labels(rng: random.Random, count: int) -> list[str]:
    """Distinct labels of any make."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[any_label(rng)] = None
    return list(found)


def draw_format(slots: tuple[str, ...], rng: random.Random, draw_label: DrawLabel) -> Callable[[dict[str, str]], str]:
    """A random way to write some of the slots: order, separators, wrappers, keys, a constant code."""
    chosen = rng.sample(slots, rng.randint(1 if len(slots) < 2 else 2, len(slots)))
    kind = rng.choice(("joined", "joined", "joined", "keyed", "json", "wrapped", "sentence"))
    keys = [rng.choice(KEY_NAMES[s]) if rng.random() < 0.7 else draw_label(rng) for s in chosen]
    code = draw_label(rng) if rng.random() < 0.4 else ""
    if kind == "json":
        pairs = list(zip(keys, chosen))
        if code:
            pairs.insert(0, (rng.choice(("type", "kind", "intent", "queue")), None))
        return lambda v: json.dumps({k: (code if s is None else v[s]) for k, s in pairs}, ensure_ascii=False)
    if kind == "keyed":
        equals, comma = rng.choice(("=", ": ", ":", " = ", " is ")), rng.choice(("; ", ", ", " | ", " ", " / "))
        head = f"{code} " if code else ""
        return lambda v: head + comma.join(f"{k}{equals}{v[s]}" for k, s in zip(keys, chosen))
    if kind == "wrapped":
        left, right = rng.choice((("[", "]"), ("<", ">"), ("(", ")"), ("{", "}"), ("*", "*"), ("#", ""), ('"', '"')))
        joint, head = rng.choice((" ", "", ", ")), f"{code}{rng.choice((' ', ': '))}" if code else ""
        return lambda v: head + joint.join(f"{left}{v[s]}{right}" for s in chosen)
    if kind == "sentence":
        joint = rng.choice((" and ", " has ", " with ", " goes to ", " then "))
        return lambda v: f"{code or 'Note'}: {joint.join(v[s] for s in chosen)}."
    separators = [
        rng.choice((" | ", " / ", " - ", "; ", ", ", " -> ", " @ ", " :: ", " + ", " > ", " in ", " from "))
        for _ in chosen
    ]
    left, right = rng.choice((("", ""), ("", ""), ("[", "]"), ("<", ">"), ("(", ")"), ("", ";"), ("", "!"), ("", ".")))
    bracket = rng.random() < 0.5 and code

    def joined(v: dict[str, str]) -> str:
        text = v[chosen[0]]
        for separator, slot in zip(separators, chosen[1:]):
            text += separator + v[slot]
        head = f"[{code}] " if bracket else f"{code} " if code else ""
        return head + left + text + right

    return joined


@dataclass(frozen=True)
class Labelling:
    """Two to four word categories, each with an arbitrary label."""

    labels: dict[str, str]

    def draw(self, rng: random.Random, names: NameMaker, sentences: bool) -> tuple[str, str]:
        """One input (a word, or a sentence about it) and its label."""
        category = rng.choice(list(self.labels))
        word = rng.choice(CATEGORIES[category])
        return (label_sentence(word, rng, names) if sentences else word), self.labels[category]


LABEL_FRAMES = (
    "the {w}",
    "a {adj} {w}",
    "I saw a {w} in {place}.",
    "{person} asked about the {w}.",
    "What about this {adj} {w}?",
    "My {w} is {adj}.",
    "Is the {w} still in {place}?",
    "{person} wants a {w} by {day}.",
    "The {w} again.",
    "Please look at the {w}, it is {adj}.",
    "tell me about the {w}",
    "where is the {adj} {w}",
)


def label_sentence(word: str, rng: random.Random, names: NameMaker) -> str:
    """A short sentence that mentions the word."""
    return rng.choice(LABEL_FRAMES).format(
        w=word, adj=rng.choice(ADJECTIVES), place=names.place(), person=names.person(), day=rng.choice(DAYS)
    )


def draw_labelling(rng: random.Random, draw_labels: Callable[[random.Random, int], list[str]]) -> Labelling:
    """Random categories with random labels; sometimes the label is the category's own name."""
    count = rng.choice((2, 2, 3, 3, 4))
    categories = rng.sample(sorted(CATEGORIES), count)
    if rng.random() < 0.2:
        return Labelling({c: c for c in categories})
    return Labelling(dict(zip(categories, draw_labels(rng, count))))


def scene(rng: random.Random) -> str:
    """One sentence of everyday plain English."""
    nouns = [w for c in ("animal", "tool", "furniture", "food", "clothing", "vehicle") for w in CATEGORIES[c]]
    a, b = rng.sample(nouns, 2)
    first, second = rng.sample(FIRST_NAMES, 2)
    room, room2 = rng.sample(CATEGORIES["room"], 2)
    return rng.choice(SCENES).format(
        a=a,
        b=b,
        first=first,
        first2=second,
        room=room,
        room2=room2,
        time=rng.choice(TIMES),
        day=rng.choice(DAYS),
        month=rng.choice(MONTHS),
        adj=rng.choice(ADJECTIVES),
        adj2=rng.choice(ADJECTIVES),
        profession=rng.choice(CATEGORIES["profession"]),
        country=rng.choice(COUNTRIES),
        weather=rng.choice(CATEGORIES["weather"]),
    )
