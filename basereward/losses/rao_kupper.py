"""Rao-Kupper: Bradley-Terry with a third outcome, the tie, for rewards that lie close together."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from basereward.errors import ConfigError
from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class RaoKupper(Loss):
    """The negative log likelihood of wins, losses and ties, averaged over a comparison's pairs and tied pairs.

    With ``d = r_better - r_worse - margin`` and the threshold ``t``, ``P(win) = sigmoid(d - t)``, ``P(loss) = sigmoid(-d - t)``, and
    what is left is the tie: ``P(tie) = (e^(2 t) - 1) sigmoid(d - t) sigmoid(-d - t)``. A pair's probability p (1 unless the row
    has one) weighs win against loss: ``-p log P(win) - (1 - p) log P(loss)``. A tied pair weighs 1 within its comparison.

    The threshold is a number of the config, not a learned weight: learned, it would be a parameter of the loss that no checkpoint
    of the model holds. Two equally good responses tie with probability ``tanh(t / 2)``, so ``t = 2 atanh(share)`` for the share of
    ties you see among such pairs; the default, 1, says 46%.

    Args:
        threshold: t = log(theta) of the source, above 0; at 0 there are no ties and this is Bradley-Terry.

    Source: Rao and Kupper, "Ties in paired-comparison experiments", JASA 62 (1967), in log odds.
    """

    explains = frozenset({"order", "ties"})
    reads = frozenset({"margin", "probability", "weight"})

    def __init__(self, *, threshold: float = 1.0):
        if not (0 < threshold < math.inf):
            raise ConfigError(
                f"loss.threshold: expected a value above 0, found {threshold}; without ties, use loss=bradley_terry"
            )
        self.threshold = threshold

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        gap_P = reward_R[labels.better_P] - reward_R[labels.worse_P] - labels.margin_P.to(reward_R.dtype)
        right_P = labels.probability_P.to(reward_R.dtype)
        loss_P = -right_P * self._log_win(gap_P) - (1 - right_P) * self._log_win(-gap_P)
        gap_T = reward_R[labels.left_T] - reward_R[labels.right_T]
        # log(e^(2 t) - 1), without overflow for a large t.
        log_factor = 2 * self.threshold + math.log(-math.expm1(-2 * self.threshold))
        loss_T = -log_factor - self._log_win(gap_T) - self._log_win(-gap_T)
        weight_X = torch.cat([labels.weight_P.to(loss_P.dtype), torch.ones_like(loss_T)])
        return labels.mean_per_comparison(
            torch.cat([loss_P, loss_T]), weight_X, torch.cat([labels.comparison_P, labels.comparison_T])
        )

    def _log_win(self, gap_X: torch.Tensor) -> torch.Tensor:
        return F.logsigmoid(gap_X - self.threshold)
