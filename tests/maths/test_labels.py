"""Labels: what comparisons say about their responses, as indices into the rewards of a pack."""

from __future__ import annotations

import math

import pytest
import torch
from loss_cases import Item, ranking, scored

from basereward.losses.labels import Labels
from basereward.records import Pair


def test_pairs_of_several_comparisons_point_at_their_own_rewards():
    pairs = (Pair(1, 0, weight=0.25), Pair(0, 1, probability=0.5))
    labels = Labels.of([Item(3, (Pair(2, 0, margin=0.5),), weight=2.0), Item(2, pairs)])
    assert labels.better_P.tolist() == [2, 4, 3] and labels.worse_P.tolist() == [0, 3, 4]
    assert labels.margin_P.tolist() == [0.5, 0.0, 0.0] and labels.weight_P.tolist() == [1.0, 0.25, 1.0]
    assert labels.probability_P.tolist() == [1.0, 1.0, 0.5]
    assert labels.comparison_P.tolist() == [0, 1, 1] and labels.weight_C.tolist() == [2.0, 1.0]
    assert labels.comparison_R.tolist() == [0, 0, 0, 1, 1]
    moved = labels.to(torch.device("cpu"))
    torch.testing.assert_close(vars(moved), vars(labels), rtol=0, atol=0, equal_nan=True)


def test_equal_ranks_and_scores_are_ties():
    labels = Labels.of([ranking(0, 1, 0), scored(2.5, 2.5), Item(2, (Pair(0, 1),))])
    assert list(zip(labels.left_T.tolist(), labels.right_T.tolist(), labels.comparison_T.tolist())) == [(0, 2, 0), (3, 4, 1)]
    assert list(zip(labels.better_P.tolist(), labels.worse_P.tolist())) == [(0, 1), (2, 1), (5, 6)]
    assert labels.rank_R.tolist() == [0, 1, 0, -1, -1, -1, -1]
    assert labels.score_R[3:5].tolist() == [2.5, 2.5] and labels.score_R.isnan().tolist() == [True] * 3 + [False] * 2 + [True] * 2


def test_lengths_are_those_of_the_encoded_responses():
    class Encoded(Item):
        class lengths:
            responses = (3, 7)

    assert Labels.of([Item(2), Encoded(2)]).length_R.tolist() == [-1, -1, 3, 7]


def test_nothing_is_labels_too():
    labels = Labels.of([])
    assert all(value.numel() == 0 for value in vars(labels).values()) and labels.better_P.dtype == torch.int64


def test_a_mean_over_nothing_is_zero_with_a_zero_gradient():
    """Two comparisons, the second without pairs: (3 x 1 + 1 x 5) / 4 = 2 and 0."""
    labels = Labels.of([Item(2, (Pair(0, 1, weight=3.0), Pair(1, 0))), Item(2)])
    loss_P = torch.tensor([1.0, 5.0], requires_grad=True)
    mean_C = labels.mean_over_pairs(loss_P)
    assert mean_C.tolist() == pytest.approx([2.0, 0.0])
    mean_C.sum().backward()
    assert loss_P.grad.tolist() == pytest.approx([0.75, 0.25]) and all(map(math.isfinite, mean_C.tolist()))
