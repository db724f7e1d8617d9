"""Small operations on words and numbers, each with several wordings of its instruction.

The last three wordings of every operation stay out of the corpus: the probe ``instruction`` asks with them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lab.world.lexicon import CATEGORIES, OPPOSITES

ALL_WORDS = sorted({w for words in CATEGORIES.values() for w in words})
UNSEEN_WORDINGS = 3


@dataclass(frozen=True)
class Operation:
    """What to do with an input, in words and in code."""

    name: str
    wordings: tuple[str, ...]
    draw: Callable[[random.Random], str]
    apply: Callable[[str], str]

    def seen(self) -> tuple[str, ...]:
        """Wordings that the corpus uses."""
        return self.wordings[:-UNSEEN_WORDINGS]

    def unseen(self) -> tuple[str, ...]:
        """Wordings kept for the probe."""
        return self.wordings[-UNSEEN_WORDINGS:]


def _words(rng: random.Random) -> str:
    return " ".join(rng.sample(ALL_WORDS, rng.randint(2, 5)))


def _commas(rng: random.Random) -> str:
    return ", ".join(rng.sample(ALL_WORDS, rng.randint(2, 5)))


_OPPOSITE = {a: b for a, b in OPPOSITES} | {b: a for a, b in OPPOSITES}


def _op(
    name: str, wordings: str, apply: Callable[[str], str], draw: Callable[[random.Random], str] = _words
) -> Operation:
    return Operation(name, tuple(wordings.split(" | ")), draw, apply)


OPERATIONS: tuple[Operation, ...] = (
    _op(
        "first",
        "Give the first word. | Write only the first word. | What is the first word? | Return the word that comes first. | Name the first of these words. | Keep the first word and drop the rest. | Which word stands first? | Say just the first word. | Tell me the first word of the list. | Answer with the first word only. | Pick out the first word.",
        lambda t: t.split()[0],
    ),
    _op(
        "last",
        "Give the last word. | Write only the last word. | What is the last word? | Return the word that comes last. | Name the last of these words. | Keep the last word and drop the rest. | Which word stands last? | Say just the last word. | Tell me the last word of the list. | Answer with the last word only. | Pick out the last word.",
        lambda t: t.split()[-1],
    ),
    _op(
        "second",
        "Give the second word. | Write only the second word. | What is the second word? | Return the word that comes second. | Name the second of these words. | Keep the second word and drop the rest. | Which word stands second? | Say just the second word. | Tell me the second word of the list. | Answer with the second word only. | Pick out the second word.",
        lambda t: t.split()[1],
    ),
    _op(
        "copy",
        "Copy the text. | Repeat the text. | Write the same words again. | Say it again without a change. | Give back the text as it is. | Return the words unchanged. | Write down exactly what you read. | Echo the input. | Copy these words. | Repeat what is written. | Give the same text again.",
        lambda t: t,
    ),
    _op(
        "reverse",
        "Write the words in reverse order. | Reverse the order of the words. | Give the words from last to first. | Turn the order of the words around. | Put the words in the opposite order. | List the words backwards. | Start with the last word and end with the first. | Return the words in reversed order. | Reverse the words. | Write the words backwards. | Give the words in the opposite order.",
        lambda t: " ".join(reversed(t.split())),
    ),
    _op(
        "hyphen",
        "Join the words with hyphens. | Put a hyphen between the words. | Write the words with hyphens between them. | Connect the words by hyphens. | Link the words with hyphens. | Use hyphens instead of spaces. | Replace every space by a hyphen. | Make one word with hyphens. | Join these words by hyphens. | Put hyphens between the words. | Write hyphens in place of the spaces.",
        lambda t: t.replace(" ", "-"),
    ),
    _op(
        "comma",
        "Put a comma between the words. | Separate the words with commas. | Write the words as a list with commas. | Make a list with commas. | Use commas between the words. | Divide the words by commas. | Join the words with commas. | Turn the words into a comma list. | Put commas between the words. | Separate these words by commas. | Write commas between the words.",
        lambda t: ", ".join(t.split()),
    ),
    _op(
        "brackets",
        "Put the text in square brackets. | Write the text inside square brackets. | Wrap the text in square brackets. | Set the words in square brackets. | Enclose the text in square brackets. | Surround the text with square brackets. | Use square brackets around the text. | Return the text in square brackets. | Put square brackets around the text. | Write the words in square brackets. | Wrap the words with square brackets.",
        lambda t: f"[{t}]",
    ),
    _op(
        "twice",
        "Write the first word twice. | Repeat the first word two times. | Give the first word two times. | Say the first word twice. | Double the first word. | Write the first word and then again. | Return the first word twice. | Name the first word two times. | Give the first word twice. | Repeat the first word once more. | Say the first word two times.",
        lambda t: f"{t.split()[0]} {t.split()[0]}",
    ),
    _op(
        "drop_first",
        "Leave out the first word. | Remove the first word. | Drop the first word. | Write all but the first word. | Delete the first word. | Give everything except the first word. | Omit the first word. | Take away the first word. | Write the text without its first word. | Cut the first word. | Return all words but the first.",
        lambda t: " ".join(t.split()[1:]),
    ),
    _op(
        "swap",
        "Swap the first word and the last word. | Exchange the first and the last word. | Let the first and the last word change places. | Put the last word first and the first word last. | Swap first and last. | Change the places of the first and the last word. | Switch the first word with the last. | Trade the first and the last word. | Swap the first and the last word. | Exchange first and last word. | Switch the first and the last word.",
        lambda t: " ".join([t.split()[-1], *t.split()[1:-1], t.split()[0]]),
    ),
    _op(
        "count",
        "Count the words. | How many words are there? | Give the number of words. | Say how many words you see. | Return the count of words. | Tell the number of words. | Write how many words there are. | Number of words, please. | How many words do you see? | Count these words. | What is the number of words?",
        lambda t: str(len(t.split())),
    ),
    _op(
        "spaces",
        "Write the list with spaces instead of commas. | Replace the commas by spaces. | Remove the commas. | Take out the commas. | Use spaces in place of commas. | Delete every comma. | Write the words without commas. | Drop the commas. | Leave out the commas. | Give the words without the commas. | Omit the commas.",
        lambda t: t.replace(",", ""),
        _commas,
    ),
    _op(
        "opposite",
        "Give the opposite. | What is the opposite? | Write the opposite of the word. | Name the opposite. | Return the opposite word. | Say the opposite of this. | Find the opposite. | Which word means the opposite? | Tell me the opposite. | Write down the opposite. | What is the opposite of this word?",
        lambda t: _OPPOSITE[t],
        lambda r: r.choice(sorted(_OPPOSITE)),
    ),
)


def draw_arithmetic(rng: random.Random) -> tuple[str, str]:
    """An addition or subtraction of numbers below 100, and its result."""
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    if rng.random() < 0.5:
        a, b = max(a, b), min(a, b)
        return rng.choice((f"{a} - {b}", f"{a} minus {b}")), str(a - b)
    return rng.choice((f"{a} + {b}", f"{a} plus {b}")), str(a + b)
