"""What a model can do before and after: probes asked once for each model, adaptation or context, and stored.

``Prober(model, store).base(probe("reading_5"))`` is the stored evaluation of the untouched base; ``.after(probe, key,
adapted)`` asks the same items of an adapted one, ``.within(probe, fitted)`` with a task's examples or passages in
front. ``abilities(prober, NEEDED)["reading_5"]`` is ``{"accuracy": 0.81, "low": 0.75, "high": 0.86, "items": 200,
...}``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from lab.context.base import Fitted
from lab.files import digest
from lab.flow.bench import Progress
from lab.measure.statistics import wilson
from lab.models.local import LocalModel
from lab.models.prompts import render
from lab.schema import Decoding, Prompt, Sample, Score
from lab.store import Draft, Entry, Store, key_of, read_completions, write_completions
from lab.study import LETTERS, Probed
from lab.world.general import General
from lab.world.probes import FACTS, ITEMS, SKILLS, Probe, probe

DECODING = Decoding(48)
NEEDED = ("instruction", "format_examples", "label_examples", "reading_5")
"""Probes of what the frozen arms ask of a base model."""
WHATEVER_THE_FORM = ("instruction", "reading_5")
"""Of them those that a chat model's sentence passes if it holds the answer; the others ask for a form."""
GENERAL_TEXT = "general_text"
"""Name of the likelihood probe."""
FEWER_ITEMS = 60
"""Items of a probe asked of a model that is not the lab's own: seconds a completion instead of milliseconds. A probe's
interval is 12 points either way then, where 200 items leave 7."""
PAID_ITEMS = 20
"""Of one whose requests cost money: enough to tell a model that can follow an instruction from one that can't."""
IN_CONTEXT = ("public_facts", "word_operations", "format_examples")
"""Probes that are also asked with a prompting arm's context."""


def items_for(model: LocalModel) -> int:
    """How many items of each of the lab's probes a model is asked."""
    if "train" not in model.can:
        return PAID_ITEMS
    return ITEMS if model.pretraining else FEWER_ITEMS


class Adapted(Protocol):
    """Gives an adapted model, merged or with what was learned ``beside`` the weights."""

    def __call__(self, beside: bool = False) -> LocalModel:
        """The model."""


class Prober:
    """Asks probes of a base model and of what was made of it, through the store."""

    def __init__(self, model: LocalModel, store: Store, progress: Progress | None = None) -> None:
        self.model, self.store, self.progress = model, store, progress or Progress()

    def base(self, asked: Probe) -> Entry:
        """The untouched base's answers."""
        return self._answers(asked, list(asked.items), "", self._itself)

    def after(self, asked: Probe, adaptation: str, adapted: Adapted) -> Entry:
        """An adapted model's answers to the same items."""
        return self._answers(asked, list(asked.items), adaptation, adapted)

    def within(self, asked: Probe, fitted: Fitted) -> Entry:
        """The base's answers with a task's worked examples or passages in the prompt as well."""
        return self._answers(asked, _placed_items(asked, fitted), "", self._itself)

    def likelihood(self, general: General, adaptation: str = "", adapted: Adapted | None = None) -> Entry:
        """How likely general texts are to the base (no adaptation) or an adapted model:
        ``nats``, ``tokens`` and ``kl`` of each text."""
        what = {
            "kind": "evaluation",
            "model": self.model.revision,
            "probe": GENERAL_TEXT,
            "texts": digest(list(general.probe)),
        } | ({"adaptation": adaptation} if adaptation else {})

        def work(draft: Draft) -> dict[str, Any]:
            model = adapted(beside=True) if adapted else self.model
            found = model.text_nll(general.probe, against_base=bool(adaptation))
            return {
                "nats": [round(n, 4) for n, _, _ in found],
                "tokens": [t for _, t, _ in found],
                "kl": [round(k, 4) for _, _, k in found],
            }

        return self._once(what, GENERAL_TEXT, len(general.probe), work)

    def is_stored(self, asked: Probe, adaptation: str = "") -> bool:
        """Whether the answers of the base (or of an adaptation) are in the store."""
        return self._find(self._what(asked, list(asked.items), adaptation))

    def is_stored_within(self, asked: Probe, fitted: Fitted) -> bool:
        """Whether the base's answers with this context are in the store."""
        return self._find(self._what(asked, _placed_items(asked, fitted), ""))

    def _itself(self, beside: bool = False) -> LocalModel:
        return self.model

    def _find(self, what: dict[str, Any]) -> bool:
        return self.store.find("evaluation", key_of(what)) is not None

    def _what(self, asked: Probe, items: Sequence[tuple[Sample, Prompt]], adaptation: str) -> dict[str, Any]:
        return (
            {
                "kind": "evaluation",
                "model": self.model.revision,
                "probe": asked.name,
                "prompts": digest([[s.id, render(p)] for s, p in items]),
                "decoding": DECODING.as_json(),
            }
            | ({"adaptation": adaptation} if adaptation else {})
            | ({"choices": digest([list(s.choices) for s, _ in items])} if asked.chosen else {})
        )

    def _answers(self, asked: Probe, items: list[tuple[Sample, Prompt]], adaptation: str, adapted: Adapted) -> Entry:
        def work(draft: Draft) -> dict[str, Any]:
            model = adapted()
            if asked.chosen:
                completions = model.choose([(s.id, p, s.choices) for s, p in items], self.progress.advance)
            else:
                completions = model.complete([(s.id, p) for s, p in items], DECODING, self.progress.advance)
            write_completions(draft.folder, completions)
            return {"context_seconds": 0.0}

        return self._once(self._what(asked, items, adaptation), asked.name, len(items), work)

    def _once(self, what: dict[str, Any], name: str, items: int, work: Callable[[Draft], dict[str, Any]]) -> Entry:
        def told(draft: Draft) -> dict[str, Any]:
            self.progress.stage(f"probe {name}", items)
            return work(draft) | {"items": items, "split": "probe"}

        return self.store.once("evaluation", what, told, asdict(self.model.machine))


@dataclass(frozen=True)
class ProbeSet:
    """Probes with right answers, and texts whose likelihood is taken."""

    asked: tuple[Probe, ...]
    general: General | None = None

    def of_base(self, prober: Prober) -> list[Probed]:
        """The untouched base's answers to everything."""
        model = prober.model.name
        found = [_probed(p, prober.base(p), model=model) for p in self.asked]
        return found + (
            [_likelihood(self.general, prober.likelihood(self.general), model=model)] if self.general else []
        )

    def of_adapted(self, prober: Prober, adaptation: str, adapted: Adapted, **whose: Any) -> list[Probed]:
        """The same items asked of an adapted model; ``whose`` names method, seed, size and rank."""
        whose = whose | {"model": prober.model.name}
        found = [_probed(p, prober.after(p, adaptation, adapted), **whose) for p in self.asked]
        if not self.general:
            return found
        return [*found, _likelihood(self.general, prober.likelihood(self.general, adaptation, adapted), **whose)]

    def in_context(self, prober: Prober, fitted: Fitted, **whose: Any) -> list[Probed]:
        """A few of the probes with an arm's context in the prompt: no weights change, but does the context hurt?"""
        whose = whose | {"model": prober.model.name, "in_context": True}
        return [_probed(p, prober.within(p, fitted), **whose) for p in self.asked_in_context]

    @property
    def asked_in_context(self) -> tuple[Probe, ...]:
        """The user's own probes, and of the lab's those that are not about reading contexts."""
        return tuple(p for p in self.asked if p.name not in (*SKILLS, *FACTS) or p.name in IN_CONTEXT)


def forgetting_probes(
    model: LocalModel, own: Sequence[Probe] = (), general: General | None = None, items: int | None = None
) -> ProbeSet:
    """What is asked before and after a training of this model: skills,
    facts where it knows the world's, and the user's own probes."""
    names = (*SKILLS, *(FACTS if model.pretraining else ()))
    return ProbeSet((*(probe(n, items or items_for(model)) for n in names), *own), general)


def _probed(asked: Probe, entry: Entry, **whose: Any) -> Probed:
    outcomes = "".join(LETTERS[s.outcome] for s in scores_of(asked, entry))
    return Probed(asked.name, asked.says, outcomes=outcomes, chance=asked.chance, evaluation=entry.key, **whose)


def _likelihood(general: General, entry: Entry, **whose: Any) -> Probed:
    found = {name: entry.record["result"][name] for name in ("nats", "tokens", "kl")}
    says = f"likelihood of general text ({general.name})"
    return Probed(GENERAL_TEXT, says, evaluation=entry.key, **found, **whose)


def _placed_items(asked: Probe, fitted: Fitted) -> list[tuple[Sample, Prompt]]:
    fitted.prepare([s for s, _ in asked.items])
    return [(s, placed(p, fitted.build(s))) for s, p in asked.items]


def placed(asked: Prompt, built: Prompt) -> Prompt:
    """A probe's prompt with what a task's context puts there; the probe's own parts stand nearest to the input."""
    return replace(asked, examples=(*asked.examples, *built.examples), passages=(*asked.passages, *built.passages))


def scores_of(asked: Probe, entry: Entry) -> list[Score]:
    """A Score for each item of a probe."""
    return [asked.score(s, c) for (s, _), c in zip(asked.items, read_completions(entry))]


def abilities(prober: Prober, names: Sequence[str], items: int | None = None) -> dict[str, dict[str, Any]]:
    """Accuracy of the base with a Wilson interval on each probe; where what is said counts and not the manner of saying
    it, also the share whose ``content`` is right, with the upper end of its interval."""
    found, items = {}, items or items_for(prober.model)
    for name in names:
        asked = probe(name, items)
        entry = prober.base(asked)
        scores = scores_of(asked, entry)
        right = sum(s.value for s in scores)
        low, high = wilson(right, items)
        found[name] = {
            "says": asked.says,
            "accuracy": right / items,
            "low": low,
            "high": high,
            "items": items,
            "evaluation": entry.key,
        }
        if name in WHATEVER_THE_FORM:
            held = sum(_knows(sample, score) for (sample, _), score in zip(asked.items, scores))
            found[name] |= {"content": held / items, "content_high": wilson(held, items)[1]}
    return found


def _knows(sample: Sample, score: Score) -> float:
    """Whether an answer holds the right content; where the question itself does, saying it again shows nothing."""
    echoed = sample.target.lower() in sample.input.lower()
    return score.value if echoed else score.parts["content"]
