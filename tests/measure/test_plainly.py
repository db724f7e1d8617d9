"""Every arm there can be has plain words, and says what it does differently from its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab.context
import lab.weights
from lab.flow.families import members, settings_of
from lab.flow.methods import method, presets
from lab.measure.plainly import BASELINES, CONTEXTS, WEIGHTS, arms_in_words
from lab.models.baselines import BASELINES as MODELS
from lab.study import Study
from tests.test_decision import outcomes, study_of

REPORTS = sorted(Path(__file__).resolve().parents[2].glob("reports/**/study.json"))


def test_every_context_weights_and_baseline_has_words_of_its_own():
    for words, family in ((CONTEXTS, members(lab.context)), (WEIGHTS, members(lab.weights)), (BASELINES, MODELS)):
        assert set(words) == set(family) and len(set(words.values())) == len(words)


def said(names: list[str]) -> dict[str, str]:
    """The words of methods, as a study of them has them."""
    study = study_of({name: [outcomes(0.5, 40, 0)] for name in names})
    for cell in study.cells:
        chosen = method(cell.method).candidates[0]
        cell.context, cell.weights = settings_of(chosen.context), settings_of(chosen.weights)
    return arms_in_words(study)


def test_methods_that_differ_are_told_apart():
    names = [n for n in presets() if n not in BASELINES]
    words = said(names)
    assert set(words) == set(names)
    twins = {}
    for name, text in words.items():
        twins.setdefault(text, []).append(name)
    assert [names for names in twins.values() if len(names) > 1] == []


def test_words_by_hand():
    words = said(["zero_shot", "few_shot_rag", "study_lora", "qa_lora"])
    adapter = "the base model with a small trained adapter (LoRA)"
    alone = "asked with the instruction and the input alone"
    assert words == {
        "zero_shot": f"the base model, {alone}",
        "few_shot_rag": "the base model, given passages found in the documents and worked examples",
        "study_lora": f"{adapter}, after it has read the documents, {alone}",
        "qa_lora": f"{adapter}, after it has read the documents as questions and answers, {alone}",
    }


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: str(p.parent))
def test_every_arm_of_the_committed_studies_has_them(path):
    study = Study.load(path)
    assert list(arms_in_words(study)) == study.arms()
