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
        self.make_room(key_states, value_states, key_states.shape[0])

    def make_room(self, keys: torch.Tensor, values: torch.Tensor, rows: int) -> None:
        """Make room for ``rows`` in the shape and number format of these keys and values."""
        self.device, self.rows = keys.device, rows
        self._keys = keys.new_empty(rows, keys.shape[1], self.room, keys.shape[-1])
        self._values = values.new_empty(rows, values.shape[1], self.room, values.shape[-1])
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
        return self.reach(end)

    def reach(self, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the first ``end`` tokens as held."""
        self.length = end
        self.keys, self.values = self._keys[: self.rows, :, :end], self._values[: self.rows, :, :end]
        return self.keys, self.values

    def take_in(self, row: int, width: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """A read prompt's keys and values (heads, tokens, width of a head), so that they end at column ``width``.

        What is left empty before them is masked when it is read, and must be a number all the same.
        """
        for stored, new in ((self._keys, keys), (self._values, values)):
            start = width - new.shape[1]
            stored[row, :, :start] = 0
            stored[row, :, start:width] = new

    def get_seq_length(self) -> int:
        """Tokens it holds."""
        return self.length

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; only those that change their place are copied."""
        # Of a network over several GPUs every layer lies where its block does.
        indices = indices.to(self.device)
        moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero()[:, 0]
        for stored in (self._keys, self._values):
            stored[moved, :, : self.length] = stored[indices[moved], :, : self.length]
        self.rows = len(indices)


def roomy_cache(room: int) -> Cache:
    """An empty cache for ``room`` tokens; its layers come as the network needs them."""
    return Cache(layer_class_to_replicate=partial(RoomyLayer, room))


def expanded(cache: Cache | None, rows: int, room: int) -> Cache:
    """A new cache with room, that begins with what another one holds of its one row, for every row."""
    wider = roomy_cache(room)
    for index, layer in enumerate(cache.layers if cache else ()):
        wider.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return wider


class Gathered:
    """The cache of a batch whose prompts are read in pieces: each row's keys and values end at the same column."""

    def __init__(self, rows: int, width: int, room: int) -> None:
        self.rows, self.width, self.room = rows, width, room
        self.layers: list[RoomyLayer] = []

    def take_in(self, row: int, source: Cache, place: int, length: int) -> None:
        """The first ``length`` tokens of a row of another cache."""
        if not self.layers:
            self.layers = [RoomyLayer(self.room) for _ in source.layers]
            for mine, its in zip(self.layers, source.layers):
                mine.make_room(its.keys, its.values, self.rows)
        for mine, its in zip(self.layers, source.layers):
            mine.take_in(row, self.width, its.keys[place, :, :length], its.values[place, :, :length])

    def cache(self) -> Cache:
        """What was gathered, to go on from."""
        whole = Cache(layers=self.layers)
        for layer in self.layers:
            layer.reach(self.width)
        return whole


def token_bytes(network: torch.nn.Module) -> int:
    """Bytes of the keys and values of one token in all layers."""
    config = network.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * network.dtype.itemsize
