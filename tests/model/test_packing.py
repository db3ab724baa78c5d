"""A pack keeps its values wherever it goes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from twin_folders import SEEING


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
