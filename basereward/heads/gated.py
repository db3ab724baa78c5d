"""Gated head: one linear view of the state opens and closes another, as in the feed-forward layers of the backbone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from basereward.heads.activations import activation_module, check_dropout, check_init_scale


class GatedHead(nn.Module):
    """``reward = w . (activation(G h + g) * (U h + u))``, with SiLU the SwiGLU form.

    Not in the paper. Width D / 2 by default, which gives it the number of weights of the two-layer MLP head, so that an ablation
    compares the form and not the size. Biases, init, dropout and the missing output bias as in ``MLPHead``, for the same reasons.

    Args:
        hidden_size: width D of the hidden states.
        width: of the gate; ``None`` means D / 2, at least 1.
        activation: of the gate: silu, tanh, relu, gelu, none (bilinear).
        bias: of the two inner layers.
        output_bias: of the last layer; refused in a config unless the loss sees a shift of all rewards.
        dropout: share of the inputs of each layer that training sets to 0; two passes of one response then differ.
        init_scale: factor on the output layer's first weights; 0 makes all first rewards 0.

    Source: Shazeer, "GLU variants improve transformer" (arXiv 2002.05202), Eq. 5.
    """

    def __init__(
        self, hidden_size: int, *, width: int | None = None, activation: str = "silu", bias: bool = True,
        output_bias: bool = False, dropout: float = 0.0, init_scale: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        check_dropout(dropout)
        check_init_scale(init_scale)
        width = width or max(1, hidden_size // 2)
        self.gate = nn.Linear(hidden_size, width, bias=bias, dtype=torch.float32)
        self.up = nn.Linear(hidden_size, width, bias=bias, dtype=torch.float32)
        self.activation = activation_module(activation)
        self.out = nn.Linear(width, 1, bias=output_bias, dtype=torch.float32)
        self.output_bias, self.dropout, self.init_scale = output_bias, dropout, init_scale
        self.init_weights()

    def init_weights(self) -> None:
        """Draws all weights anew with torch's global generator."""
        self.gate.reset_parameters()
        self.up.reset_parameters()
        nn.init.normal_(self.out.weight, std=self.init_scale * (self.out.in_features + 1) ** -0.5)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) of any float dtype -> rewards (N,) in float32."""
        with torch.autocast(hidden_ND.device.type, enabled=False):
            state_ND = F.dropout(hidden_ND.float(), self.dropout, self.training)
            inner_NW = self.activation(self.gate(state_ND)) * self.up(state_ND)
            return self.out(F.dropout(inner_NW, self.dropout, self.training)).squeeze(-1)
