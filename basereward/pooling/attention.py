"""Attention pooling: a learned query weighs the tokens of the response."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class AttentionOverResponse(nn.Module):
    """``sum_t softmax_t(q . h_t / sqrt(D)) h_t`` over a response's own tokens, the end token included.

    The softmax never sees the prompt, a sibling or padding, so a reward does not depend on what stands beside it. The query starts
    at 0: the first step is mean pooling, whatever the scale of the hidden states (a drawn query on states with outlier channels
    can start on a single token and stay there), and its gradient is not 0. Query and arithmetic are float32.

    Args:
        hidden_size: width D of the hidden states.
    """

    reads_whole_response = True

    def __init__(self, hidden_size: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(hidden_size, dtype=torch.float32))

    def forward(self, hidden_SD: torch.Tensor, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
        """(S, D) states of a row, and [start, end) of each of R responses -> (R, D) float32."""
        with torch.autocast(hidden_SD.device.type, enabled=False):
            return torch.stack([self._pool(hidden_SD[start:end].float()) for start, end in spans])

    def _pool(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        weight_T = (hidden_TD @ self.query / len(self.query) ** 0.5).softmax(0)
        return weight_T @ hidden_TD
