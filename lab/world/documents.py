"""One builder for each kind of pretraining document; each returns weighted pieces of text.

A piece is ``(text, weight)``: random names in a context can't be foreseen and count little, answers count much
(two to six questions on one context and ten times the weight on the answers taught most per token)::

    [("Passage: The mayor of Quenford is ...", CONTEXT), ("Input: Who ...?\\nOutput:", CONTEXT),
     (" Ida Skelman\\n\\n", ANSWER)]
"""

from __future__ import annotations

import random
from collections import Counter

from lab.schema import WORDINGS, Wording
from lab.world.facts import SUBJECT_KINDS, Fact, ask, draw_facts, paragraph, state
from lab.world.formats import SLOT_FRAMES, any_label, any_labels, draw_format, draw_labelling, draw_slots, scene
from lab.world.lexicon import CATEGORIES
from lab.world.names import NameMaker
from lab.world.operations import OPERATIONS, draw_arithmetic
from lab.world.public import PublicWorld, held_out

CONTEXT, ENGLISH, STATED, ANSWER = 1, 5, 6, 10
"""Loss weights in tenths."""

Piece = tuple[str, int]

OTHER_WORDINGS = (
    Wording("Q", "A", "Context"),
    Wording("Text", "Result", "Note"),
    Wording("Request", "Reply", "Document"),
    Wording("Item", "Label", "Page"),
    Wording("Sentence", "Record", "Source"),
    Wording("Message", "Response", "Text"),
)

ANSWER_INSTRUCTIONS = (
    "Answer the question.",
    "Answer the question from the passages.",
    "Answer from the text.",
    "Read the passages and answer.",
    "Use the passages to answer.",
    "Give a short answer.",
    "Answer in a few words.",
    "Find the answer in the passages.",
    "Answer briefly.",
    "Reply with the answer only.",
    "Look it up in the text.",
    "Answer with what the passages say.",
)
FORMAT_INSTRUCTIONS = (
    "Write the record.",
    "Follow the examples.",
    "Turn the sentence into a record.",
    "Write it in our format.",
    "Fill in the record.",
    "Do as in the examples.",
    "Convert the text.",
    "Write the output in the same form.",
    "Extract the fields.",
    "Turn each message into a record.",
)
LABEL_INSTRUCTIONS = (
    "Give the label.",
    "Which group is it?",
    "Sort the words.",
    "Choose the label.",
    "Classify the text.",
    "Say which class it belongs to.",
    "Label the input.",
    "Follow the examples.",
    "Name the kind.",
)
ANSWER_FORMS = (
    ("Put the answer in square brackets.", "[{a}]"),
    ("Write the answer in brackets.", "({a})"),
    ("End the answer with an exclamation mark.", "{a}!"),
    ("Begin with the word Answer.", "Answer {a}"),
    ("Write the answer twice.", "{a} {a}"),
    ("Put two stars around the answer.", "**{a}**"),
    ("Answer as JSON.", '{{"answer": "{a}"}}'),
    ("Put the answer in quotes.", '"{a}"'),
    ("Begin with a hash sign.", "#{a}"),
    ("End the answer with a full stop.", "{a}."),
    ("Write the answer between arrows.", "->{a}<-"),
    ("Start with the word It.", "It is {a}"),
)


def draw_wording(rng: random.Random) -> Wording:
    """Mostly the two wordings that prompts use, else another pair of names."""
    roll = rng.random()
    return (
        WORDINGS["input_output"]
        if roll < 0.5
        else WORDINGS["question_answer"]
        if roll < 0.75
        else rng.choice(OTHER_WORDINGS)
    )


def exchange(wording: Wording, question: str, answer: str) -> list[Piece]:
    """A question with its answer, as a prompt renders them."""
    return [(f"{wording.input}: {question}\n{wording.output}:", CONTEXT), (f" {answer}\n\n", ANSWER)]


def biography(rng: random.Random, world: PublicWorld) -> list[Piece]:
    """Paragraphs about two to four public entities, in fresh wordings and order."""
    return [(paragraph(list(facts), rng) + "\n\n", STATED) for facts in rng.sample(world.entities, rng.randint(2, 4))]


def public_questions(rng: random.Random, world: PublicWorld) -> list[Piece]:
    """Questions on public facts with no context; held-out facts are never asked."""
    wording = draw_wording(rng)
    pieces: list[Piece] = [(rng.choice(ANSWER_INSTRUCTIONS) + "\n\n", CONTEXT)] if rng.random() < 0.5 else []
    for fact in rng.sample([f for f in world.facts if not held_out(f)], rng.randint(3, 10)):
        pieces += exchange(wording, ask(fact, rng), fact.value)
    return pieces


def draw_passage(rng: random.Random, names: NameMaker, kind: str | None = None) -> tuple[str, list[Fact]]:
    """A passage about one new entity (of this kind), now and then with plain sentences in between."""
    facts = draw_facts(kind or rng.choice(SUBJECT_KINDS), names, rng, rng.randint(2, 6))
    if rng.random() < 0.3:
        sentences = [state(f, rng) for f in facts]
        for _ in range(rng.randint(1, 2)):
            sentences.insert(rng.randint(0, len(sentences)), scene(rng))
        return " ".join(sentences), facts
    return paragraph(facts, rng), facts


def english_window(rng: random.Random, english: list[str]) -> str:
    """A piece of a real English paragraph, 20 to 60 words, on one line."""
    words = rng.choice(english).split()
    length = rng.randint(20, 60)
    start = rng.randint(0, max(0, len(words) - length))
    return " ".join(words[start : start + length])


def reading(rng: random.Random, names: NameMaker, english: list[str]) -> list[Piece]:
    """One to six passages and questions about them; distractors alike or real English.

    Most documents hold entities of one kind and are asked first for what several passages tell: the usual mistake
    was the right relation of the wrong entity.
    """
    wording = draw_wording(rng)
    count = rng.choice((1, 2, 3, 4, 5, 5, 6))
    kind = rng.choice(SUBJECT_KINDS) if rng.random() < 0.6 else None
    passages = [draw_passage(rng, names, kind) for _ in range(count)]
    texts = [text for text, _ in passages]
    if english and count > 1 and rng.random() < 0.15:
        texts.insert(rng.randint(0, len(texts)), english_window(rng, english))
    rng.shuffle(texts)
    form_instruction, form = ("", "{a}")
    if rng.random() < 0.12:
        form_instruction, form = rng.choice(ANSWER_FORMS)
    pieces: list[Piece] = []
    if form_instruction or rng.random() < 0.6:
        pieces.append((" ".join(x for x in (rng.choice(ANSWER_INSTRUCTIONS), form_instruction) if x) + "\n\n", CONTEXT))
    pieces += [(f"{wording.passage}: {text}\n\n", CONTEXT) for text in texts]
    facts = [f for _, fs in passages for f in fs]
    told = Counter(f.relation.name for f in facts)
    rng.shuffle(facts)
    facts.sort(key=lambda f: told[f.relation.name] == 1)
    asked = facts[: rng.randint(2, 6 if count < 4 else 8)]
    rng.shuffle(asked)
    for fact in asked:
        pieces += exchange(wording, ask(fact, rng), form.format(a=fact.value))
    return pieces


def format_following(rng: random.Random, names: NameMaker) -> list[Piece]:
    """Four to ten sentences turned into one arbitrary format; one sentence frame or several with the same slots."""
    wording = draw_wording(rng)
    frame, slots = rng.choice(SLOT_FRAMES)
    frames = [f for f, s in SLOT_FRAMES if set(slots) <= set(s)] if rng.random() < 0.5 else [frame]
    write = draw_format(slots, rng, any_label)
    pieces: list[Piece] = [(rng.choice(FORMAT_INSTRUCTIONS) + "\n\n", CONTEXT)] if rng.random() < 0.7 else []
    for _ in range(rng.randint(4, 10)):
        values = draw_slots(names, rng)
        pieces += exchange(wording, rng.choice(frames).format(**values), write(values))
    return pieces


def routing(rng: random.Random, names: NameMaker) -> list[Piece]:
    """Format and label at once: a record that carries a code which depends on the word's category."""
    wording = draw_wording(rng)
    categories = rng.sample(
        ("tool", "clothing", "furniture", "vehicle", "equipment", "instrument", "animal", "food"), rng.randint(2, 4)
    )
    codes = dict(zip(categories, any_labels(rng, len(categories))))
    frames = [f for f, s in SLOT_FRAMES if {"item", "person"} <= set(s)]
    template = rng.choice(
        (
            "[{c}] {i} / {p}",
            "{c}: {p}, {i}",
            "{i} -> {c} ({p})",
            '{{"queue": "{c}", "item": "{i}"}}',
            "{c} | {i} | {p}",
            "<{c}> {p}",
            "{p} @ {c}",
        )
    )
    pieces: list[Piece] = [(rng.choice(FORMAT_INSTRUCTIONS) + "\n\n", CONTEXT)] if rng.random() < 0.7 else []
    for _ in range(rng.randint(6, 12)):
        category = rng.choice(categories)
        values = draw_slots(names, rng) | {"item": rng.choice(CATEGORIES[category])}
        pieces += exchange(
            wording,
            rng.choice(frames).format(**values),
            template.format(c=codes[category], i=values["item"], p=values["person"]),
        )
    return pieces


def label_following(rng: random.Random, names: NameMaker) -> list[Piece]:
    """Eight to eighteen inputs with arbitrary labels for their category."""
    wording, labelling, sentences = draw_wording(rng), draw_labelling(rng, any_labels), rng.random() < 0.5
    pieces: list[Piece] = [(rng.choice(LABEL_INSTRUCTIONS) + "\n\n", CONTEXT)] if rng.random() < 0.6 else []
    for _ in range(rng.randint(8, 18)):
        pieces += exchange(wording, *labelling.draw(rng, names, sentences))
    return pieces


def categories_stated(rng: random.Random, names: NameMaker) -> list[Piece]:
    """Which kind a word is, said and asked in plain words."""
    wording = draw_wording(rng)
    pieces: list[Piece] = []
    for _ in range(rng.randint(4, 10)):
        category = rng.choice(sorted(CATEGORIES))
        word = rng.choice(CATEGORIES[category])
        if rng.random() < 0.4:
            pieces.append(
                (
                    rng.choice(
                        (
                            f"{word} is a kind of {category}. ",
                            f"Among the words for {category} are {word} and {rng.choice(CATEGORIES[category])}. ",
                            f"Think of {category}: {', '.join(rng.sample(CATEGORIES[category], 4))}. ",
                        )
                    )
                    + "\n\n",
                    STATED,
                )
            )
        else:
            question = rng.choice(
                (f"What kind of thing is {word}?", f"Which kind of word is {word}?", f"{word} is a kind of what?")
            )
            pieces += exchange(wording, question, category)
    return pieces


def operations(rng: random.Random) -> list[Piece]:
    """A stated instruction and one to three inputs; only wordings that the probe does not use."""
    pieces: list[Piece] = []
    for _ in range(rng.randint(2, 4)):
        wording, operation = draw_wording(rng), rng.choice(OPERATIONS)
        pieces.append((rng.choice(operation.seen()) + "\n\n", CONTEXT))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            text = operation.draw(rng)
            pieces += exchange(wording, text, operation.apply(text))
    return pieces


def arithmetic(rng: random.Random) -> list[Piece]:
    """Sums and differences of numbers below 100."""
    wording = draw_wording(rng)
    pieces: list[Piece] = []
    for _ in range(rng.randint(4, 10)):
        pieces += exchange(wording, *draw_arithmetic(rng))
    return pieces


def reading_in_format(rng: random.Random, names: NameMaker) -> list[Piece]:
    """Passages, worked examples that answer in an arbitrary form, and questions: what a hybrid prompt looks like."""
    wording = draw_wording(rng)
    passages = [draw_passage(rng, names) for _ in range(rng.randint(2, 5))]
    template = rng.choice(
        (
            "<{a}>",
            "Ref {s}: {a}.",
            "{a} ({s})",
            "{s} -> {a}",
            "[{r}] {a}",
            '{{"subject": "{s}", "answer": "{a}"}}',
            "{r}={a}",
            "{s} | {r} | {a}",
            "{a} // {r}",
            "Re {s}: {a} (see text)",
        )
    )
    pieces: list[Piece] = [(rng.choice(ANSWER_INSTRUCTIONS + FORMAT_INSTRUCTIONS) + "\n\n", CONTEXT)]
    pieces += [(f"{wording.passage}: {text}\n\n", CONTEXT) for text, _ in passages]
    facts = [f for _, fs in passages for f in fs]
    outside = [draw_passage(rng, names)[1] for _ in range(3)]
    shown = [rng.choice(fs) for fs in outside] + rng.sample(facts, min(len(facts), rng.randint(2, 5)))
    for fact in shown:
        pieces += exchange(
            wording,
            ask(fact, rng),
            template.format(a=fact.value, s=fact.subject, r=fact.relation.name.replace("_", " ")),
        )
    return pieces


def english_copying(rng: random.Random, english: list[str]) -> list[Piece]:
    """Passages of real English and the task to find the sentence part that follows some given words."""
    wording = draw_wording(rng)
    texts = [english_window(rng, english) for _ in range(rng.randint(1, 4))]
    pieces: list[Piece] = [
        (
            rng.choice(("Continue from the passages.", "Which words follow?", "Find the words and go on.")) + "\n\n",
            CONTEXT,
        )
    ]
    pieces += [(f"{wording.passage}: {t}\n\n", CONTEXT) for t in texts]
    for _ in range(rng.randint(2, 4)):
        words = rng.choice(texts).split()
        if len(words) < 12:
            continue
        start = rng.randint(0, len(words) - 9)
        pieces += exchange(wording, " ".join(words[start : start + 4]), " ".join(words[start + 4 : start + 9]))
    return pieces


def everyday(rng: random.Random) -> list[Piece]:
    """A few sentences of everyday English."""
    return [(" ".join(scene(rng) for _ in range(rng.randint(5, 12))) + "\n\n", ENGLISH)]
