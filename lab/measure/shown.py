"""What is shown of a study, as plain data: arms, pairs of arms, and what the study could grow to.

``lab.measure.evidence`` computes it; a verdict needs nothing else, so that it can be reached where there is no numpy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lab.measure.cost import Used

ALPHA = 0.05


@dataclass(frozen=True)
class Extension:
    """A study grown to so many seeds and items."""

    seeds: int
    items: int


@dataclass(frozen=True)
class ArmEvidence:
    """What was measured of one arm."""

    name: str
    label: str
    model: str
    """Name of its model; empty for a baseline."""
    deployed: bool
    """Its model is not the base that matched arms share: a comparison *as deployed*."""
    rank: int | None
    accuracy: float
    low: float
    high: float
    seeds: int
    fixed_seconds: float
    """To make it once: its search with all validation trials, study stages, and a training of its own."""
    elsewhere_seconds: float
    """Of its search on another machine: told, but in no sum."""
    seconds_per_request: float
    latency_seconds: float
    """Of one request alone."""
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    parts: dict[str, float]
    recall: dict[str, float]
    outcomes: dict[str, int]
    unfit: str
    """Why the base model can't be asked this way; empty where it can."""
    dropped: str = ""
    """When and why it left a race; empty for an arm that stayed."""
    items: int = 0
    """Test items that it was asked."""
    content: float | None = None
    """Share of items whose whole right content stands in the completion, whatever its form; None where it was not
    scored."""
    seeded: bool = False
    """It learns from labels, so that another draw of them gives another result."""
    one_seed: bool = False
    """It is seeded, and one draw was tried: no verdict can rest on it."""
    training_seconds: float = 0.0
    """Of one training, what it went on from left out."""
    seconds_error: float = 0.0
    """Standard error of ``seconds_per_request``, from how much the seconds of one arm differ from seed to seed."""
    fixed_error: float = 0.0
    """Standard error of ``fixed_seconds``, from how much the seeds' trainings differ."""
    latency_p95_seconds: float = 0.0
    side_latency_seconds: float = 0.0
    """Median of one request alone with the adapter beside the weights; 0 where there is none."""
    update_seconds: float = 0.0
    """To take in changed documents: indexing again, and training again where they were studied."""
    left_out: str = ""
    """What of it did not fit the model's window, in a sentence; empty where everything did."""
    labels: int = 0
    reads_documents: bool = False
    changes_weights: bool = False
    adapter: bool = False
    """What was learned can be kept beside the base's weights."""
    machines: tuple[str, ...] = ()
    """Where its seconds were measured."""
    trained_parameters: int = 0
    training_peak_bytes: float = 0.0
    peak_bytes: float = 0.0
    forgetting: float | None = None
    """The headline accuracy drop (``lab.measure.forgetting``); None where it was not measured."""
    forgetting_low: float = 0.0
    forgetting_high: float = 0.0

    @property
    def used(self) -> Used:
        """What its costs are made of."""
        return Used(
            self.fixed_seconds,
            self.seconds_per_request,
            self.seconds_error,
            self.fixed_error,
            self.prompt_tokens,
            self.cached_tokens,
            self.completion_tokens,
            self.update_seconds,
            self.labels,
            self.reads_documents,
        )


@dataclass(frozen=True)
class PairEvidence:
    """Two arms on the same items, first minus second, in shares of 1."""

    first: str
    second: str
    matched: bool
    """Both have one base model; else the two are compared *as deployed*."""
    difference: float
    low: float
    high: float
    p_holm: float
    """Holm over all pairs."""
    half_widths: list[float]
    """Half width of the one-sided bound at level ALPHA / k, for k = 1 up to the number of arms less one."""
    item_variance: float
    seed_variance: float
    total_variance: float
    one_seed: bool = False
    """One of the two learns from labels and was tried with one draw of them."""
    foreseen: list[list[float]] = field(default_factory=list)
    """For each of ``Evidence.plans``: ``half_widths`` after it."""

    @property
    def words(self) -> str:
        """The result in plain English; one seed makes no claim."""
        if self.one_seed:
            ahead, behind = (self.first, self.second) if self.difference >= 0 else (self.second, self.first)
            return f"{ahead} leads {behind}, with one seed{self._how}"
        if self.p_holm < ALPHA:
            better, worse = (self.first, self.second) if self.difference > 0 else (self.second, self.first)
            return f"{better} is better than {worse}{self._how}"
        return f"no difference shown between {self.first} and {self.second}{self._how}"

    @property
    def _how(self) -> str:
        return "" if self.matched else " (as deployed: other models)"


@dataclass(frozen=True)
class Evidence:
    """Arms in the order they were asked for, and every pair of them."""

    size: int | None
    rank: int | None
    """None: each arm at the rank that validation chose."""
    items: int
    arms: list[ArmEvidence] = field(default_factory=list)
    pairs: list[PairEvidence] = field(default_factory=list)
    provisional: bool = False
    unfinished: str = ""
    """What is missing of the run; empty where it is finished."""
    seeds: int = 1
    """Draws that were tried of the arm that has most."""
    items_at_hand: int = 0
    """Test items that the task has, those left out of the run included."""
    notes: list[str] = field(default_factory=list)
    """What the numbers are of, and what they leave open."""
    plans: list[Extension] = field(default_factory=list)
    """What the study could grow to."""
    moves: list[dict[str, float]] = field(default_factory=list)
    """For each of ``plans``: how far an arm's accuracy would move, as a standard deviation, by label."""

    def as_json(self) -> dict[str, Any]:
        """Plain data for the page, with the words that it repeats."""
        return asdict(self) | {"pairs": [asdict(p) | {"words": p.words} for p in self.pairs]}
