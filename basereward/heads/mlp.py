"""MLP head: Linear -> activation -> Linear, the head that won the paper's ablation."""

from __future__ import annotations

import torch
from torch import nn

from basereward.errors import ConfigError, near_matches

ACTIVATIONS = {"silu": nn.SiLU, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "none": nn.Identity}


class MLPHead(nn.Sequential):
    """``num_layers`` linear layers with an activation between them; two layers with SiLU by default.

    The paper states "two-layer MLP with SiLU" and nothing more. Ours, and why:
    width = D, the only width in the same authors' earlier heads; biases inside (PyTorch's default); none on the output, whose
    gradient under a loss of reward differences is exactly 0; PyTorch's default init inside, and for the output
    N(0, 1 / (width + 1)), so that first rewards are of unit scale or below and the first loss is near ln 2.

    Args:
        hidden_size: width D of the hidden states.
        num_layers: linear layers, 1 or more.
        width: width of the inner layers; ``None`` means D.
        activation: one of silu, tanh, relu, gelu, none.

    Source: BaseReward (arXiv 2509.16127), section 4.2 and Table 2.
    """

    def __init__(self, hidden_size: int, *, num_layers: int = 2, width: int | None = None, activation: str = "silu"):
        if activation not in ACTIVATIONS:
            raise ConfigError(f"head.activation: unknown activation {activation!r}; {near_matches(activation, ACTIVATIONS)}")
        if num_layers < 1:
            raise ConfigError(f"head.num_layers: expected at least 1, found {num_layers}; 1 is the linear head")
        sizes = [hidden_size] + [width or hidden_size] * (num_layers - 1)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            layers += [nn.Linear(fan_in, fan_out, dtype=torch.float32), ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(sizes[-1], 1, bias=False, dtype=torch.float32))
        self.init_weights()

    def init_weights(self) -> None:
        """Draws all weights anew with torch's global generator."""
        for layer in list(self)[:-1]:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        nn.init.normal_(self[-1].weight, std=(self[-1].in_features + 1) ** -0.5)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) of any float dtype -> rewards (N,) in float32."""
        with torch.autocast(hidden_ND.device.type, enabled=False):
            return super().forward(hidden_ND.float()).squeeze(-1)
