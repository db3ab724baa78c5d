"""Heads: (N, D) hidden states -> (N,) float32 rewards, whatever the dtype around them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from basereward.errors import ConfigError
from basereward.heads.activations import ACTIVATIONS
from basereward.heads.gated import GatedHead
from basereward.heads.linear import LinearHead
from basereward.heads.mlp import MLPHead

HEADS = {
    "linear": LinearHead,
    "mlp": MLPHead,
    "gated": GatedHead,
    "mlp-3": lambda hidden_size: MLPHead(hidden_size, num_layers=3, width=20, activation="tanh"),
}


@pytest.fixture(params=HEADS)
def head(request) -> nn.Module:
    torch.manual_seed(0)
    return HEADS[request.param](24)


def test_shape_and_dtype(head):
    assert head(torch.randn(5, 24)).shape == (5,)
    assert head(torch.randn(0, 24)).shape == (0,)


def test_bf16_hidden_states_are_lifted_before_the_arithmetic(head):
    hidden = torch.randn(5, 24).bfloat16()
    assert head(hidden).dtype == torch.float32
    assert torch.equal(head(hidden), head(hidden.float()))


def test_autocast_does_not_reach_the_head(head):
    hidden = torch.randn(5, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head(hidden)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, head(hidden))


def test_close_rewards_do_not_tie_under_autocast(head):
    """Two states 1e-4 apart have different rewards; in bfloat16 (8 bits) they would be one number."""
    hidden = torch.randn(1, 24).repeat(2, 1)
    hidden[1] += 1e-4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = head(hidden)
    assert first != second


def test_every_parameter_is_float32_and_gets_a_finite_gradient(head):
    hidden = torch.randn(6, 24)
    (head(hidden) * torch.randn(6)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_last_layer_has_no_bias(head):
    """A loss of reward differences gives an output bias the gradient 0, so there is none: zero states, zero output weights."""
    last = head if isinstance(head, LinearHead) else list(head.children())[-1]
    assert last.bias is None and last.out_features == 1


def test_linear_is_a_dot_product_under_the_name_other_tools_load():
    """w = [1, -2, 0.5], h = [3, 1, 4]: 3 - 2 + 2 = 3."""
    owner = nn.Module()
    owner.score = LinearHead(3)
    assert list(owner.state_dict()) == ["score.weight"] and owner.score.weight.shape == (1, 3)
    owner.load_state_dict({"score.weight": torch.tensor([[1.0, -2.0, 0.5]])})
    assert owner.score(torch.tensor([[3.0, 1.0, 4.0]])).tolist() == [3.0]


def test_mlp_hand_worked():
    """W1 = I, b1 = [0, 1], w2 = [2, 1], h = [1, -1]: 2 silu(1) + silu(0) = 2 / (1 + e^-1) = 1.4621."""
    head = MLPHead(2)
    with torch.no_grad():
        head[0].weight.copy_(torch.eye(2))
        head[0].bias.copy_(torch.tensor([0.0, 1.0]))
        head[2].weight.copy_(torch.tensor([[2.0, 1.0]]))
    assert head(torch.tensor([[1.0, -1.0]])).item() == pytest.approx(2 / (1 + math.exp(-1)), abs=1e-6)


def test_mlp_layers_and_width():
    shapes = [tuple(layer.weight.shape) for layer in MLPHead(8, num_layers=3, width=5) if isinstance(layer, nn.Linear)]
    assert shapes == [(5, 8), (5, 5), (1, 5)]
    assert [tuple(p.shape) for p in MLPHead(8, num_layers=1).parameters()] == [(1, 8)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_is_used(activation):
    torch.manual_seed(1)
    head = MLPHead(8, activation=activation)
    hidden = torch.randn(3, 8)
    inner = ACTIVATIONS[activation]()(head[0](hidden))
    torch.testing.assert_close(head(hidden), (inner @ head[2].weight.T)[:, 0])


def test_first_rewards_are_of_unit_scale():
    """States of unit variance give rewards of about unit deviation or below: the first loss is near ln 2."""
    torch.manual_seed(2)
    hidden = torch.randn(2000, 256)
    assert LinearHead(256)(hidden).std().item() == pytest.approx(1.0, abs=0.2)
    assert 0.05 < MLPHead(256)(hidden).std().item() < 1.0
    assert 0.05 < GatedHead(256)(hidden).std().item() < 1.0


def test_init_follows_the_seed_and_the_given_scale():
    torch.manual_seed(3)
    first = LinearHead(4000, init_scale=2.0).weight
    torch.manual_seed(3)
    assert torch.equal(first, LinearHead(4000, init_scale=2.0).weight)
    assert first.std().item() == pytest.approx(2 / 4001**0.5, rel=0.1)


def test_a_mistyped_activation_names_the_near_one():
    with pytest.raises(ConfigError, match="silu"):
        MLPHead(8, activation="slu")
    with pytest.raises(ConfigError, match="num_layers"):
        MLPHead(8, num_layers=0)
    with pytest.raises(ConfigError, match="silu"):
        GatedHead(8, activation="sil")


def test_gated_hand_worked():
    """G = I, g = 0, U = 2 I, u = [0, 1], w = [1, 3], h = [1, -1]: silu(1) x 2 + 3 silu(-1) x (-1) = 1.4621 + 0.8068 = 2.2689."""
    head = GatedHead(2, width=2)
    with torch.no_grad():
        head.gate.weight.copy_(torch.eye(2))
        head.gate.bias.zero_()
        head.up.weight.copy_(2 * torch.eye(2))
        head.up.bias.copy_(torch.tensor([0.0, 1.0]))
        head.out.weight.copy_(torch.tensor([[1.0, 3.0]]))
    assert head(torch.tensor([[1.0, -1.0]])).item() == pytest.approx(2.2689, abs=1e-4)


@pytest.mark.parametrize("hidden_size", [8, 128])
def test_gated_has_the_weights_of_a_two_layer_mlp(hidden_size):
    """Two inner matrices of half the width against one; the output is half as wide."""
    count = {cls: sum(p.numel() for p in cls(hidden_size).parameters()) for cls in (MLPHead, GatedHead)}
    assert count[MLPHead] - count[GatedHead] == hidden_size // 2


@pytest.mark.parametrize("make", [MLPHead, GatedHead])
def test_inner_biases_can_be_left_out(make):
    assert all(p.ndim == 2 for p in make(8, bias=False).parameters())


@pytest.mark.parametrize("make", [MLPHead, GatedHead])
def test_dropout_makes_two_passes_of_training_differ_and_none_of_scoring(make):
    """The documented trap; with a rate of 0 both are the same."""
    hidden = torch.randn(4, 32)
    head = make(32, dropout=0.1)
    assert not torch.equal(head(hidden), head(hidden))
    head.eval()
    assert torch.equal(head(hidden), head(hidden))
    without = make(32)
    assert torch.equal(without(hidden), without(hidden))


def test_dropout_leaves_the_names_of_the_weights_alone():
    """A head trained with dropout goes on without it, and the other way round."""
    for make in (MLPHead, GatedHead):
        make(8).load_state_dict(make(8, dropout=0.5).state_dict())


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
@pytest.mark.parametrize("make", [MLPHead, GatedHead])
def test_a_share_that_is_none_is_refused(make, dropout):
    with pytest.raises(ConfigError, match="dropout"):
        make(8, dropout=dropout)
