"""Last-token pooling: the state at the end-of-turn token that closes the response."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class LastToken(nn.Module):
    """The state at a response's last token, the only one that has seen all of it.

    The paper does not say which token is pooled; the same authors' earlier code (MM-RLHF, R1-Reward) takes the last one.

    Args:
        hidden_size: width D of the hidden states; not needed.
    """

    reads_whole_response = False

    def __init__(self, hidden_size: int):
        super().__init__()

    def forward(self, hidden_SD: torch.Tensor, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
        """(S, D) states of a row, and [start, end) of each of R responses -> (R, D) float32."""
        last_R = torch.tensor([end - 1 for _, end in spans], device=hidden_SD.device)
        return hidden_SD[last_R].float()
