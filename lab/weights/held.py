"""Values that stand in a network's parameters for a while: how a base is asked where something else stands in them.

``with holding(own): ...`` puts values in the places of others and those back; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

Values = dict[torch.nn.Parameter, torch.Tensor]
"""What each parameter holds, or is to hold."""


def put(values: Values) -> None:
    """The parameters hold these values."""
    for parameter, value in values.items():
        parameter.data = value


@contextmanager
def holding(values: Values) -> Iterator[None]:
    """For the while; what the parameters held before comes back."""
    before = {p: p.data for p in values}
    put(values)
    try:
        yield
    finally:
        put(before)
