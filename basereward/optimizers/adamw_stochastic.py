"""AdamW on bfloat16 weights with stochastic rounding: small updates arrive on average."""

from __future__ import annotations

import torch

from basereward.optimizers.rounding import Bf16AdamW


class AdamWStochastic(Bf16AdamW):
    """AdamW whose new weights are rounded up or down at random, with probabilities that make the mean exact.

    An update of a fortieth of a bfloat16 step moves one weight in forty by a whole step. Nothing is kept beside the weights and
    moments: 12 bytes for each weight with its gradient, 8 with bfloat16 moments.

    Source: Zamirai et al., Revisiting BFloat16 Training (arXiv 2010.06192), algorithm 2.
    """

    def write(self, weight: torch.Tensor, value: torch.Tensor, *buffer: torch.Tensor) -> None:
        """Rounds at random."""
        weight.copy_(self.rounded(value))
