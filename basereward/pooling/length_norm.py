"""Length normalisation: a reward divided by the logarithm of its response's length."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def divide_by_log_length(reward_R: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """``r / log(l + 1)``, with l the tokens of the response, its end token counted, and the natural logarithm.

    The paper leaves the unit of l open: tokens are what the model sees, and with the end token l is never 0, so the divisor is
    never below ln 2.

    Args:
        reward_R: (R,) float32. lengths: tokens of each response.

    Source: BaseReward (arXiv 2509.16127), section 4.3 and Algorithm 1, which finds no gain in it.
    """
    length_R = torch.tensor(lengths, dtype=reward_R.dtype, device=reward_R.device)
    return reward_R / torch.log(length_R + 1)
