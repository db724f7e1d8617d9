"""Probes: what a base model can do, asked about entities and wordings that pretraining never saw.

``probe("reading_5")`` gives 200 (Sample, Prompt) pairs, the same for ever; any model can be asked them. Public facts
are asked three ways, so that lost knowledge and changed manner are told apart: freely, by choice among candidates,
and after worked examples. ``folder_probe("my_probes/capitals")`` reads a probe of the user's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lab.schema import Example, LabError, Passage, Prompt, Sample
from lab.tasks.scorers import Scorer, exact, scorer_for
from lab.tasks.task import load_probe_folder
from lab.world.documents import draw_passage
from lab.world.facts import ask
from lab.world.formats import SLOT_FRAMES, draw_format, draw_labelling, draw_slots, listed_label, listed_labels
from lab.world.names import NameMaker
from lab.world.operations import OPERATIONS, draw_arithmetic
from lab.world.public import public_world

ITEMS = 200


@dataclass(frozen=True)
class Probe:
    """One ability and its items."""

    name: str
    says: str
    items: tuple[tuple[Sample, Prompt], ...]
    score: Scorer = exact

    @property
    def chosen(self) -> bool:
        """Whether the model picks among candidates instead of writing freely."""
        return bool(self.items[0][0].choices)

    @property
    def chance(self) -> float:
        """What guessing among the candidates gives, mean over items; 0 where answers are free."""
        return sum(1 / len(s.choices) for s, _ in self.items) / len(self.items) if self.chosen else 0.0


def _public_facts(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
    fact = _UNASKED[number % len(_UNASKED)]
    return Prompt("Answer the question.", ask(fact, rng)), fact.value


def _facts_by_choice(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str, tuple[str, ...]]:
    """The right value among three that other public entities have in the same relation."""
    fact = _UNASKED[number % len(_UNASKED)]
    others = sorted({f.value for f in public_world().facts if f.relation == fact.relation} - {fact.value})
    candidates = [fact.value, *rng.sample(others, min(3, len(others)))]
    rng.shuffle(candidates)
    return Prompt("Answer the question.", ask(fact, rng)), fact.value, tuple(candidates)


def _facts_after_examples(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
    """Four questions of pretraining with their answers come first: the manner of answering is shown."""
    fact = _UNASKED[number % len(_UNASKED)]
    shown = rng.sample([f for f in public_world().asked() if f.subject != fact.subject], 4)
    return Prompt(
        "Answer the question.",
        ask(fact, rng),
        tuple(Example(f"e{i}", ask(f, rng), f.value) for i, f in enumerate(shown)),
    ), fact.value


def _reading(count: int) -> Callable[[random.Random, NameMaker, int], tuple[Prompt, str]]:
    def build(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
        drawn = [draw_passage(rng, names) for _ in range(count)]
        fact = rng.choice(rng.choice(drawn)[1])
        passages = tuple(Passage(f"p{i}", f"d{i}", text) for i, (text, _) in enumerate(drawn))
        return Prompt("Answer the question from the passages.", ask(fact, rng), passages=passages), fact.value

    return build


def _format_examples(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
    frame, slots = rng.choice(SLOT_FRAMES)
    write = draw_format(slots, rng, listed_label)
    rows = [(frame.format(**v), write(v)) for v in (draw_slots(names, rng) for _ in range(6))]
    examples = tuple(Example(f"e{i}", x, y) for i, (x, y) in enumerate(rows[:5]))
    return Prompt("Follow the examples.", rows[5][0], examples), rows[5][1]


def _label_examples(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
    labelling, sentences = draw_labelling(rng, listed_labels), rng.random() < 0.5
    rows = [labelling.draw(rng, names, sentences) for _ in range(13)]
    while rows[12][1] not in {y for _, y in rows[:12]}:
        rows[12] = labelling.draw(rng, names, sentences)
    examples = tuple(Example(f"e{i}", x, y) for i, (x, y) in enumerate(rows[:12]))
    return Prompt("Give the label.", rows[12][0], examples), rows[12][1]


def _operation(unseen: bool) -> Callable[[random.Random, NameMaker, int], tuple[Prompt, str]]:
    def build(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
        operation = rng.choice(OPERATIONS)
        text = operation.draw(rng)
        return Prompt(rng.choice(operation.unseen() if unseen else operation.seen()), text), operation.apply(text)

    return build


def _arithmetic(rng: random.Random, names: NameMaker, number: int) -> tuple[Prompt, str]:
    text, result = draw_arithmetic(rng)
    return Prompt("", text), result


_UNASKED = public_world().unasked()
_BUILDERS: dict[str, tuple[str, Callable[[random.Random, NameMaker, int], tuple]]] = {
    "public_facts": ("public facts, by questions never asked in pretraining", _public_facts),
    "reading_1": ("reading an answer in one passage about an unseen entity", _reading(1)),
    "reading_5": ("reading an answer among five passages about unseen entities", _reading(5)),
    "format_examples": ("following five worked examples to an arbitrary format", _format_examples),
    "label_examples": ("following twelve worked examples to an arbitrary label", _label_examples),
    "instruction": ("following an unseen wording of an instruction, without examples", _operation(True)),
    "word_operations": ("operations on words, in seen wordings, without examples", _operation(False)),
    "arithmetic": ("sums and differences below 100", _arithmetic),
    "facts_by_choice": ("public facts, by choice among four candidates", _facts_by_choice),
    "facts_after_examples": ("public facts, asked after four worked examples", _facts_after_examples),
}
PROBES = tuple(_BUILDERS)
CARD = PROBES[:8]
"""What a base model's card shows."""
SKILLS = ("reading_5", "format_examples", "label_examples", "word_operations")
"""Asked of every model before and after a training."""
FACTS = ("facts_by_choice", "public_facts", "facts_after_examples")
"""Asked of models that were pretrained on the world; the first of them is their knowledge, whatever their manner."""


def probe(name: str, items: int = ITEMS) -> Probe:
    """One probe with its first ``items`` items; raises LabError for an unknown name."""
    return _drawn(name, items)


@lru_cache(maxsize=64)
def _drawn(name: str, items: int) -> Probe:
    if name not in _BUILDERS:
        raise LabError(f"unknown probe {name!r}; one of {', '.join(PROBES)}")
    says, build = _BUILDERS[name]
    rng = random.Random(f"probe {name}")
    names = NameMaker(rng, "probe")
    drawn = []
    for number in range(items):
        prompt, target, *choices = build(rng, names, number)
        drawn.append((Sample(f"{name}-{number}", prompt.input, target, choices=choices[0] if choices else ()), prompt))
    return Probe(name, says, tuple(drawn))


def folder_probe(folder: Path) -> Probe:
    """A probe from a folder with task.toml and test.jsonl;
    raises LabError naming file and line of what can't be read."""
    task = load_probe_folder(folder)
    items = tuple((s, Prompt(task.instruction, s.input)) for s in task.test)
    if len({bool(s.choices) for s in task.test}) > 1:
        raise LabError(f"{folder}/test.jsonl: choices stand in some rows only; a probe is asked one way")
    return Probe(
        task.name,
        task.settings.get("says", task.name.replace("_", " ")),
        items,
        exact if task.test[0].choices else scorer_for(task),
    )
