"""Linear head: one weight vector, the form that transformers' sequence classifiers and vLLM load as ``score.weight``."""

from __future__ import annotations

import torch
from torch import nn


class LinearHead(nn.Linear):
    """``reward = w . h``.

    There is no bias: a Bradley-Terry loss sees differences of rewards only, so the gradient of an output bias is exactly 0.

    Args:
        hidden_size: width D of the hidden states.
        init_std: standard deviation of the initial weights; ``None`` means ``1 / sqrt(D + 1)``, the value TRL's reward
            modelling guide recommends (after Stiennon et al. 2020), which starts rewards near unit scale.

    Source: BaseReward (arXiv 2509.16127), Table 2, the row with one layer and no activation.
    """

    def __init__(self, hidden_size: int, *, init_std: float | None = None):
        super().__init__(hidden_size, 1, bias=False, dtype=torch.float32)
        self.init_std = init_std
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the weights anew from N(0, init_std^2) with torch's global generator."""
        std = self.init_std if self.init_std is not None else (self.in_features + 1) ** -0.5
        nn.init.normal_(self.weight, std=std)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) of any float dtype -> rewards (N,) in float32."""
        with torch.autocast(hidden_ND.device.type, enabled=False):
            return super().forward(hidden_ND.float()).squeeze(-1)
