"""A key-value cache with room for the whole completion from the start.

transformers' own growing cache copies everything it holds at each token, and again whenever rows are taken out: half of
the time of completing many prompts that share a long beginning. Here a token is written into its place, and a finished
row is overwritten by the last one.
"""

from __future__ import annotations

from functools import partial

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer: the first ``rows`` x ``length`` of two tensors (rows,
    heads, room, width of a head)."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.rows, self.length = room, 0, 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make room for ``room`` tokens of as many rows as come first."""
        self.device, self.rows = key_states.device, key_states.shape[0]
        self._keys = key_states.new_empty(*key_states.shape[:2], self.room, key_states.shape[-1])
        self._values = value_states.new_empty(*value_states.shape[:2], self.room, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens behind the old ones; gives views of all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        self._keys[: self.rows, :, self.length : end] = key_states
        self._values[: self.rows, :, self.length : end] = value_states
        self.length = end
        self.keys, self.values = self._keys[: self.rows, :, :end], self._values[: self.rows, :, :end]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens it holds."""
        return self.length

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; only those that change their place are copied."""
        moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero()[:, 0]
        for stored in (self._keys, self._values):
            stored[moved, :, : self.length] = stored[indices[moved], :, : self.length]
        self.rows = len(indices)


def roomy_cache(room: int) -> Cache:
    """An empty cache for ``room`` tokens; its layers come as the network needs them."""
    return Cache(layer_class_to_replicate=partial(RoomyLayer, room))
