"""Virtual tokens: learned vectors that stand before every text of a network, as tokens that are no word.

Their ids follow the vocabulary's. Whoever gives a network tokens puts ``lead_of(network)`` before them; a network
without virtual tokens has an empty lead. What the network makes of such an id the class says: its embedding is learned
(``SoftPrompt``), or its keys and values in every layer are (``Prefix``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import Cache, DynamicCache

from lab.models.reading import cache_argument


def lead_of(network: torch.nn.Module) -> list[int]:
    """Ids that stand before every text of this network."""
    return network.lead if isinstance(network, VirtualTokens) else []


class VirtualTokens(torch.nn.Module, ABC):
    """A base network, which stays as it is, with ``count`` virtual tokens; has all attributes of the base."""

    def __init__(self, base: torch.nn.Module, count: int) -> None:
        super().__init__()
        self.base = base
        self.first = base.get_input_embeddings().num_embeddings
        self.lead = list(range(self.first, self.first + count))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)

    def get_base_model(self) -> torch.nn.Module:
        """The network without its virtual tokens."""
        return self.base

    def forward(self, input_ids: torch.Tensor, **more: Any) -> Any:
        """As the base's, virtual ids among ``input_ids`` (rows, tokens)."""
        virtual = input_ids >= self.first
        if not virtual.any():
            return self.base(input_ids=input_ids, **more)
        embedded = self.base.get_input_embeddings()(input_ids.masked_fill(virtual, 0))
        return self.read(embedded, virtual, (input_ids - self.first).clamp_min(0), more)

    @abstractmethod
    def read(self, embedded: torch.Tensor, virtual: torch.Tensor, number: torch.Tensor, more: dict[str, Any]) -> Any:
        """The base's output; where ``virtual`` (rows, tokens), the virtual token of that ``number`` stands."""


class SoftPrompt(VirtualTokens):
    """Learned embeddings: ``prompt`` (count, width)."""

    def __init__(self, base: torch.nn.Module, prompt: torch.Tensor) -> None:
        super().__init__(base, len(prompt))
        self.prompt = torch.nn.Parameter(prompt.float())

    def read(self, embedded, virtual, number, more):
        """Embeddings are replaced."""
        learned = self.prompt[number].to(embedded.dtype)
        return self.base(inputs_embeds=torch.where(virtual[..., None], learned, embedded), **more)


class Prefix(VirtualTokens):
    """Learned keys and values: ``prefix`` (layers, 2, count, heads of keys, width of a head)."""

    def __init__(self, base: torch.nn.Module, prefix: torch.Tensor) -> None:
        super().__init__(base, prefix.shape[2])
        self.prefix = torch.nn.Parameter(prefix.float())

    def read(self, embedded, virtual, number, more):
        """Keys and values are replaced on their way into the cache; without one, one is made for this pass."""
        name = cache_argument(self.base)
        cache = more.get(name)
        if cache is None:
            cache = DynamicCache(config=self.base.config)
        with self._overriding(cache, virtual[:, None, :, None], number):
            return self.base(inputs_embeds=embedded, **(more | {name: cache}))

    @contextmanager
    def _overriding(self, cache: Cache, virtual: torch.Tensor, number: torch.Tensor) -> Iterator[None]:
        update = cache.update

        def instead(keys: torch.Tensor, values: torch.Tensor, layer: int, *rest, **named):
            # Of a network over several GPUs every layer lies where its block does.
            learned = self.prefix[layer].to(keys)[:, number.to(keys.device)].transpose(2, 3)
            at = virtual.to(keys.device)
            keys, values = (torch.where(at, mine, its) for mine, its in zip(learned, (keys, values)))
            return update(keys, values, layer, *rest, **named)

        cache.update = instead
        try:
            yield
        finally:
            del cache.update


@torch.no_grad()
def keys_and_values(network: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """What a network makes of a text: (layers, 2, tokens, heads of keys, width of a head), as ``Prefix`` holds them.

    Raises ValueError where its layers are not all of one shape, or keep no keys and values.
    """
    name = cache_argument(network)
    cache = DynamicCache(config=network.config)
    network(input_ids=torch.tensor([ids], device=network.device), use_cache=True, **{name: cache})
    layers = [(getattr(at, "keys", None), getattr(at, "values", None)) for at in cache.layers]
    if any(kept is None for layer in layers for kept in layer):
        raise ValueError("a layer keeps no keys and values")
    if len({tuple(kept.shape) for layer in layers for kept in layer}) != 1:
        raise ValueError("keys and values differ in shape from layer to layer")
    held = [torch.stack([kept[0].transpose(0, 1) for kept in layer]) for layer in layers]
    return torch.stack([layer.to(network.device) for layer in held])
