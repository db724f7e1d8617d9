"""When two texts are the same: to a scorer (``normalise``, ``words``, ``holds``), and to a person who looks for items
that stand twice (``likeness``).

Of every script: composed and decomposed letters fall together, marks belong to their letter, and scripts without spaces
are read letter by letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "`": "`"}
"""Opening quotes, each with what may close it."""
KEPT = 2**16
"""Texts whose key is kept: a check asks for every input's four times, a score for every target's."""
STOPS = ".。．。।"
ARTICLES = ("a", "an", "the")
MINUS = "-−"
SINGLE_NAME = re.compile(r"(?<![\w'’])(?![AI](?![+#]))[0-9A-Z](?![\w'’])")
"""A capital letter or a digit by itself."""
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Letters of scripts that put no space between words, or none before a particle (Thai, Lao, Burmese, Khmer, Japanese,
Chinese, Korean)."""


def fold(text: str) -> str:
    """Composed letters, lower case, white space folded."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower()).split())


@lru_cache(maxsize=KEPT)
def normalise(text: str) -> str:
    """An answer without what does not count: case, white space, quotes around it, a full stop at its end; a text of
    nothing else stays."""
    folded = fold(text)
    bare = folded.rstrip(STOPS).rstrip()
    while len(bare) > 2 and bare[-1] in QUOTES.get(bare[0], "") and bare[0] not in bare[1:-1]:
        bare = bare[1:-1].strip().rstrip(STOPS).rstrip()
    return bare or folded


def words(text: str) -> list[str]:
    """Lower-case words without punctuation and articles (after SQuAD's normalisation); signs stay with their number,
    ``+`` and ``#`` with the word before them. A text of nothing else is one word."""
    folded = fold(text)
    found = [w for w in _words(folded) if w not in ARTICLES]
    return found or ([folded] if folded else [])


def count_words(text: str) -> int:
    """About how many words a text has; of scripts without spaces two letters are taken for one."""
    unspaced = len(UNSPACED.findall(text))
    return len(UNSPACED.sub(" ", text).split()) + -(-unspaced // 2)


def _is_letter(character: str) -> bool:
    """Letters, digits and the marks that belong to them."""
    return bool(character) and unicodedata.category(character)[0] in "LNM"


def _words(text: str) -> Iterator[str]:
    word = ""
    for place, character in enumerate(text):
        before, after = text[place - 1 : place] if place else "", text[place + 1 : place + 2]
        signs = not word and character in f"{MINUS}+" and after.isdigit() and not _is_letter(before)
        inside = (
            _is_letter(character)
            or (word and character in "+#" and not _is_letter(after))
            or (word and word[-1].isdigit() and character in ".," and after.isdigit())
            or signs
        )
        if not inside:
            if word:
                yield word
            word = ""
            if unicodedata.category(character) in ("Sm", "So"):
                yield character
        elif UNSPACED.match(character):
            if word:
                yield word
            word = ""
            yield character
        else:
            word += "-" if character in MINUS else character
    if word:
        yield word


def holds(text: str, target: str) -> bool:
    """Whether a target stands in a text by the normalisation of answers, as whole words."""
    wanted = normalise(target)
    return bool(wanted) and stands_in(wanted, fold(text))


def stands_in(value: str, text: str) -> bool:
    """Whether a value stands in a text, not as a part of a longer word or number."""
    if not value:
        return False
    before, after = "", ""
    if _is_letter(value[0]) and not UNSPACED.match(value[0]):
        before = r"(?<!\w)"
        if value[0].isdigit():
            before += rf"(?<!\d[.,])(?<!(?<!\w)[{MINUS}])"
    if _is_letter(value[-1]) and not UNSPACED.match(value[-1]):
        after = r"(?!\w)(?![+#]+(?!\w))"
        if value[-1].isdigit():
            after += r"(?![.,]\d)"
    return re.search(before + re.escape(value) + after, text) is not None


@lru_cache(maxsize=KEPT)
def likeness(text: str) -> str:
    """Inputs with the same key are the same to a person: case, white space and the punctuation of sentences aside.
    Signs that carry meaning stay: ``C``, ``C++``, ``5 + 5``, ``5 - 5``, ``:)``."""
    folded = fold(text)
    kept = " ".join(filter(None, (_token_key(token, folded) for token in folded.split())))
    return kept or folded


SENTENCE = frozenset(".,;:!?…·•\"'()[]{}–—-“”‘’„«»「」『』、。．！？；：（）।¿¡`")
"""What sentences are set with."""
ENDS = frozenset(".!?…,;。！？、।–—-\"'“”‘’")
"""Of it what says nothing where it stands alone."""


def _token_key(token: str, text: str) -> str:
    """What of a token between spaces tells inputs apart."""
    if not any(_is_letter(c) for c in token):
        numeric = any(c.isdigit() for c in text)
        if set(token) <= ENDS and not (numeric and token in MINUS):
            return ""
        return token
    kept = []
    for place, character in enumerate(token):
        left, right = token[place - 1 : place] if place else "", token[place + 1 : place + 2]
        if character not in SENTENCE:
            kept.append(character)
        elif character in ".,:" and left.isdigit() and right.isdigit():
            kept.append(character)
        elif character in MINUS and right.isdigit() and not _is_letter(left):
            kept.append("-")
        elif character in MINUS and left.isdigit() and right.isdigit():
            kept.append("-")
        elif _is_letter(left) and _is_letter(right):
            kept.append(" ")
    return " ".join("".join(kept).split())
