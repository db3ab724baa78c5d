"""Linear head: one weight vector, the form that transformers' sequence classifiers and vLLM load as ``score.weight``."""

from __future__ import annotations

import torch
from torch import nn

from basereward.heads.activations import check_init_scale


class LinearHead(nn.Linear):
    """``reward = w . h``, and ``+ b`` with an output bias.

    Args:
        hidden_size: width D of the hidden states.
        output_bias: refused in a config unless the loss sees a shift of all rewards: under a loss of reward differences its
            gradient is exactly 0. Tools that load ``score.weight`` alone would lose it.
        init_scale: the first weights are drawn from N(0, init_scale^2 / (D + 1)); at 1, the value TRL's reward modelling guide
            recommends (after Stiennon et al. 2020), first rewards are of unit scale; at 0 they are 0 and the first loss is ln 2.

    Source: BaseReward (arXiv 2509.16127), Table 2, the row with one layer and no activation.
    """

    def __init__(self, hidden_size: int, *, output_bias: bool = False, init_scale: float = 1.0):
        check_init_scale(init_scale)
        super().__init__(hidden_size, 1, bias=output_bias, dtype=torch.float32)
        self.output_bias, self.init_scale = output_bias, init_scale
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the weights anew with torch's global generator."""
        nn.init.normal_(self.weight, std=self.init_scale * (self.in_features + 1) ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) of any float dtype -> rewards (N,) in float32."""
        with torch.autocast(hidden_ND.device.type, enabled=False):
            return super().forward(hidden_ND.float()).squeeze(-1)
