"""Mean pooling: every token of the response counts the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class MeanOfResponse(nn.Module):
    """The mean over the states of a response's own tokens, the end token included; the prompt is not in it.

    Summed in float32: in bfloat16 the mean of a long response would keep two digits.

    Args:
        hidden_size: width D of the hidden states; not needed.
    """

    reads_whole_response = True

    def __init__(self, hidden_size: int):
        super().__init__()

    def forward(self, hidden_SD: torch.Tensor, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
        """(S, D) states of a row, and [start, end) of each of R responses -> (R, D) float32."""
        return torch.stack([hidden_SD[start:end].float().mean(0) for start, end in spans])
