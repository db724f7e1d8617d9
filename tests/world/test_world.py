"""The generated world: parts never meet, everything is reproducible, pretraining resumes to the same result."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lab.models.device import machine
from lab.tasks.check import check_task
from lab.tasks.task import load_task, write_task
from lab.world.corpus import MIX, DocumentSource, Recipe, build_shard, encode_pieces
from lab.world.documents import ANSWER
from lab.world.facts import RELATIONS
from lab.world.names import NameMaker, part_of
from lab.world.operations import OPERATIONS
from lab.world.pretrain import PretrainConfig, pretrain, schedule
from lab.world.probes import PROBES, probe
from lab.world.public import held_out, public_world
from lab.world.tasks import GENERATORS, Knobs, generate

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
SMALL = Knobs(train=80, validation=20, test=40)


def corpus_text(documents=1500, seed=5):
    source = DocumentSource(random.Random(seed), [], [])
    kinds = [k for k in MIX if k not in ("english", "english_copying")]
    return "\n".join("".join(t for t, _ in source.draw(kinds[i % len(kinds)])) for i in range(documents))


def test_names_belong_to_one_part_for_ever():
    for part in ("world", "corpus", "probe", "task"):
        names = NameMaker(random.Random(0), part)
        assert {part_of(names.place()) for _ in range(50)} == {part}
        assert all(part_of(names.person().split()[-1]) == part for _ in range(50))


def test_entities_of_tasks_and_probes_never_occur_in_the_corpus():
    words = set(re.findall(r"[A-Z][a-z]+", corpus_text()))
    for name in GENERATORS:
        task = generate(name, SMALL)
        invented = {
            w for s in task.test for w in re.findall(r"[A-Z][a-z]+", s.input + " " + s.target) if part_of(w) == "task"
        }
        subjects = {
            w
            for d in task.documents
            for w in re.findall(r"[A-Z][a-z]{4,}", d.text)
            if w.endswith(("ford", "wick", "sen", "kin", "mere"))
        }
        assert {part_of(w) for w in subjects} <= {"task"}
        assert not {w for w in subjects & words}
        assert invented
    asked = {
        w
        for n in ("reading_5", "format_examples")
        for s, p in probe(n).items
        for w in re.findall(r"[A-Z][a-z]{4,}", s.input)
        if w.endswith(("ford", "wick", "sen", "kin", "mere"))
    }
    assert asked and not asked & words


def test_the_tasks_own_relations_and_unseen_wordings_stay_out():
    text = corpus_text()
    assert "warden" not in text and "visitor badge" not in text
    for operation in OPERATIONS:
        assert not set(operation.seen()) & set(operation.unseen())
        assert not any(f"{w}\n" in text for w in operation.unseen())


def test_unasked_facts_are_stated_but_never_asked():
    text = corpus_text(3000)
    unasked = [f for f in public_world().facts if held_out(f)]
    assert 0.1 < len(unasked) / len(public_world().facts) < 0.3
    for fact in unasked:
        assert not any(f": {q.format(s=fact.subject)}\n" in text for q in fact.relation.questions)
    stated = sum(
        any(_capital(w.format(s=f.subject, o=f.value)) in text for w in f.relation.statements) for f in unasked
    )
    assert stated / len(unasked) > 0.5


def _capital(text):
    return text[0].upper() + text[1:]


def test_operations_by_hand():
    apply = {o.name: o.apply for o in OPERATIONS}
    assert apply["reverse"]("a b c") == "c b a" and apply["swap"]("a b c") == "c b a" and apply["swap"]("a b") == "b a"
    assert (
        apply["drop_first"]("a b c") == "b c" and apply["count"]("a b c") == "3" and apply["opposite"]("hot") == "cold"
    )
    assert apply["spaces"]("a, b") == "a b" and apply["second"]("a b c") == "b" and apply["twice"]("a b") == "a a"


def test_shards_are_a_function_of_their_number(nano):
    recipe = Recipe(sequence=128, sequences_per_shard=24)
    first, again, other = (build_shard(recipe, nano.tokenizer, [], n) for n in (3, 3, 4))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert (first[1][first[0] == nano.tokenizer.pad_token_id] == 0).all()
    assert (first[0] != nano.tokenizer.pad_token_id).mean() > 0.9


def test_answers_carry_the_weight(nano):
    ids, weights = encode_pieces(nano.tokenizer, [[("Input: who?\nOutput:", 1), (" Ida\n\n", ANSWER)]])[0]
    answer = [i for i, w in zip(ids, weights) if w == ANSWER]
    assert nano.tokenizer.decode(answer).strip().startswith("Ida") and weights[0] == 0


@pytest.mark.parametrize("name", list(GENERATORS))
def test_bundled_tasks_are_reproduced_byte_for_byte(name, tmp_path):
    write_task(generate(name), tmp_path / name)
    for file in ("train.jsonl", "validation.jsonl", "test.jsonl", "task.toml"):
        assert (tmp_path / name / file).read_bytes() == (DATASETS / name / file).read_bytes(), file
    task = load_task(DATASETS / name)
    assert len(task.train) >= 2000 - 5 and len(task.test) >= 500
    assert not [f for f in check_task(task) if f.level == "error"]


def test_knobs_turn_what_they_say():
    noisy, clean = (
        generate("triage", Knobs(train=400, validation=20, test=40, label_noise=0.5)),
        generate("triage", Knobs(train=400, validation=20, test=40)),
    )
    wrong = sum(a.target != b.target for a, b in zip(noisy.train, clean.train)) / 400
    assert 0.4 < wrong < 0.6
    assert [s.target for s in noisy.test][:3] != [] and all(s.target.startswith("[") for s in noisy.test)
    assert (
        not generate("triage", Knobs(train=40, validation=10, test=20, rare_format=False))
        .test[0]
        .target.startswith("[")
    )
    assert len(generate("handbook", Knobs(train=80, validation=20, test=40, distractors=3)).documents) > 2 * len(
        generate("handbook", SMALL).documents
    )
    assert len(generate("handbook", Knobs(train=80, validation=20, test=40, wordings=3)).documents) == 3 * len(
        generate("handbook", SMALL).documents
    )
    known = generate("handbook", Knobs(train=80, validation=20, test=40, known_facts=True))
    assert {s.group for s in known.test} <= {f.subject for f in public_world().facts}


def test_every_handbook_answer_stands_in_its_document():
    task = generate("handbook", SMALL)
    texts = {d.id: d.text for d in task.documents}
    assert all(s.target in texts[s.evidence[0]] for s in (*task.train, *task.test))
    warden = next(r for r in RELATIONS if r.name == "warden")
    assert any(warden.questions[0].split("{s}")[0] in s.input for s in generate("handbook").test)


@pytest.mark.parametrize("name", PROBES)
def test_probes_are_the_same_for_ever(name):
    first, again = probe(name, 12), probe(name, 12)
    assert first.items == again.items and len(first.items) == 12
    assert probe(name, 6).items == first.items[:6]


def test_schedule_rises_stays_and_falls():
    config = PretrainConfig(warmup_steps=10)
    factors = [schedule(config, s, 100) for s in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[10:80] == [1.0] * 70
    assert factors[80] == 1.0 and factors[99] == pytest.approx(0.05)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    """A small tokenizer, as pretraining finds it in its work folder when it goes on."""
    from lab.world.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer([], 512, 128, documents=2000).save_pretrained(folder)
    return folder


def small_recipe(tokens: int) -> PretrainConfig:
    """A network of one layer, in batches of 256 tokens."""
    return PretrainConfig(
        hidden=32,
        layers=1,
        heads=2,
        intermediate=64,
        vocabulary=512,
        window=128,
        sequence=64,
        tokens=tokens,
        batch_tokens=256,
        warmup_steps=2,
        rows_per_shard=8,
    )


def test_pretraining_resumes_to_the_same_result(tmp_path, tokenizer_folder):
    for name in ("whole", "parts"):
        shutil.copytree(tokenizer_folder, tmp_path / name / "tokenizer")
    config = small_recipe(tokens=6 * 256)
    here = machine("cpu", "float32")
    whole = pretrain(config, None, tmp_path / "whole", here, compile_model=False)
    for stop in (2, 3, 5, None):
        parts = pretrain(config, None, tmp_path / "parts", here, compile_model=False, stop_after=stop)
    first, second = (load_file(f / "model.safetensors") for f in (whole, parts))
    assert first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
    record = json.loads((parts / "pretraining.json").read_text())
    assert record["steps"] == 6 and record["flops"] == 6 * record["parameters_without_embeddings"] * 6 * 256


def test_pretraining_refuses_another_recipe(tmp_path, tokenizer_folder):
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    from dataclasses import replace

    from lab.schema import LabError

    config = small_recipe(tokens=4 * 256)
    here = machine("cpu", "float32")
    pretrain(config, None, tmp_path, here, compile_model=False)
    with pytest.raises(LabError, match="another recipe"):
        pretrain(replace(config, seed=2), None, tmp_path, here, compile_model=False)


def test_few_public_facts_still_fill_every_split():
    task = generate("handbook", Knobs(known_facts=True))
    assert len(task.train) > 600 and len(task.validation) > 80 and len(task.test) > 150
    assert not {s.group for s in task.train} & {s.group for s in task.test}
