"""What each arm of a study is, and what the page's words mean, for people who meet them for the first time.

``arms_in_words(study)`` gives ``{"rag_lora": "the base model with a small trained adapter (LoRA), given passages
found in the documents"}``.
"""

from __future__ import annotations

from typing import Any

from lab.study import Cell, Study

CONTEXTS = {
    "none": "asked with the instruction and the input alone",
    "instructions": "asked with the best of several instructions",
    "examples": "shown worked examples, the same every time",
    "random_examples": "shown worked examples drawn at random",
    "nearest": "shown the labelled examples most like the input",
    "passages": "given passages found in the documents",
    "reranked_passages": "given passages found in the documents and sorted by a second model",
    "tuned_passages": "given passages found by an embedder that was trained on the task's questions",
    "nearest_passages": "given passages found in the documents, and the labelled examples most like the input",
}
"""By the class of the context: what stands in the prompt."""
WEIGHTS = {
    "frozen": "the base model",
    "lora": "the base model with a small trained adapter (LoRA)",
    "dora": "the base model with a small trained adapter (DoRA, LoRA with magnitudes)",
    "rslora": "the base model with a small trained adapter (LoRA, scaled for high ranks)",
    "qlora": "the base model in four bits with a small trained adapter (QLoRA)",
    "ia3": "the base model with trained factors on its layers' outputs ((IA)3)",
    "bitfit": "the base model with its biases and norms trained",
    "last_layers": "the base model with its last layers trained",
    "full": "the base model with all weights trained",
    "scratch": "a network of the base's shape trained from nothing on this task",
    "prompt_tuning": "the base model behind trained tokens that are no words",
    "prefix_tuning": "the base model behind trained tokens that every layer attends to",
    "dpo": "the base model with an adapter (LoRA) that was then trained to prefer right answers to wrong ones (DPO)",
}
"""By the class of the weights: what answers."""
BASELINES = {
    "majority": "no language model: always the most frequent answer",
    "linear": "no language model: logistic regression on words",
    "embedding_linear": "no language model: logistic regression on sentence vectors",
    "embedding_nearest": "no language model: the answer of the most similar labelled example",
}
WORDS = {
    "arm": "one way of using the model, a contestant of the comparison; r16 is an adapter of rank 16 (its size)",
    "right": "share of test items whose answer the task's scorer takes",
    "content": "the right answer stands somewhere in the completion, whatever is written around it",
    "points": "percentage points; a difference in parentheses holds the true one in 95 of 100 studies",
    "margin": "how much worse an arm may be and still be taken for being cheaper",
    "draw": "one random choice of the labelled examples; another draw gives another training",
    "gold": "the passages that hold the answer, as if the search never missed",
    "forgets": "what the model could do before the training and can't do after it, by probes of other skills",
    "break-even": "requests a month at which two arms cost the same",
}
"""Word of the page: its meaning."""


def arms_in_words(study: Study) -> dict[str, str]:
    """Every arm's name with what it is, in the study's order; without an arm that has no words."""
    found = {study.name_of(cell): _in_words(cell) for cell in reversed(study.cells) if cell.control in ("", "baseline")}
    return {name: found[name] for name in study.arms() if found.get(name)}


def _in_words(cell: Cell) -> str:
    if cell.method in BASELINES:
        return BASELINES[cell.method]
    answers, stands = WEIGHTS.get(cell.weights.get("name", "")), CONTEXTS.get(cell.context.get("name", ""))
    if answers is None or stands is None:
        return ""
    return f"{answers}{_before(cell.weights)}, {stands}{_beside(cell.context)}"


def _before(weights: dict[str, Any]) -> str:
    """What was read before the labelled examples."""
    if weights.get("wordings"):
        return ", after it has read the documents as questions and answers"
    return ", after it has read the documents" if weights.get("study") else ""


def _beside(context: dict[str, Any]) -> str:
    return " and worked examples" if context["name"] == "passages" and context.get("examples") else ""
