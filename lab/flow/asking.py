"""Prompts that are asked beside the task's own evaluations: for proposals, for questions on documents, of a judge.

``completed("judging", asked, decoding, model, store, "judging")`` gives their completions, stored like any result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lab.files import digest
from lab.models.local import LocalModel
from lab.models.prompts import render
from lab.schema import Completion, Decoding, Prompt
from lab.store import Draft, Store, read_completions, write_completions


def completed(
    purpose: str, asked: Sequence[tuple[str, Prompt]], decoding: Decoding, model: LocalModel, store: Store, split: str
) -> list[Completion]:
    """One completion a prompt, in order; found where the same was asked for the same ``purpose`` before.

    ``split`` says what the prompts were made from.
    """
    what = {
        "kind": "evaluation",
        "model": model.revision,
        purpose: digest([[i, render(p)] for i, p in asked]),
        "decoding": decoding.as_json(),
    }

    def work(draft: Draft) -> dict[str, Any]:
        write_completions(draft.folder, model.complete(asked, decoding))
        return {"items": len(asked), "split": split}

    return read_completions(store.once("evaluation", what, work, asdict(model.machine)))
