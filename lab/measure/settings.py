"""What the user pays and decides by: prices, use and limits, each of them an option of the commands.

``Settings(monthly_requests=50_000, hosting="dedicated")``; nothing is loaded for it but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from lab.schema import LabError

MOST = 1e12
"""Of every price, month and request: beyond, arithmetic of money means nothing."""
HOSTINGS = ("shared", "dedicated", "api")


def option(default: Any, says: str, name: str = "", **more: Any) -> Any:
    """A field that is also an option of the commands: ``says`` is its help, ``name`` its flag where that differs."""
    return field(default=default, metadata={"help": says, "flag": name} | more)


@dataclass(frozen=True)
class Prices:
    """What the user pays, and how the system will be used."""

    price_per_hour_usd: float = option(1.0, "price of the machine; the default is an example")
    """Of the machine that trains and serves; an example to be replaced by the user's own."""
    hosting: str = option("shared", "shared (seconds of work are paid), dedicated (idle hours too) or api (tokens)")
    """``shared``: only seconds of work are paid; ``dedicated``: whole machines around the clock, idle hours too;
    ``api``: tokens, at the three prices below."""
    usd_per_million_prompt_tokens: float = option(0.0, "of an API")
    usd_per_million_cached_tokens: float = option(0.0, "of an API, for prompt tokens it has cached")
    usd_per_million_completion_tokens: float = option(0.0, "of an API")
    months: int = option(12, "months over which fixed costs are spread")
    """How long the system will run: what is made once is spread over them."""
    updates_a_month: float = option(0.0, "how often the knowledge changes")
    """How often the knowledge changes: arms that retrieve are indexed again,
    arms that have studied the documents trained again."""
    people_usd_per_hour: float = option(0.0, "an hour of labelling, writing and evaluating; shown apart, 0 by default")
    minutes_a_label: float = option(1.0, "a labelled example takes")
    document_hours: float = option(0.0, "to write and keep the documents")
    evaluation_hours: float = option(0.0, "to judge the system")

    def __post_init__(self) -> None:
        if self.hosting not in HOSTINGS:
            raise LabError(f"--hosting {self.hosting}: one of {', '.join(HOSTINGS)}")
        for name in (f.name for f in fields(Prices) if f.name != "hosting"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= MOST):
                raise LabError(f"--{name.replace('_', '-')} {str(value)[:40]}: a number from 0 to {MOST:g} is needed")
        if self.months < 1:
            raise LabError(f"--months {self.months}: at least 1")
        if self.hosting == "api" and not self.usd_per_million_prompt_tokens + self.usd_per_million_completion_tokens:
            raise LabError(
                "--hosting api: needs token prices; give --usd-per-million-prompt-tokens and "
                "--usd-per-million-completion-tokens, or take one of lab prices"
            )


class Arm(Protocol):
    """Whatever prices may be given for."""

    label: str
    name: str
    model: str


@dataclass(frozen=True)
class Settings(Prices):
    """What the user decides by: prices and use, and the limits."""

    margin: float = option(0.05, "accuracy (share of 1) that a cheaper arm may lose")
    monthly_requests: int = option(10_000, "requests a month")
    latency_limit_seconds: float | None = option(None, "seconds a request may take", "--latency-limit")
    forgetting_limit: float | None = option(
        None, "accuracy (share of 1) that a trained arm may lose on the probes, where its weights also serve others"
    )
    """Headline accuracy drop that is still allowed;
    None: the adapter serves this task alone, and forgetting is shown, not limiting."""
    by_arm: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Prices that hold for one arm or one model only: its label, name or model, and the fields that differ
    (``{"gpt-x": {"hosting": "api", "usd_per_million_prompt_tokens": 0.5}}``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("margin", "monthly_requests"):
            value = getattr(self, name)
            if not 0 <= value <= MOST or (name == "margin" and value == 0):
                flag = f"--{name.replace('_', '-')}"
                raise LabError(f"{flag} {str(value)[:40]}: a positive number is needed, at most {MOST:g}")
        if self.margin >= 1:
            raise LabError(f"--margin {self.margin:g}: a share of 1 is needed; 0.05 means 5 points")
        if self.latency_limit_seconds is not None and not 0 < self.latency_limit_seconds <= MOST:
            raise LabError(f"--latency-limit {self.latency_limit_seconds:g}: seconds above 0 are needed")
        if self.forgetting_limit is not None and not 0 <= self.forgetting_limit < 1:
            raise LabError(f"--forgetting-limit {self.forgetting_limit:g}: a share of 1 is needed; 0.05 means 5 points")
        for own in self.by_arm.values():
            self._with(own)

    def _with(self, own: dict[str, Any]) -> Prices:
        general = {f.name: getattr(self, f.name) for f in fields(Prices)}
        return Prices(**(general | own))

    def prices_of(self, arm: Arm) -> Prices:
        """The prices that hold for an arm: its own where there are any, by label,
        name or model; else the general ones."""
        own = next((self.by_arm[k] for k in (arm.label, arm.name, arm.model) if k in self.by_arm), {})
        return self._with(own)
