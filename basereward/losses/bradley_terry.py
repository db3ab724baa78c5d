"""Bradley-Terry: the probability that the better response wins is the logistic function of the reward difference."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from basereward.errors import ConfigError
from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class BradleyTerry(Loss):
    """``-p log sigmoid(z) - (1 - p) log sigmoid(-z)`` with ``z = r_better - r_worse - margin``, averaged over a comparison's pairs.

    ``p`` is the pair's probability, 1 unless the row has one, moved towards 1/2 by label smoothing: ``p (1 - e) + (1 - p) e``.
    With ``p = 1`` this is ``-log sigmoid(z)``; with ``p < 1`` it has its minimum where ``z`` is the log odds of ``p``.
    Computed as ``-log sigmoid(z) + (1 - p) z``, the same number, which stays finite where ``log(1 + exp(.))`` overflows.

    Args:
        label_smoothing: e, the share of labels taken to be wrong, 0 <= e < 0.5.

    Source: BaseReward (arXiv 2509.16127), Eq. 1. Margin: Llama 2 (arXiv 2307.09288), Eq. 2, with the sign TRL uses (the margin is
    subtracted from the difference). Label smoothing: conservative DPO (Mitchell 2023), applied to rewards.
    """

    explains = frozenset({"order"})
    reads = frozenset({"margin", "probability", "weight"})

    def __init__(self, *, label_smoothing: float = 0.0):
        if not 0 <= label_smoothing < 0.5:
            raise ConfigError(f"loss.label_smoothing: expected 0 <= x < 0.5, found {label_smoothing}; 0 turns it off")
        self.label_smoothing = label_smoothing

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        return labels.mean_over_pairs(self.losses_of_pairs(reward_R, labels))

    def losses_of_pairs(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (P,) losses, each at least 0."""
        gap_P = reward_R[labels.better_P] - reward_R[labels.worse_P] - labels.margin_P.to(reward_R.dtype)
        wrong_P = 1 - labels.probability_P.to(reward_R.dtype)
        wrong_P = wrong_P + self.label_smoothing * (1 - 2 * wrong_P)
        return wrong_P * gap_P - F.logsigmoid(gap_P)
