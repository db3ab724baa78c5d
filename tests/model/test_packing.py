"""The planner's properties, and a pack that keeps its values wherever it goes."""

from __future__ import annotations

import copy
import pickle
import random

import pytest
import torch
from twin_folders import SEEING

from basereward.packing import plan_packs


@pytest.mark.parametrize("seed", range(30))
def test_every_comparison_once_and_no_pack_above_its_budget(seed):
    rng = random.Random(seed)
    lengths = [rng.randint(1, 900) for _ in range(rng.randint(0, 60))]
    budget = rng.choice([1, 300, 1000, 10_000])
    packs = plan_packs(lengths, budget)
    assert sorted(i for pack in packs for i in pack) == list(range(len(lengths)))
    assert all(pack and pack == sorted(pack) for pack in packs)
    for pack in packs:
        assert sum(lengths[i] for i in pack) <= budget or len(pack) == 1
    assert packs == plan_packs(list(lengths), budget)


def test_few_packs():
    """First fit of descending lengths opens a pack only when no open one has room: never two packs that fit into one."""
    rng = random.Random(1)
    for _ in range(50):
        lengths = [rng.randint(1, 500) for _ in range(40)]
        totals = sorted(sum(lengths[i] for i in pack) for pack in plan_packs(lengths, 1000))
        assert len(totals) < 2 or totals[0] + totals[1] > 1000


def test_equal_lengths_are_dealt_by_index():
    assert plan_packs([5, 5, 5, 5], 10) == [[0, 1], [2, 3]]
    assert plan_packs([7, 7], 5) == [[0], [1]]
    assert plan_packs([], 5) == []


def test_a_pack_keeps_its_values_on_the_way(pack, cases):
    packed = pack(cases)
    before = copy.deepcopy(packed)
    for moved in (packed.to("cpu"), pickle.loads(pickle.dumps(packed))):
        assert vars(moved).keys() == vars(before).keys()
        for name, value in vars(before).items():
            found = getattr(moved, name)
            if isinstance(value, torch.Tensor):
                assert torch.equal(found, value) and found.dtype == value.dtype, name
            elif name == "labels":
                torch.testing.assert_close(vars(found), vars(value), rtol=0, atol=0, equal_nan=True)
            else:
                assert found == value, name
    assert moved.patches is None or moved.patches.dtype == torch.uint8


@pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)
def test_a_pack_that_is_kept_for_its_labels_holds_no_pixels_and_no_masks(model, pack, cases):
    packed = pack(cases)
    with torch.no_grad():
        model(packed)
    kept = packed.labels_only()
    assert kept.patches is None and packed.patches is not None
    assert kept.tree.pieces == packed.tree.pieces and not kept.tree._masks and packed.tree._masks
    assert torch.equal(kept.labels.better_P, packed.labels.better_P) and kept.ids == packed.ids


def test_pairs_point_at_the_rewards_of_their_comparison(pack, cases):
    packed = pack(cases)
    starts = torch.tensor([0, *packed.num_responses]).cumsum(0)
    expected = [(int(starts[c]) + p.better, int(starts[c]) + p.worse) for c, case in enumerate(cases) for p in case.pairs]
    assert list(zip(packed.labels.better_P.tolist(), packed.labels.worse_P.tolist())) == expected
