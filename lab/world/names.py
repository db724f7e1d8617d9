"""Invented names, split for ever into four parts that never meet.

A name's part follows from its own SHA-256, so that corpus, public facts, probes and tasks cannot share an
entity by accident, whoever draws the names and in whatever order::

    NameMaker(random.Random(1), "task").place()    # e.g. "Tarnwick", never seen in pretraining
"""

from __future__ import annotations

import hashlib
import random

PARTS = ("world", "corpus", "probe", "task")

FIRST_NAMES = (
    "Ada Alan Alma Amir Anna Ben Bella Boris Carl Cara Clara Dana David Dora Edgar Ella Emil Erin Eva Felix Fiona "
    "Frank "
    "Gina Greta Gus Hana Hans Helen Hugo Ida Igor Ines Ivan Jack Jana Joan Jonas Julia Karl Kate Kim Lara Lena Leo "
    "Lidia "
    "Lisa Luis Mara Marco Maria Max Mila Mona Nadia Nina Noah Nora Olga Omar Oscar Paul Petra Philip Rosa Ruben Ruth "
    "Sam "
    "Sara Simon Sofia Stefan Tara Theo Tom Uma Vera Victor Wanda Yara Zoe"
).split()

ONSETS = "b br c ch cl cr d dr f fl g gl gr h j k kl l m n p pl pr qu r s sh sk sl st t th tr v w y z".split()
VOWELS = "a e i o u ai ea ee oa ou".split()
CODAS = "b ck d g ld ll lm m n nd ng nk nt p r rd rk rn rt s sk st t th x".split()
PLACE_ENDINGS = "bury by dale field ford ham hold ley mere mouth port stead ton wick worth".split()
SURNAME_ENDINGS = "a an by e er ek in is kin le man o ov ow sen ski son well y".split()


def part_of(name: str) -> str:
    """The part that a bare name belongs to for ever: 1/8 public world, 1/8 probes, 2/8 tasks, 4/8 corpus."""
    slot = hashlib.sha256(name.lower().encode()).digest()[0] % 8
    return ("world", "probe", "task", "task", "corpus", "corpus", "corpus", "corpus")[slot]


class NameMaker:
    """Draws names of one part from a random source; the same source gives the same names."""

    def __init__(self, rng: random.Random, part: str) -> None:
        if part not in PARTS:
            raise ValueError(f"no part {part!r}: one of {', '.join(PARTS)}")
        self.rng, self.part = rng, part

    def _stem(self) -> str:
        rng = self.rng
        stem = rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
        if rng.random() < 0.25:
            stem = rng.choice("aeiou") + stem
        return stem

    def _draw(self, endings: list[str]) -> str:
        while True:
            name = (self._stem() + self.rng.choice(endings)).capitalize()
            if part_of(name) == self.part:
                return name

    def surname(self) -> str:
        """One invented surname, such as ``Skelman``."""
        return self._draw(SURNAME_ENDINGS)

    def person(self) -> str:
        """A full name; the first name is a common one, the surname is invented."""
        return f"{self.rng.choice(FIRST_NAMES)} {self.surname()}"

    def place(self) -> str:
        """A town or village, such as ``Tarnwick``."""
        return self._draw(PLACE_ENDINGS)

    def organisation(self) -> str:
        """An organisation, named after a place or a person."""
        kind = self.rng.choice(ORGANISATION_KINDS)
        return f"{self.place() if self.rng.random() < 0.5 else self.surname()} {kind}"

    def device(self) -> str:
        """A product with a made-up name, such as ``Brofan lamp``."""
        return f"{self.surname()} {self.rng.choice(DEVICE_KINDS)}"


ORGANISATION_KINDS = (
    "Works, Society, Institute, Museum, Library, College, Theatre, Hospital, Council, Bank, Hotel, Foundation, Trust, "
    "Press, Club, School, Laboratory, Company, Gallery, Bakery, Brewery, Orchestra, Observatory, Archive"
).split(", ")
DEVICE_KINDS = (
    "engine, lamp, bicycle, camera, stove, clock, boat, tractor, radio, piano, pump, drill, kettle, scooter".split(", ")
)
