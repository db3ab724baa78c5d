"""The plan's properties: every comparison once, no pack above its budget, few packs, and the same cost on every rank."""

from __future__ import annotations

import random

import numpy as np
import pytest

from basereward.planner import plan, plan_packs


def first_fit(lengths, budget) -> int:
    """Packs that first fit of descending lengths takes."""
    room = []
    for n in sorted(lengths, reverse=True):
        for k, free in enumerate(room):
            if n <= free:
                room[k] -= n
                break
        else:
            room.append(budget - n)
    return len(room)


def members(ranks) -> list[int]:
    return sorted(i for packs in ranks for pack in packs for i in pack)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(20))
def test_every_comparison_once_and_no_pack_above_its_budget(seed, num_ranks):
    rng = random.Random(seed)
    lengths = [rng.randint(1, 900) for _ in range(rng.randint(0, 60))]
    costs, budget = [n + n**2 / 500 for n in lengths], rng.choice([1, 300, 1000, 10_000])
    ranks = plan(lengths, costs, budget, num_ranks=num_ranks)
    assert len(ranks) == num_ranks and members(ranks) == list(range(len(lengths)))
    for pack in (pack for packs in ranks for pack in packs):
        assert pack and pack == sorted(pack)
        assert sum(lengths[i] for i in pack) <= budget or len(pack) == 1
    assert ranks == plan(list(lengths), list(costs), budget, num_ranks=num_ranks)


def test_few_packs():
    rng = random.Random(1)
    for _ in range(50):
        lengths = [rng.randint(1, 500) for _ in range(40)]
        assert -(-sum(lengths) // 1000) <= len(plan_packs(lengths, 1000)) <= first_fit(lengths, 1000)


def batch_of_128(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths that vary by a factor of some ten, as those of pictures and answers do, and costs with a quadratic part."""
    rng = np.random.default_rng(seed)
    lengths = (
        (rng.lognormal(6.2, 0.6, 128) + rng.integers(0, 1024, 128) + rng.lognormal(5.7, 0.7, 128)).astype(int).clip(50, 8192)
    )
    return lengths, lengths + 2e-5 * lengths**2


@pytest.mark.parametrize("num_ranks", [2, 4, 8])
def test_ranks_have_the_same_number_of_packs_and_the_same_cost(num_ranks):
    for seed in range(30):
        lengths, costs = batch_of_128(seed)
        ranks = plan(lengths, costs, 8192, num_ranks=num_ranks)
        assert len({len(packs) for packs in ranks}) == 1
        spent = [sum(costs[pack].sum() for pack in packs) for packs in ranks]
        assert max(spent) <= 1.05 * np.mean(spent)


def test_packs_are_full():
    """As few as the tokens allow, or one more: 128 comparisons in some twenty packs."""
    fill = []
    for seed in range(30):
        lengths, costs = batch_of_128(seed)
        packs = plan_packs(lengths, 8192, costs)
        assert len(packs) <= -(-lengths.sum() // 8192) + 1
        fill.append(lengths.sum() / (8192 * len(packs)))
    assert np.mean(fill) >= 0.95


def test_cost_decides_and_not_length():
    """Four comparisons of the same length, two of them dear: one dear one on each rank."""
    ranks = plan([10, 10, 10, 10], [9.0, 9.0, 1.0, 1.0], 20, num_ranks=2)
    assert sorted(sum(len({0, 1} & set(pack)) for pack in packs) for packs in ranks) == [1, 1]


def test_fewer_comparisons_than_ranks_leave_some_without():
    assert plan([5, 5], [1, 1], 10, num_ranks=3) == [[[0]], [[1]], []]
    assert plan([], [], 10, num_ranks=2) == [[], []]


def test_small_cases():
    assert plan_packs([5, 5, 5, 5], 10) == [[0, 2], [1, 3]]
    assert plan_packs([7, 7], 5) == [[0], [1]]
    assert plan_packs([], 5) == []
