"""Forgetting with real parts: an adapter that changes nothing, one that forgets,
replay, and what probes must never touch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.context.examples import FixedExamples
from lab.context.none import NoContext
from lab.experiments.levers.run import read_axes, sweep
from lab.flow.bench import Bench, RunSpec
from lab.flow.methods import Candidate, Method
from lab.flow.probing import Prober, ProbeSet, abilities, forgetting_probes
from lab.flow.runner import Runner
from lab.measure.forgetting import compared
from lab.measure.statistics import wilson
from lab.models.likelihood import kl_each
from lab.schema import Completion, LabError, Prompt, Usage
from lab.tasks.task import load_task
from lab.weights.base import TrainingData
from lab.weights.lora import Lora
from lab.weights.scratch import Scratch
from lab.weights.trained import Trained
from lab.weights.training import Schedule
from lab.world.general import general_texts, world_texts
from lab.world.probes import FACTS, SKILLS, probe
from tests.conftest import make_task
from tests.weights.test_weights import PAIRS, logits, quiet

DATASETS = Path(__file__).resolve().parents[2] / "datasets"


def small_probes(nano) -> ProbeSet:
    general = general_texts(nano, None)
    return ProbeSet(
        (probe("word_operations", 24), probe("facts_by_choice", 24)),
        type(general)(general.name, general.replay, general.probe[:8]),
    )


def having(model, weights, folder):
    """What gives a model with an adaptation, merged or beside the weights."""
    return lambda beside=False: (weights.beside if beside else weights.apply)(model, folder)


def test_an_untrained_adapter_forgets_exactly_nothing(nano, store, tmp_path):
    probes, prober = small_probes(nano), Prober(nano, store)
    with Lora(rank=8).prepared(nano, 0, None) as network:
        network.save_pretrained(tmp_path)
    base = {p.probe: p for p in probes.of_base(prober)}
    untouched = having(nano, Lora(rank=8), tmp_path)
    lost = compared(base, probes.of_adapted(prober, "no such adaptation", untouched, method="lora"), "lora")
    assert all((c.drop, c.lost, c.gained) == (0, 0, 0) for c in lost.changes) and (
        lost.headline.drop,
        lost.headline.high,
    ) == (0, 0)
    assert lost.likelihood.increase == 0 and lost.likelihood.kl == 0
    assert (
        base["facts_by_choice"].correct != base["word_operations"].correct and sum(base["word_operations"].correct) > 18
    )


def test_overtraining_forgets_and_replay_helps(nano, store, tmp_path):
    probes, prober = small_probes(nano), Prober(nano, store)
    base = {p.probe: p for p in probes.of_base(prober)}
    drops = {}
    general = tuple(text[:300] for text in probes.general.replay)
    for name, weights in (
        ("plain", Lora(rank=8, learning_rate=1e-2, minimum_steps=40)),
        ("replay", Lora(rank=8, learning_rate=1e-2, minimum_steps=40, replay=0.2)),
    ):
        weights.adapt(nano, TrainingData(PAIRS, PAIRS[:4], general=general), tmp_path / name, 0, quiet)
        drops[name] = compared(
            base,
            probes.of_adapted(prober, name, having(nano, weights, tmp_path / name), method="lora"),
            "lora",
        )
    assert drops["plain"].headline.low > 0.1, "a hard training on a narrow task forgets, and the interval shows it"
    assert drops["plain"].likelihood.low > 0 and drops["plain"].likelihood.kl > 0.1
    assert drops["replay"].likelihood.kl < 0.5 * drops["plain"].likelihood.kl
    assert drops["replay"].headline.drop < drops["plain"].headline.drop


def test_every_lever_changes_the_training(tiny, tmp_path):
    base = {"rank": 2, "learning_rate": 5e-3, "epochs": 2, "minimum_steps": 12, "batch_size": 4}
    general, seen = tuple(world_texts("replay", 20)), {}
    levers = (
        {},
        {"decay": "constant"},
        {"decay": "linear"},
        {"weight_decay": 0.5},
        {"replay": 0.3},
        {"kl": 1.0},
        {"wrong_labels": 0.5},
        {"distinct": 3},
    )
    for number, lever in enumerate(levers):
        weights = Lora(**base, **lever)
        log = weights.adapt(tiny, TrainingData(PAIRS, PAIRS[:8], general=general), tmp_path / str(number), 0, quiet)
        seen[str(lever)] = logits(weights.apply(tiny, tmp_path / str(number))).sum().item()
        assert (log.general_tokens > 0) == weights.needs_general
        assert log.optimizer_bytes > 0 and log.peak_bytes > 0
    assert len(set(seen.values())) == len(levers), seen


def test_replay_is_the_share_it_says():
    schedule = Schedule(1e-3, 1, 1, 16, replay=0.05)
    items = sum(schedule.general_items(s) for s in range(1, 1001))
    assert items / (items + 16_000) == pytest.approx(0.05, abs=1e-4)
    assert [Schedule(1e-3, 1, 1, 16).general_items(s) for s in (1, 2)] == [0, 0]


def test_taught_pairs_by_hand():
    weights = Lora(wrong_labels=0.25, distinct=4)
    taught = weights._taught(PAIRS, 0)
    assert len(taught) == len(PAIRS) and len({p for p, _ in taught}) == 4
    right = dict(PAIRS)
    assert sum(t != right[p] for p, t in taught) == round(0.25 * len(PAIRS))


def test_replay_without_general_texts_is_refused(tiny, tmp_path):
    with pytest.raises(LabError, match="--general-text"):
        Lora(replay=0.1).adapt(tiny, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    for wrong in ({"replay": 1.0}, {"kl": -1}, {"decay": "step"}, {"wrong_labels": 2}):
        with pytest.raises(LabError):
            Lora(**wrong)


def test_kl_by_hand(tiny):
    import torch

    a, b = torch.tensor([[0.0, 1.0]]).log(), torch.tensor([[0.5, 0.5]]).log()
    a[0, 0] = -50.0
    assert kl_each(a, b).item() == pytest.approx(0.6931, abs=1e-3) and kl_each(b, b).item() == 0


def test_choice_is_by_likelihood_a_character(nano):
    """Against plain arithmetic on the network's own logits."""
    import torch

    prompt, candidates = Prompt("Answer the question.", "Which is it?"), ("yes", "certainly not today")
    chosen = nano.choose([("x", prompt, candidates)])[0].text
    context = nano.encode(prompt, 20).tokens
    scores = []
    for candidate in candidates:
        target = nano.encode_target(candidate)
        log = nano.network(input_ids=torch.tensor([context + target])).logits[0, len(context) - 1 : -1].log_softmax(-1)
        scores.append(float(log[torch.arange(len(target)), torch.tensor(target)].sum()) / len(candidate))
    assert chosen == candidates[scores.index(max(scores))]


def test_training_from_scratch_begins_without_the_base(nano, tmp_path):
    weights = Scratch(minimum_steps=4, epochs=1)
    with weights.prepared(nano, 0, None) as network:
        assert not logits(nano.beside(network.eval())).allclose(logits(nano), atol=1.0)
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) == nano.parameters
    weights.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    assert logits(weights.apply(nano, tmp_path)).shape == logits(nano).shape


def test_frozen_layers_stay_as_they_are(nano, tmp_path):
    from lab.weights.full import Full

    weights = Full(minimum_steps=4, epochs=1, learning_rate=1e-2, frozen_layers=4)
    log = weights.adapt(nano, TrainingData(PAIRS, PAIRS[:8]), tmp_path, 0, quiet)
    before, after = (
        dict(nano.network.named_parameters()),
        dict(weights.apply(nano, tmp_path).network.named_parameters()),
    )
    moved = {n for n in before if not before[n].equal(after[n])}
    assert moved and all(".layers.4." in n or ".layers.5." in n or n == "model.norm.weight" for n in moved)
    assert log.trained_parameters == sum(
        before[n].numel() for n in before if ".layers.4." in n or ".layers.5." in n or n == "model.norm.weight"
    )
    with pytest.raises(LabError, match="has 6 layers"), Full(frozen_layers=9).prepared(nano, 0, None):
        pass


def test_probe_items_never_occur_in_a_tasks_training_data_or_in_replay():
    asked = {s.input for name in (*SKILLS, *FACTS) for s, _ in probe(name).items}
    for folder in sorted(DATASETS.iterdir()):
        task = load_task(folder)
        assert not asked & {s.input for s in (*task.labelled, *task.test)}, folder.name
    replayed = world_texts("replay", 600)
    assert not [q for q in {s.input for s, _ in probe("public_facts").items} if any(q in text for text in replayed)]
    assert not set(replayed) & set(world_texts("probe", 64))


def test_a_context_is_asked_too(nano, store):
    task = make_task(60, documents=False)
    bench = Bench(task, nano, store)
    spec = RunSpec(Candidate(FixedExamples(k=3), Lora()), 30, 0)
    prober = Prober(nano, store)
    found = ProbeSet((probe("word_operations", 12),)).in_context(prober, bench.fitted(spec), method="few_shot")
    assert found[0].in_context and len(found[0].outcomes) == 12
    assert found[0].evaluation != prober.base(probe("word_operations", 12)).key, (
        "the prompt differs, so the result is another one"
    )


def test_a_sweep_moves_one_lever_at_a_time(nano, store, monkeypatch):
    import lab.flow.methods
    from lab.experiments.levers.points import Sweep, frontier, measured

    quick = Candidate(NoContext(), Lora(rank=4, learning_rate=5e-3, minimum_steps=10, epochs=1))
    monkeypatch.setattr(lab.flow.methods, "presets", lambda offer: {"lora": Method("lora", (quick,))})
    bench = Bench(make_task(80, documents=False), nano, store, general=general_texts(nano, None))
    found = sweep(bench, small_probes(nano), "lora", 24, read_axes(["replay=0.2", "wrong_labels=0.5"], Lora()), 1)
    assert [(p.axis, p.value) for p in found.points] == [("start", None), ("replay", 0.2), ("wrong_labels", 0.5)]
    assert [p.weights.get("replay") for p in found.points] == [None, 0.2, None] and len(
        {p.adaptation for p in found.points}
    ) == 3
    assert found.points[0].items >= 20, "quality is measured on items outside the draw"
    path = store.home / "sweep.json"
    found.save(path)
    assert measured(Sweep.load(path)) == measured(found)
    best = frontier(measured(found))
    assert best and all(r.lost.headline.probes == ("word_operations", "facts_by_choice") for r in best)
    with pytest.raises(LabError, match="axes are learning_rate"):
        read_axes(["speed=1"], Lora())
    assert read_axes(["wordings=1,2,5"], Lora(study=True)) == {"wordings": [1, 2, 5]}
    with pytest.raises(LabError, match="axes are learning_rate"):
        read_axes(["wordings=1"], Lora())
    with pytest.raises(LabError, match="replay 2.0"):
        read_axes(["replay=2"], Lora())


def test_general_texts_of_a_foreign_model_come_from_a_file(tiny, tmp_path):
    assert general_texts(tiny, None) is None and forgetting_probes(tiny).general is None
    assert {p.name for p in forgetting_probes(tiny).asked} == set(SKILLS)
    file = tmp_path / "text.txt"
    file.write_text("\f".join(f"Document number {i} says something of its own." for i in range(120)))
    general = general_texts(tiny, file)
    assert len(general.probe) == 3 and not set(general.probe) & set(general.replay)


def test_settings_of_older_results_are_unchanged():
    """The recipes' new fields must not change the keys of what was stored before them."""
    from lab.flow.families import settings_of

    assert settings_of(Lora(learning_rate=2e-3)) == {"name": "lora", "learning_rate": 2e-3}
    assert issubclass(Lora, Trained) and json.dumps(settings_of(Scratch())) == '{"name": "scratch"}'


def test_what_is_stored_is_forecast_to_take_no_time(nano, store):
    from lab.flow.forecast import Forecast
    from lab.flow.plan import expand

    bench, probes = Bench(make_task(60, documents=False), nano, store), ProbeSet((probe("word_operations", 12),))
    plan = expand(["few_shot"], [16], [30], 1, bench.task)
    (cell,) = plan.cells
    assert Forecast(bench, plan, probes).cell(cell) > 0
    Runner(bench, probes).run(plan)
    assert Forecast(bench, plan, probes).cell(cell) == 0
    others = ProbeSet((probe("word_operations", 13),))
    assert Forecast(bench, plan, others).cell(cell) > 0, "other items have not been asked yet"


def test_an_answer_in_a_sentence_shows_the_ability_and_an_echo_does_not(tiny, store, monkeypatch):
    """60 % sentences that hold the answer and 40 % silence: content .6, exactly right none, by hand."""
    asked = {name: probe(name, 20) for name in ("reading_5", "instruction", "format_examples")}

    def complete(items, decoding, progress=None):
        told = {s.id: (s, p) for a in asked.values() for s, p in a.items}
        said = {i: f"I think that it is {told[i][0].target}, yes." for i, _ in items if int(i.split("-")[1]) < 12}
        return [Completion(i, said.get(i, ""), Usage(1, 1)) for i, _ in items]

    monkeypatch.setattr(tiny, "complete", complete)
    found = abilities(Prober(tiny, store), list(asked), 20)
    assert found["reading_5"]["accuracy"] == 0 and found["reading_5"]["content"] == 0.6
    assert found["reading_5"]["content_high"] == pytest.approx(wilson(12, 20)[1])
    fresh = [s.target.lower() not in s.input.lower() for s, _ in asked["instruction"].items[:12]]
    assert 0 < sum(fresh) < 12 and found["instruction"]["content"] == sum(fresh) / 20
    assert "content" not in found["format_examples"], "there the form is what is asked"
