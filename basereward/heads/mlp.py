"""MLP head: Linear -> activation -> Linear, the head that won the paper's ablation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from basereward.errors import ConfigError
from basereward.heads.activations import activation_module, check_dropout, check_init_scale


class MLPHead(nn.Sequential):
    """``num_layers`` linear layers with an activation between them; two layers with SiLU by default.

    The paper states "two-layer MLP with SiLU" and, for the ablation, layers and activation. What it leaves open, and ours:

    - Width: D, the only width in the same authors' earlier heads (MM-RLHF, R1-Reward).
    - Bias inside: yes, PyTorch's default and theirs. Output bias: none, because its gradient under a loss of reward differences is
      exactly 0; a config that asks for one is refused unless the loss sees a shift.
    - Init: PyTorch's default inside, N(0, init_scale^2 / (width + 1)) for the output, so that first rewards are of unit scale or
      below and the first loss is near ln 2.
    - Dropout: 0. A trap: dropout makes two passes of one response differ, so in training the two sides of a pair differ by noise
      that is as large as the gaps to be learned, and a batch cut into other packs is no longer the same step. Scoring is in eval
      mode and not affected.

    Args:
        hidden_size: width D of the hidden states.
        num_layers: linear layers, 1 or more; the paper tries 1 to 5.
        width: width of the inner layers; ``None`` means D.
        activation: one of silu, tanh, relu, gelu, none.
        bias: of the inner layers.
        output_bias: of the last layer.
        dropout: share of the inputs of each layer that training sets to 0.
        init_scale: factor on the output layer's first weights; 0 makes all first rewards 0.

    Source: BaseReward (arXiv 2509.16127), section 4.2 and Table 2.
    """

    def __init__(
        self, hidden_size: int, *, num_layers: int = 2, width: int | None = None, activation: str = "silu", bias: bool = True,
        output_bias: bool = False, dropout: float = 0.0, init_scale: float = 1.0,
    ):  # fmt: skip
        if num_layers < 1:
            raise ConfigError(f"head.num_layers: expected at least 1, found {num_layers}; 1 is the linear head")
        check_dropout(dropout)
        check_init_scale(init_scale)
        sizes = [hidden_size] + [width or hidden_size] * (num_layers - 1)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            layers += [nn.Linear(fan_in, fan_out, bias=bias, dtype=torch.float32), activation_module(activation)]
        super().__init__(*layers, nn.Linear(sizes[-1], 1, bias=output_bias, dtype=torch.float32))
        self.output_bias, self.dropout, self.init_scale = output_bias, dropout, init_scale
        self.init_weights()

    def init_weights(self) -> None:
        """Draws all weights anew with torch's global generator."""
        for layer in list(self)[:-1]:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        nn.init.normal_(self[-1].weight, std=self.init_scale * (self[-1].in_features + 1) ** -0.5)
        if self[-1].bias is not None:
            nn.init.zeros_(self[-1].bias)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) of any float dtype -> rewards (N,) in float32."""
        with torch.autocast(hidden_ND.device.type, enabled=False):
            state_ND = hidden_ND.float()
            for layer in self:
                if self.dropout and isinstance(layer, nn.Linear):
                    state_ND = F.dropout(state_ND, self.dropout, self.training)
                state_ND = layer(state_ND)
            return state_ND.squeeze(-1)
