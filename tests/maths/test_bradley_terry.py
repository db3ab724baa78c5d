"""Bradley-Terry: numbers by hand, properties, gradients, and TRL's reward trainer as an independent reference."""

from __future__ import annotations

import math

import pytest
import torch
from loss_cases import Item, labels_of_pairs, trl_loss

from basereward.errors import ConfigError
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.labels import Labels
from basereward.records import Pair


def loss_of(rewards, *pairs: Pair) -> torch.Tensor:
    """The loss of one comparison, in float64."""
    reward_R = torch.as_tensor(rewards, dtype=torch.float64)
    return BradleyTerry()(reward_R, Labels.of([Item(len(reward_R), pairs)]))[0]


def test_equal_rewards_give_ln_2():
    assert loss_of([0.7, 0.7], Pair(0, 1)).item() == pytest.approx(math.log(2), abs=1e-12)


def test_hand_worked():
    """r = 2 and 0.5, margin 1: -log sigmoid(2 - 0.5 - 1) = log(1 + e^-0.5) = log(1.6065307) = 0.4740770."""
    assert loss_of([2.0, 0.5], Pair(0, 1, margin=1.0)).item() == pytest.approx(0.4740770, abs=1e-7)


def test_swapping_a_pair_changes_the_loss_by_the_difference():
    """L(c, r) - L(r, c) = log((1 + e^-d) / (1 + e^d)) = -d with d = c - r."""
    chosen, rejected = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    for c, r in zip(chosen, rejected):
        difference = loss_of([c, r], Pair(0, 1)) - loss_of([r, c], Pair(0, 1))
        torch.testing.assert_close(difference, -(c - r), rtol=0, atol=1e-12)


def test_a_shift_of_all_rewards_changes_nothing():
    pairs = (Pair(0, 1), Pair(1, 2, margin=0.5))
    assert loss_of([1.0, 0.2, -3.0], *pairs).item() == pytest.approx(loss_of([8.0, 7.2, 4.0], *pairs).item(), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_huge_gaps_stay_finite(gap, dtype):
    """At a gap of -1e4 the loss is 1e4 and the gradient -1; ``log(1 + exp(.))`` would be infinite."""
    rewards = torch.tensor([gap, 0.0], dtype=dtype, requires_grad=True)
    loss = BradleyTerry()(rewards, Labels.of([Item(2, (Pair(0, 1),))]))[0]
    loss.backward()
    assert loss.item() == pytest.approx(max(0.0, -gap))
    assert rewards.grad.tolist() == pytest.approx([-1.0, 1.0] if gap < 0 else [0.0, 0.0])


def test_the_gradient_pushes_the_better_response_up():
    """dL/dr_better = -sigmoid(-gap): -0.5 at equal rewards."""
    rewards = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    BradleyTerry()(rewards, Labels.of([Item(2, (Pair(1, 0),))])).sum().backward()
    assert rewards.grad.tolist() == [0.5, -0.5]


def test_a_margin_matters_with_its_sign():
    plain, wide, narrow = (loss_of([1.0, 0.0], Pair(0, 1, margin=m)).item() for m in (0.0, 1.0, -1.0))
    assert wide > plain > narrow


def test_pair_weights_matter_and_their_scale_does_not():
    """Losses a = log(1 + e^-1) and b = log(1 + e^1) with weights 3 and 1: (3a + b) / 4."""
    a, b = math.log1p(math.exp(-1)), math.log1p(math.exp(1))
    for scale in (1.0, 10.0):
        pairs = (Pair(0, 1, weight=3 * scale), Pair(1, 0, weight=scale))
        assert loss_of([1.0, 0.0], *pairs).item() == pytest.approx((3 * a + b) / 4, abs=1e-7)


def test_each_comparison_weighs_one_shared_by_its_pairs():
    """One pair at gap 0 and three at gap 1: the losses are ln 2 and log(1 + e^-1), not a mean over four pairs."""
    items = [Item(2, (Pair(0, 1),)), Item(4, (Pair(0, 1), Pair(0, 2), Pair(0, 3)))]
    rewards = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    losses = BradleyTerry()(rewards, Labels.of(items))
    assert losses.tolist() == pytest.approx([math.log(2), math.log1p(math.exp(-1))], abs=1e-12)


def test_gradient_check():
    items = [Item(3, (Pair(0, 1, margin=0.3, weight=2.0), Pair(0, 2), Pair(1, 2))), Item(2, (Pair(1, 0),))]
    pairs = Labels.of(items)
    rewards = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda reward_R: BradleyTerry()(reward_R, pairs), rewards)


def test_equal_to_trl():
    """64 pairs with margins, float64: loss to 1e-12 and gradients to 1e-12."""
    generator = torch.Generator().manual_seed(2)
    chosen, rejected, margin = torch.randn(3, 64, dtype=torch.float64, generator=generator) * torch.tensor([[4.0], [4.0], [1.0]])
    reward_R = torch.cat([chosen, rejected]).requires_grad_()
    ours = BradleyTerry()(reward_R, labels_of_pairs(64, margin)).mean()
    (our_grad,) = torch.autograd.grad(ours, reward_R)
    theirs = trl_loss(reward_R[:, None], margin)
    (their_grad,) = torch.autograd.grad(theirs, reward_R)
    assert abs(ours.item() - theirs.item()) <= 1e-12
    assert (our_grad - their_grad).abs().max() <= 1e-12
    assert abs(ours.item() - trl_loss(reward_R[:, None], None).item()) > 1e-3, "the margins had no effect"


def test_label_smoothing_hand_worked():
    """e = 0.1, gap 2: 0.9 log(1 + e^-2) + 0.1 log(1 + e^2) = 0.9 x 0.1269280 + 0.1 x 2.1269280 = 0.3269280."""
    loss = BradleyTerry(label_smoothing=0.1)(torch.tensor([2.0, 0.0], dtype=torch.float64), Labels.of([Item(2, (Pair(0, 1),))]))
    assert loss.item() == pytest.approx(0.3269280, abs=1e-7)


def test_a_soft_label_hand_worked():
    """p = 0.75, gap 1: 0.75 log(1 + e^-1) + 0.25 log(1 + e) = 0.75 x 0.3132617 + 0.25 x 1.3132617 = 0.5632617."""
    assert loss_of([1.0, 0.0], Pair(0, 1, probability=0.75)).item() == pytest.approx(0.5632617, abs=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_equal_to_binary_cross_entropy(probability, smoothing, margin):
    """The independent reference: torch's cross entropy between the label and the logit of a win."""
    rewards = torch.randn(2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 3
    ours = BradleyTerry(label_smoothing=smoothing)(rewards, Labels.of([Item(2, (Pair(0, 1, margin, probability=probability),))]))
    target = torch.tensor((1 - smoothing) * probability + smoothing * (1 - probability), dtype=torch.float64)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(rewards[0] - rewards[1] - margin, target)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-7)


def test_swapping_a_pair_and_its_probability_changes_nothing():
    for gap in (-3.0, 0.2, 5.0):
        forward = loss_of([gap, 0.0], Pair(0, 1, probability=0.8))
        assert forward.item() == pytest.approx(loss_of([gap, 0.0], Pair(1, 0, probability=0.2)).item(), abs=1e-6)


def test_a_soft_label_has_its_minimum_at_its_log_odds():
    """p = 0.8: the gradient is 0 at the gap log(0.8 / 0.2) = 1.3862944."""
    rewards = torch.tensor([math.log(4), 0.0], dtype=torch.float64, requires_grad=True)
    BradleyTerry()(rewards, Labels.of([Item(2, (Pair(0, 1, probability=0.8),))])).sum().backward()
    assert rewards.grad.abs().max() < 1e-7


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_soft_labels_stay_finite(gap):
    rewards = torch.tensor([gap, 0.0], requires_grad=True)
    loss = BradleyTerry(label_smoothing=0.1)(rewards, Labels.of([Item(2, (Pair(0, 1, probability=0.7),))]))[0]
    loss.backward()
    assert loss.isfinite() and rewards.grad.isfinite().all() and loss > 1e3


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0])
def test_a_smoothing_that_turns_labels_round_is_refused(smoothing):
    with pytest.raises(ConfigError, match="label_smoothing"):
        BradleyTerry(label_smoothing=smoothing)
