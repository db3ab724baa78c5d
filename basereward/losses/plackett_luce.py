"""Plackett-Luce: a ranking as a row of choices, the best of all, then the best of the rest, and so on."""

from __future__ import annotations

import torch

from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class PlackettLuce(Loss):
    """``log(e^(r_i) + sum_j e^(r_j + margin)) - r_i`` over the responses j that i beats, averaged over a comparison's choices i.

    For a ranking without ties this is Plackett-Luce's negative log likelihood, divided by its N - 1 choices; for two responses it
    is Bradley-Terry, margin included. Tied responses are not put in any order: each is chosen from itself and what it beats, as
    equal ranks make no pair elsewhere in this toolkit. A choice weighs the mean weight of its pairs.

    Source: Plackett (1975), "The analysis of permutations", and Luce (1959); used on preference rankings by PRO
    (arXiv 2306.17492).
    """

    explains = frozenset({"order"})
    reads = frozenset({"margin", "weight"})

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        beaten_P = reward_R[labels.worse_P] + labels.margin_P.to(reward_R.dtype)
        top_R = reward_R.detach().scatter_reduce(0, labels.better_P, beaten_P.detach(), "amax")
        total_R = (reward_R - top_R).exp().index_add(0, labels.better_P, (beaten_P - top_R[labels.better_P]).exp())
        loss_R = total_R.log() + top_R - reward_R
        return labels.mean_per_comparison(loss_R, self._weights(labels, reward_R), labels.comparison_R)

    @staticmethod
    def _weights(labels: Labels, reward_R: torch.Tensor) -> torch.Tensor:
        """(R,) mean weight of the pairs that a response wins; 0 for one that wins none, and so makes no choice."""
        zero_R = torch.zeros_like(reward_R)
        sum_R = zero_R.index_add(0, labels.better_P, labels.weight_P.to(reward_R.dtype))
        count_R = zero_R.index_add(0, labels.better_P, torch.ones_like(labels.weight_P, dtype=reward_R.dtype))
        return sum_R / count_R.clamp(min=1)
