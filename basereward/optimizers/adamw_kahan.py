"""AdamW on bfloat16 weights with Kahan summation: what rounding took is kept and given back."""

from __future__ import annotations

import torch

from basereward.optimizers.rounding import Bf16AdamW


class AdamWKahan(Bf16AdamW):
    """AdamW that keeps beside each bfloat16 weight, in bfloat16, what rounding took from it.

    Weight and remainder together have 16 significant bits: the remainder is at most half a step of the weight, so it resolves 1/256
    of that. Deterministic, with float32 moments. 14 bytes for each weight with its gradient, 10 with bfloat16 moments.

    Source: Zamirai et al., Revisiting BFloat16 Training (arXiv 2010.06192), algorithm 3.
    """

    buffer = "remainder"

    def value(self, weight: torch.Tensor, *buffer: torch.Tensor) -> torch.Tensor:
        """Weight and remainder together."""
        return weight.float() + buffer[0].float() if buffer else weight.float()

    def write(self, weight: torch.Tensor, value: torch.Tensor, *buffer: torch.Tensor) -> None:
        """Rounds to the nearest and keeps the rest."""
        weight.copy_(value)
        buffer[0].copy_(value.sub_(weight))
