"""Centring: a penalty that holds the rewards of a pair around zero."""

from __future__ import annotations

import torch

from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class Centering(Loss):
    """``(r_better + r_worse)^2``, averaged over a comparison's pairs; a term of a sum, whose weight is the paper's lambda.

    Source: BaseReward (arXiv 2509.16127), section 4.3, ``L_zc``; TRL's ``center_rewards_coefficient`` is the same number
    (proposed by Eisenstein et al., arXiv 2312.09244).
    """

    reads = frozenset({"weight"})
    sees_shift = True

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) penalties, in the rewards' dtype."""
        return labels.mean_over_pairs((reward_R[labels.better_P] + reward_R[labels.worse_P]).square())
