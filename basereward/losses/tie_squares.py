"""Squared differences of tied responses: what was judged equal should get equal rewards."""

from __future__ import annotations

import torch

from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class TieSquares(Loss):
    """``(r_left - r_right)^2``, averaged over a comparison's tied pairs; a term of a sum, beside a loss of the strict pairs.

    Source: the reward trainer of MM-RLHF (arXiv 2502.10391), which takes the mean squared error of the two rewards of a tied pair.
    """

    explains = frozenset({"ties"})

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype; 0 for a comparison without ties."""
        square_T = (reward_R[labels.left_T] - reward_R[labels.right_T]).square()
        return labels.mean_per_comparison(square_T, torch.ones_like(square_T), labels.comparison_T)
