"""Attention of few tokens a row on a CPU, by two batched products: a new token, or a short text in training.

PyTorch's fused kernel is made for long queries. With one query a row it takes longer than the products themselves
(64 rows of 300 tokens, whole steps of SmolLM2-135M in bfloat16: 500 against 190 ms), and so does its backward pass on
short texts (16 rows of 69 tokens, bfloat16: 31 against 6 ms a layer). Everything else goes to transformers' own
``sdpa``, through the interface that it has for this.
"""

from __future__ import annotations

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "lab_sdpa"
SHORT = 128
"""Tokens of a text up to which training takes the products: beyond, the fused kernel holds less and is as fast."""


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more,
) -> tuple[torch.Tensor, None]:
    """``sdpa`` by other means where queries are few: query (rows, heads, queries, width), key and value
    (rows, key heads, tokens, width), mask (rows, 1, queries, tokens) of bool, or None for the causal order."""
    queries, tokens = query.shape[2], key.shape[2]
    few = queries == 1 or (query.requires_grad and queries == tokens <= SHORT and attention_mask is not None)
    plain = more.get("position_bias") is None and more.get("softcap") is None and not dropout
    boolean = attention_mask is None or attention_mask.dtype == torch.bool
    if query.device.type != "cpu" or not (few and plain and boolean):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **more)
    rows, heads, _, width = query.shape
    group = heads // key.shape[1]
    grouped = query.reshape(rows, key.shape[1], group * queries, width)
    # In this order: with the keys turned round instead, bfloat16 products copy all of them first.
    weights = (key @ grouped.transpose(-1, -2)).transpose(-1, -2).float()
    weights = weights * (width**-0.5 if scaling is None else scaling)
    if attention_mask is not None:
        # The lowest number and not minus infinity: filling before a text sees nothing at all, and must stay a number.
        weights = weights.view(rows, -1, group, queries, tokens)
        weights = weights.masked_fill(~attention_mask[:, None], torch.finfo(weights.dtype).min)
    weights = weights.softmax(dim=-1).to(value.dtype).view(rows, -1, group * queries, tokens)
    answer = (weights @ value).view(rows, heads, queries, value.shape[-1])
    return answer.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def attend_well(network) -> None:
    """Have a network that attends by ``sdpa`` do so by ``attention`` on a CPU, and never by cuDNN on a GPU.

    cuDNN's backward pass gives gradients that are no numbers for masked texts of 64, 192, 320 ... tokens on H100 and
    H200 (pytorch issue 196678, since torch 2.11): trainings on short texts ended so. The other kernels are sound.
    """
    if network.device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
    if network.device.type == "cpu" and network.config._attn_implementation == "sdpa":
        network.set_attn_implementation(NAME)
