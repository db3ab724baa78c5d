"""Bradley-Terry: the probability that the better response wins is the logistic function of the reward difference."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from basereward.losses.pairs import Pairs


class BradleyTerry:
    """``-log sigmoid(r_better - r_worse - margin)``, averaged over the pairs of each comparison.

    Computed as ``-logsigmoid``, which stays finite where ``log(1 + exp(.))`` overflows.

    Source: BaseReward (arXiv 2509.16127), Eq. 1; the margin term follows Llama 2 (arXiv 2307.09288), Eq. 2, with the sign TRL
    uses (the margin is subtracted from the difference).
    """

    def __call__(self, reward_R: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype.

        >>> one = Pairs(*(torch.tensor(x) for x in ([0], [1], [0.0], [1.0], [0], [1.0])))
        >>> round(float(BradleyTerry()(torch.tensor([1.0, 1.0]), one)), 4)     # ln 2 at equal rewards
        0.6931
        """
        gap_P = reward_R[pairs.better_P] - reward_R[pairs.worse_P] - pairs.margin_P.to(reward_R.dtype)
        return pairs.mean_per_comparison(-F.logsigmoid(gap_P))
