"""Regression: rewards that are the scores people gave."""

from __future__ import annotations

import torch

from basereward.errors import ConfigError
from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class Regression(Loss):
    """``(r - (score - center) / scale)^2``, averaged over a comparison's responses.

    The only loss here that gives a reward a zero point and a unit, so a head trained with it may have an output bias. Scores of a
    rating scale are best brought to about zero mean and unit deviation (1 to 5: center 3, scale 1), where a new head starts.

    Args:
        center, scale: of the data's scores; scale above 0.

    Source: mean squared error; used so for ratings by HelpSteer2 (arXiv 2406.08673).
    """

    explains = frozenset({"scores"})
    needs_scores = True
    sees_shift = True

    def __init__(self, *, center: float = 0.0, scale: float = 1.0):
        if not scale > 0:
            raise ConfigError(f"loss.scale: expected a value above 0, found {scale}; 1 leaves the scores as they are")
        self.center, self.scale = center, scale

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        target_R = (labels.score_R.to(reward_R.dtype) - self.center) / self.scale
        square_R = (reward_R - target_R).square()
        return labels.mean_per_comparison(square_R, torch.ones_like(square_R), labels.comparison_R)
