"""Bradley-Terry that turns away from pairs which the text alone decides: weights from a reward model that sees no pictures."""

from __future__ import annotations

import torch

from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.labels import Labels


class BradleyTerryShortcut(BradleyTerry):
    """``SFC * L``, averaged over a comparison's pairs, with the Shortcut-Failure Coefficient ``SFC = L_t / (L + L_t)``.

    ``L`` is the Bradley-Terry loss of a pair (margin, probability and label smoothing as there), ``L_t`` the same function of the
    rewards that a text-only model gives to the same responses: one trained on the same rows with their images removed. Where the text
    decides, ``L_t`` is small and the pair counts little; where the text misleads, SFC is near 1. It is a number, not a function of the
    rewards: no gradient goes through it. It is 1/2 where both losses are equal, and where both are 0 in floating point.

    Both losses are the same function of the labels, so a margin or a soft label does not favour either; with soft or smoothed
    labels no loss falls to 0, which keeps SFC nearer to 1/2.

    Source: Li et al., ICML 2025 (arXiv 2503.03122). **The difference**: they train the two models side by side, so that ``L_t`` falls
    with ``L``, and throw the text-only one away. Here it is trained before and ``L_t`` is fixed: half the memory, and the early steps
    of the main model are weighed by what text can do in the end. Pairs without pictures are the same task for both models: their SFC
    begins low, since the text-only model is already trained, and comes to about 1/2 as this model learns them as well.
    """

    needs_text_rewards = True

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        loss_P = self.losses_of_pairs(reward_R, labels)
        return labels.mean_over_pairs(self._coefficients(loss_P, labels) * loss_P)

    def measures(self, reward_R: torch.Tensor, labels: Labels) -> dict[str, torch.Tensor]:
        """``sfc``: (P,) the coefficient of each pair."""
        return {"sfc": self._coefficients(self.losses_of_pairs(reward_R, labels), labels)}

    def _coefficients(self, loss_P: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(P,) losses of this model -> (P,) in [0, 1]."""
        text_P = self.losses_of_pairs(labels.text_reward_R.to(loss_P.dtype), labels)
        both_P = loss_P + text_P
        return torch.where(both_P == 0, 0.5, text_P / torch.where(both_P == 0, 1, both_P)).detach()
