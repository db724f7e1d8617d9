"""The public world: entities whose facts the base model is meant to know,
and the questions it was never asked about them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache

from lab.world.facts import SUBJECT_KINDS, Fact, draw_value, relations_of
from lab.world.names import NameMaker

COUNTS = {"person": 100, "organisation": 40, "place": 40, "device": 30}


@dataclass(frozen=True)
class PublicWorld:
    """All public facts, by entity; the same for ever."""

    entities: tuple[tuple[Fact, ...], ...]

    @property
    def facts(self) -> list[Fact]:
        """Every fact, in a fixed order."""
        return [f for facts in self.entities for f in facts]

    def asked(self) -> list[Fact]:
        """Facts that the corpus both states and asks for."""
        return [f for f in self.facts if not held_out(f)]

    def unasked(self) -> list[Fact]:
        """Facts that the corpus states but never asks for: the probe."""
        return [f for f in self.facts if held_out(f)]


def held_out(fact: Fact) -> bool:
    """Whether questions about this fact are kept out of the corpus (one in five, by hash)."""
    return hashlib.sha256(f"{fact.subject}|{fact.relation.name}".encode()).digest()[0] % 5 == 0


@lru_cache(maxsize=1)
def public_world() -> PublicWorld:
    """The one public world, drawn from a fixed seed; values that are entities are public entities themselves."""
    rng = random.Random("public world 1")
    names = NameMaker(rng, "world")
    pool: dict[str, list[str]] = {}
    for kind in SUBJECT_KINDS:
        drawn: dict[str, None] = {}
        while len(drawn) < COUNTS[kind]:
            drawn[getattr(names, kind)()] = None
        pool[kind] = list(drawn)
    entities = []
    for kind in SUBJECT_KINDS:
        for subject in pool[kind]:
            relations = [r for r in relations_of(kind) if r.name != "birth_year"]
            facts = []
            for relation in relations[:5]:
                others = [v for v in pool.get(relation.value, []) if v != subject]
                value = rng.choice(others) if others else draw_value(relation.value, names, rng)
                facts.append(Fact(subject, relation, value))
            entities.append(tuple(facts))
    return PublicWorld(tuple(entities))
