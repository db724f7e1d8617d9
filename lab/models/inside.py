"""What a network holds inside: the state of the last token after each layer.

``hidden_states(model, ["The warden of Tarnwick Hall"])`` is (layers + 1, texts, width).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lab.models.local import LocalModel


@torch.inference_mode()
def hidden_states(model: LocalModel, texts: Sequence[str]) -> np.ndarray:
    """(layers + 1, texts, width) float32: the last token's state after the embeddings and after each layer."""
    network, rows = model.network, []
    for text in texts:
        ids = torch.tensor([model.tokenizer(text)["input_ids"][: model.window]], device=network.device)
        states = network(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        rows.append(np.stack([s[0, -1].float().cpu().numpy() for s in states]))
    return np.stack(rows, axis=1)
