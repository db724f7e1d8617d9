"""Plans and budgets: whole cells go, dearest first; never an arm, never the second seed."""

from __future__ import annotations

from itertools import product

import pytest

import lab.context
import lab.weights
from lab.context.base import Offer
from lab.flow.families import members
from lab.flow.methods import CANDIDATES, method, presets
from lab.flow.plan import apply_budget, expand, parse_budget
from lab.flow.search import beyond
from lab.models.base import Size
from lab.schema import LabError
from tests.conftest import make_task

TASK = make_task(200)
TRAINED = [name for name, kind in members(lab.weights).items() if kind.trains]


def planned(seconds=None, **changes):
    axes = {"names": ["zero_shot", "lora"], "ranks": [4, 16], "sizes": [50, 100], "seeds": 3} | changes
    plan = expand(**axes, task=TASK)
    plan.seconds = {
        c: (seconds or (lambda c: 1.0 if c.method == "zero_shot" else float(c.size)))(c) for c in plan.cells
    }
    plan.search_seconds = {(m.name, 100): 10.0 for m in plan.methods}
    return plan


def test_axes_expand_only_where_they_change_something():
    plan = planned()
    assert [c for c in plan.cells if c.method == "zero_shot"] == [plan.cells[0]] and plan.cells[0].size is None
    assert len([c for c in plan.cells if c.method == "lora"]) == 2 * 2 * 3
    assert len(expand(["few_shot"], [4, 16], [50], 3, TASK).cells) == 3
    assert plan.cells[-1].label == "lora rank 16 size 100 seed 3"


def test_every_arm_gets_the_same_number_of_looks():
    for m in presets().values():
        assert len(set(m.candidates)) == len(m.candidates) == CANDIDATES, m.name


def test_pairs_by_the_classes_own_names_get_the_grid_of_their_preset():
    contexts, weights = members(lab.context), members(lab.weights)
    for left, right in product(contexts, weights):
        m = method(f"{left}+{right}")
        if not contexts[left]().is_control:
            assert len(set(m.candidates)) == CANDIDATES, m.name
    assert method("passages+frozen").candidates == method("rag").candidates
    assert method("none+dora").candidates == method("dora").candidates
    assert method("passages+lora").candidates == method("rag_lora").candidates


def test_presets_are_derived_from_the_two_families():
    """Every context before every trained method, with and without a reading of the documents first."""
    frozen = {n for n, m in presets().items() if not m.trains}
    examples = {"few_shot", "few_shot_nearest", "few_shot_rag", "nearest_rag"}
    assert frozen == {"zero_shot", "instruction_search", "rag", "rerank_rag", "tuned_rag"} | examples
    trained = [w for w, kind in members(lab.weights).items() if kind.trains]
    for weights in trained:
        assert {weights, f"study_{weights}", f"rag_{weights}", f"few_shot_{weights}"} <= set(presets())
    assert len(presets()) == len(frozen) * (1 + 3 * len(trained))
    assert presets()["rag"].needs_documents and presets()["study_dora"].needs_documents
    assert not presets()["dora"].needs_documents


def test_one_arm_under_two_names_is_refused():
    with pytest.raises(LabError, match="rag and passages\\+frozen are one arm|passages\\+frozen and rag are one arm"):
        expand(["rag", "passages+frozen"], [16], [50], 1, TASK)


def test_rates_of_lora_and_full_are_their_own():
    lora, full = ({c.weights.learning_rate for c in method(n).candidates} for n in ("lora", "full"))
    assert lora != full and max(full) < max(lora)


def test_no_budget_drops_nothing_and_a_large_one_neither():
    for budget in (None, 1e9):
        plan = planned()
        apply_budget(plan, budget)
        assert plan.dropped == []


@pytest.mark.parametrize("budget", [1020, 700, 420, 260])
def test_a_budget_drops_the_dearest_but_never_an_arm_or_the_second_seed(budget):
    plan = planned()
    before = set(plan.cells)
    apply_budget(plan, budget)
    assert plan.total_seconds <= budget
    assert set(plan.cells) | set(plan.dropped) == before
    headline = [c for c in plan.cells if c.method == "lora" and c.size == 100 and c.rank == 16]
    assert {1, 2} <= {c.seed for c in headline}
    assert any(c.method == "zero_shot" for c in plan.cells)
    dropped = [plan.seconds[c] for c in plan.dropped]
    assert dropped == sorted(dropped, reverse=True)


def test_a_size_that_is_dropped_whole_needs_no_search():
    plan = planned()
    plan.search_seconds[("lora", 50)] = 100.0
    assert plan.searching("lora") == 110.0
    plan.cells = [c for c in plan.cells if c.size != 50]
    assert plan.searching("lora") == 10.0


def test_seeds_of_a_rank_go_together_highest_first():
    plan = planned(lambda c: 0.0 if c.method == "zero_shot" else c.size + [3.0, 0.0, 1.0][c.seed - 1])
    apply_budget(plan, plan.total_seconds - 1)
    assert [(c.rank, c.size, c.seed) for c in plan.dropped] == [(4, 100, 3)]


def test_a_budget_below_the_smallest_honest_plan_is_refused():
    with pytest.raises(LabError, match="raise the budget"):
        apply_budget(planned(), 100)


@pytest.mark.parametrize(("text", "seconds"), [("20m", 1200), ("90s", 90), ("1.5h", 5400), ("", None)])
def test_budgets_are_read(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["20", "m", "-5m", "x"])
def test_bad_budgets_are_refused(text):
    with pytest.raises(LabError, match="--budget"):
        parse_budget(text)


def test_bad_axes_list_what_is_valid():
    with pytest.raises(LabError, match="unknown method 'loar'; one of zero_shot, few_shot"):
        expand(["loar"], [16], [50], 3, TASK)
    with pytest.raises(LabError, match="--sizes 5000"):
        expand(["lora"], [16], [5000], 3, TASK)
    with pytest.raises(LabError, match="--ranks 0"):
        expand(["lora"], [0], [50], 3, TASK)
    with pytest.raises(LabError, match="needs documents"):
        expand(["rag"], [16], [20], 3, make_task(documents=False))
    assert method("nearest+full").candidates[0].weights.name == "full"


def test_recipes_follow_the_model_and_the_labs_own_are_fixed(nano):
    """By hand: 5e-4 x (2000 / 576)^0.78 = 1.321e-3 for LoRA, a tenth of it for full fine-tuning."""
    assert nano.size is None and not any(m.moves for m in presets().values())
    small, large = Size(576, 134_515_008), Size(4096, 8_030_000_000)
    rates = {name: [c.weights.learning_rate for c in method(name, Offer(size=small)).candidates] for name in TRAINED}
    assert rates["lora"] == rates["dora"] == [6.6e-4, 1.3e-3, 2.6e-3, 5.3e-3]
    assert rates["full"] == [6.6e-5, 1.3e-4, 2.6e-4, 5.3e-4]
    # 0.003239 - 0.0001395 ln(134515008) = 0.003239 - 0.0001395 x 18.7172 = 6.28e-4, at both numbers of epochs.
    assert rates["scratch"] == [3.1e-4, 6.3e-4] * 2
    assert [c.weights.learning_rate for c in method("lora", Offer(size=large)).candidates][1] == 2.9e-4
    recipe = method("rag_lora", Offer(size=small)).candidates[0].weights
    assert (recipe.epochs, recipe.patience, recipe.batch_size) == (5, 3, 8)
    fixed = method("lora").candidates[0].weights
    assert (fixed.learning_rate, fixed.epochs, fixed.patience, fixed.batch_size) == (1e-3, 10, 0, 16)
    assert all(len(m.candidates) == 4 and m.moves for m in presets(Offer(chat=True, size=small)).values())


def test_a_grid_moves_beyond_its_edge_and_nowhere_else():
    lora = method("lora", Offer(size=Size(576, 134_515_008)))
    assert [c.weights.learning_rate for c in beyond(lora.candidates, 3)] == [1.1e-2]
    assert [c.weights.learning_rate for c in beyond(lora.candidates, 0)] == [3.4e-4]
    assert beyond(lora.candidates, 1) == beyond(lora.candidates, 2) == []
    shots = method("few_shot", Offer(chat=True))
    assert [c.context.k for c in shots.candidates] == [5, 5, 12, 12]
    # 12 x 12 / 5 = 28.8 and 5 x 5 / 12 = 2.1, in the chosen layout.
    assert [(c.context.k, c.context.layout) for c in beyond(shots.candidates, 3)] == [(29, "block")]
    assert [(c.context.k, c.context.layout) for c in beyond(shots.candidates, 0)] == [(2, "turns")]
    passages = method("rag", Offer(chat=True))
    assert [c.context.k for c in beyond(passages.candidates, 0)] == [], "a third of one passage is none"
    assert beyond(method("zero_shot").candidates, 0) == []
