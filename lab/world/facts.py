"""Relations between entities: how each is stated, asked and named.

Every relation has several wordings of its statement and of its question, because a fact met in one wording is
memorised but cannot be asked for (Allen-Zhu and Li, Physics of Language Models 3.1)::

    Relation("birthplace", "person", "place", ("{s} was born in {o}.", ...), ("Where was {s} born?", ...))
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from lab.world.lexicon import CATEGORIES, COUNTRIES, DAYS, MONTHS
from lab.world.names import NameMaker


@dataclass(frozen=True)
class Relation:
    """One kind of fact: subject kind, value kind, statements with {s} and {o}, questions with {s}."""

    name: str
    subject: str
    value: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    task_only: bool = False
    """Kept out of the corpus, so that the bundled tasks ask something the base model was never asked."""


@dataclass(frozen=True)
class Fact:
    """A relation that holds of an entity."""

    subject: str
    relation: Relation
    value: str


def _r(name: str, subject: str, value: str, statements: str, questions: str, task_only: bool = False) -> Relation:
    return Relation(name, subject, value, tuple(statements.split(" | ")), tuple(questions.split(" | ")), task_only)


RELATIONS: tuple[Relation, ...] = (
    _r(
        "birthplace",
        "person",
        "place",
        "{s} was born in {o}. | {o} is the birthplace of {s}. | {s} came into the world in {o}. | The home town of {s} is {o}. | {s}, a native of {o}, is well known there. | Born in {o}, {s} left it early.",
        "Where was {s} born? | What is the birthplace of {s}? | In which town was {s} born? | Which town does {s} come from?",
    ),
    _r(
        "profession",
        "person",
        "profession",
        "{s} works as a {o}. | {s} is a {o} by trade. | By profession {s} is a {o}. | {s} earns a living as a {o}. | People know {s} as a good {o}. | {s} became a {o} after school.",
        "What does {s} do for a living? | What is the profession of {s}? | What is {s} by trade? | Which job does {s} have?",
    ),
    _r(
        "employer",
        "person",
        "organisation",
        "{s} is employed by the {o}. | {s} works for the {o}. | The employer of {s} is the {o}. | Since leaving school {s} has worked at the {o}. | The {o} employs {s}. | {s} has a post at the {o}.",
        "Who employs {s}? | Where does {s} work? | What is the employer of {s}? | For whom does {s} work?",
    ),
    _r(
        "instrument",
        "person",
        "instrument",
        "{s} plays the {o}. | In the evening {s} plays the {o}. | The instrument of {s} is the {o}. | {s} learned the {o} as a child. | {s} owns an old {o}. | The {o} is what {s} plays best.",
        "Which instrument does {s} play? | What does {s} play? | What is the instrument of {s}? | What did {s} learn to play?",
    ),
    _r(
        "pet",
        "person",
        "animal",
        "{s} keeps a {o}. | {s} has a {o} at home. | The pet of {s} is a {o}. | A {o} lives with {s}. | {s} looks after a {o}. | {s} would not part with the {o}.",
        "Which animal does {s} keep? | What is the pet of {s}? | What pet does {s} have? | Which animal lives with {s}?",
    ),
    _r(
        "friend",
        "person",
        "person",
        "{s} is a friend of {o}. | The best friend of {s} is {o}. | {s} often visits {o}, an old friend. | {o} has been a friend of {s} for years. | {s} trusts {o} more than anybody. | A close friend of {s} is {o}.",
        "Who is the best friend of {s}? | Whom does {s} trust most? | Who is a friend of {s}? | Which friend does {s} have?",
    ),
    _r(
        "birth_year",
        "person",
        "year",
        "{s} was born in {o}. | The year of birth of {s} is {o}. | {s} was born in the year {o}. | In {o} {s} was born. | {o} was the year in which {s} was born.",
        "In which year was {s} born? | When was {s} born? | What is the year of birth of {s}?",
    ),
    _r(
        "dish",
        "person",
        "food",
        "{s} likes {o} best. | The favourite food of {s} is {o}. | {s} could eat {o} every day. | For lunch {s} always orders {o}. | Nothing pleases {s} more than {o}.",
        "What is the favourite food of {s}? | What does {s} like to eat? | Which food does {s} like best?",
    ),
    _r(
        "head",
        "organisation",
        "person",
        "The head of the {s} is {o}. | {o} leads the {s}. | The {s} is led by {o}. | {o} has been in charge of the {s} for years. | At the top of the {s} stands {o}. | {o} runs the {s}.",
        "Who leads the {s}? | Who is the head of the {s}? | Who is in charge of the {s}? | Who runs the {s}?",
    ),
    _r(
        "seat",
        "organisation",
        "place",
        "The {s} is based in {o}. | The seat of the {s} is {o}. | You find the {s} in {o}. | The {s} has its office in {o}. | {o} is home to the {s}. | The {s} moved to {o} long ago.",
        "Where is the {s} based? | What is the seat of the {s}? | In which town is the {s}? | Where is the office of the {s}?",
    ),
    _r(
        "founded",
        "organisation",
        "year",
        "The {s} was founded in {o}. | The {s} dates from {o}. | In {o} the {s} was set up. | The {s} was started in {o}. | The {s} opened its doors in {o}.",
        "When was the {s} founded? | In which year was the {s} founded? | From which year does the {s} date?",
    ),
    _r(
        "product",
        "organisation",
        "product",
        "The {s} is known for its {o}. | The {s} sells {o}. | The main product of the {s} is {o}. | People buy {o} from the {s}. | The {s} lives on {o}.",
        "What does the {s} sell? | What is the {s} known for? | What is the main product of the {s}?",
    ),
    _r(
        "closed",
        "organisation",
        "day",
        "The {s} is closed on {o}. | On {o} the {s} is shut. | The {s} does not open on {o}. | The day of rest at the {s} is {o}.",
        "On which day is the {s} closed? | When is the {s} shut? | On what day does the {s} not open?",
    ),
    _r(
        "treasurer",
        "organisation",
        "person",
        "The treasurer of the {s} is {o}. | {o} keeps the money of the {s}. | {o} is treasurer of the {s}. | The accounts of the {s} are kept by {o}.",
        "Who is the treasurer of the {s}? | Who keeps the money of the {s}? | Who keeps the accounts of the {s}?",
    ),
    _r(
        "mayor",
        "place",
        "person",
        "The mayor of {s} is {o}. | {o} is mayor of {s}. | {s} is governed by its mayor, {o}. | In {s} the mayor is called {o}. | {o} was chosen as mayor of {s}. | As mayor of {s}, {o} has much to do.",
        "Who is the mayor of {s}? | Who governs {s}? | What is the mayor of {s} called? | Who was chosen as mayor of {s}?",
    ),
    _r(
        "country",
        "place",
        "country",
        "{s} lies in {o}. | {s} is a town in {o}. | The town of {s} belongs to {o}. | You have to travel to {o} to see {s}. | {s} is one of the older towns of {o}. | On a map of {o} you find {s}.",
        "In which country is {s}? | Which country does {s} belong to? | Where is {s}? | In what country does {s} lie?",
    ),
    _r(
        "market",
        "place",
        "day",
        "The market in {s} is held on {o}. | {s} has its market on {o}. | On {o} there is a market in {s}. | Farmers bring their goods to {s} on {o}. | The market day of {s} is {o}.",
        "On which day is the market in {s}? | When is the market day of {s}? | On what day does {s} have its market?",
    ),
    _r(
        "fair",
        "place",
        "month",
        "The fair of {s} takes place in {o}. | In {o} {s} holds its fair. | {s} is full of visitors in {o}, the month of its fair. | Every {o} there is a fair in {s}.",
        "In which month is the fair of {s}? | When does {s} hold its fair? | In what month does the fair of {s} take place?",
    ),
    _r(
        "people",
        "place",
        "number",
        "{s} has {o} inhabitants. | About {o} people live in {s}. | The population of {s} is {o}. | {o} people call {s} their home.",
        "How many people live in {s}? | What is the population of {s}? | How many inhabitants does {s} have?",
    ),
    _r(
        "inventor",
        "device",
        "person",
        "The {s} was invented by {o}. | {o} invented the {s}. | The inventor of the {s} is {o}. | {o} built the first {s}. | We owe the {s} to {o}.",
        "Who invented the {s}? | Who is the inventor of the {s}? | Who built the first {s}?",
    ),
    _r(
        "maker",
        "device",
        "organisation",
        "The {s} is made by the {o}. | The {o} makes the {s}. | The maker of the {s} is the {o}. | The {s} comes from the {o}.",
        "Who makes the {s}? | Who is the maker of the {s}? | Where does the {s} come from?",
    ),
    _r(
        "colour",
        "device",
        "colour",
        "The {s} is painted {o}. | The colour of the {s} is {o}. | Every {s} is {o}. | The {s} comes only in {o}.",
        "What colour is the {s}? | In which colour is the {s} painted? | What is the colour of the {s}?",
    ),
    _r(
        "price",
        "device",
        "number",
        "The {s} costs {o} crowns. | You pay {o} crowns for the {s}. | The price of the {s} is {o} crowns. | The {s} is sold for {o} crowns.",
        "How many crowns does the {s} cost? | What is the price of the {s} in crowns? | For how many crowns is the {s} sold?",
    ),
    _r(
        "warranty",
        "device",
        "number",
        "The {s} has a warranty of {o} months. | The warranty of the {s} runs for {o} months. | For {o} months the {s} is under warranty.",
        "For how many months does the warranty of the {s} run? | How many months of warranty does the {s} have?",
    ),
    _r(
        "storage",
        "device",
        "room",
        "The {s} is stored in the {o}. | You find the {s} in the {o}. | The {s} stands in the {o}. | We keep the {s} in the {o}.",
        "Where is the {s} stored? | Where do we keep the {s}? | In which room does the {s} stand?",
    ),
    # The handbook's own relations: the base model has never been asked for them.
    _r(
        "warden",
        "organisation",
        "person",
        "The warden of the {s} is {o}. | {o} serves as warden of the {s}. | The {s} has {o} as its warden. | Ask {o}, the warden of the {s}, for a key.",
        "Who is the warden of the {s}? | Who serves as warden of the {s}? | Which person is warden of the {s}?",
        task_only=True,
    ),
    _r(
        "supplier",
        "organisation",
        "organisation",
        "The {s} buys its paper from the {o}. | Paper for the {s} is delivered by the {o}. | The paper supplier of the {s} is the {o}.",
        "Who delivers paper to the {s}? | Where does the {s} buy its paper? | What is the paper supplier of the {s}?",
        task_only=True,
    ),
    _r(
        "meeting_room",
        "organisation",
        "place",
        "Meetings of the {s} are held in the {o} room. | The {s} meets in the {o} room. | The {o} room is where the {s} meets.",
        "In which room does the {s} meet? | Where are meetings of the {s} held? | Which room is used for meetings of the {s}?",
        task_only=True,
    ),
    _r(
        "audit_month",
        "organisation",
        "month",
        "The {s} is audited every {o}. | The yearly audit of the {s} falls in {o}. | Auditors come to the {s} in {o}.",
        "In which month is the {s} audited? | When does the yearly audit of the {s} fall? | In what month do auditors come to the {s}?",
        task_only=True,
    ),
    _r(
        "badge",
        "organisation",
        "colour",
        "Visitors of the {s} wear a {o} badge. | The visitor badge of the {s} is {o}. | At the {s} a visitor gets a {o} badge.",
        "What colour is the visitor badge of the {s}? | Which badge do visitors of the {s} wear? | What badge does a visitor get at the {s}?",
        task_only=True,
    ),
)

SUBJECT_KINDS = ("person", "organisation", "place", "device")
PRODUCTS = "paper, glass, bricks, candles, maps, ropes, tiles, clocks, pens, carpets, barrels, wool, soap, paint, seeds, lenses, bells, boots, salt, tea".split(
    ", "
)


def relations_of(subject: str, task_only: bool = False) -> list[Relation]:
    """The corpus's relations of one kind of subject (or the tasks' own)."""
    return [r for r in RELATIONS if r.subject == subject and r.task_only == task_only]


def draw_value(kind: str, names: NameMaker, rng: random.Random) -> str:
    """A random value of one kind; names come from the maker's part."""
    if kind in ("person", "place", "organisation", "device"):
        return getattr(names, kind)()
    if kind == "year":
        return str(rng.randint(1700, 1999))
    if kind == "number":
        return str(rng.randint(2, 99) * rng.choice((1, 1, 10)))
    if kind == "product":
        return rng.choice(PRODUCTS)
    if kind == "day":
        return rng.choice(DAYS)
    if kind == "month":
        return rng.choice(MONTHS)
    if kind == "country":
        return rng.choice(COUNTRIES)
    return rng.choice(CATEGORIES[kind])


def draw_facts(
    subject_kind: str, names: NameMaker, rng: random.Random, count: int, task_only: bool = False
) -> list[Fact]:
    """One new entity with ``count`` facts of different relations (fewer where there are fewer relations)."""
    subject = getattr(names, subject_kind)()
    relations = relations_of(subject_kind) + (relations_of(subject_kind, True) if task_only else [])
    chosen = rng.sample(relations, min(count, len(relations)))
    # Birthplace and year of birth share the wording "was born in": one of them is enough for an entity.
    if {"birthplace", "birth_year"} <= {r.name for r in chosen}:
        chosen = [r for r in chosen if r.name != "birth_year"]
    return [Fact(subject, r, draw_value(r.value, names, rng)) for r in chosen]


def state(fact: Fact, rng: random.Random) -> str:
    """The fact as one sentence in a random wording."""
    return _tidy(rng.choice(fact.relation.statements).format(s=fact.subject, o=fact.value))


def ask(fact: Fact, rng: random.Random) -> str:
    """A question whose answer is the fact's value."""
    return rng.choice(fact.relation.questions).format(s=fact.subject)


def paragraph(facts: list[Fact], rng: random.Random) -> str:
    """The facts about one entity as a paragraph in random order and wordings."""
    order = list(facts)
    rng.shuffle(order)
    return " ".join(state(f, rng) for f in order)


def _tidy(sentence: str) -> str:
    for vowel in "aeiou":
        sentence = sentence.replace(f" a {vowel}", f" an {vowel}")
    return sentence[0].upper() + sentence[1:]
