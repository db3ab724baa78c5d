"""Bradley-Terry weighed by a text-only model: the coefficient by hand, an independent reference, what moves it and what does not."""

from __future__ import annotations

import math

import pytest
import torch
from loss_cases import Item, ranking

from basereward.errors import DataError
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.bradley_terry_shortcut import BradleyTerryShortcut
from basereward.losses.centering import Centering
from basereward.losses.labels import Labels
from basereward.losses.sum import Sum
from basereward.records import Pair, parse_row


def pair(*text_rewards: float, **keys) -> Item:
    return Item(2, (Pair(0, 1, **keys),), text_rewards=text_rewards)


def of(rewards, *items: Item, loss=None) -> list[float]:
    """Losses of comparisons, in float64."""
    return (loss or BradleyTerryShortcut())(torch.as_tensor(rewards, dtype=torch.float64), Labels.of(items)).tolist()


def coefficient(rewards, item: Item) -> float:
    return BradleyTerryShortcut().measures(torch.as_tensor(rewards, dtype=torch.float64), Labels.of([item]))["sfc"].item()


def test_hand_worked():
    """Gap 0: L = ln 2 = 0.6931472. Text-only gap ln 3: L_t = ln(4/3) = 0.2876821.

    SFC = 0.2876821 / 0.9808293 = 0.2933050; SFC x L = 0.2033035. Text-only gap -ln 3: L_t = ln 4 = 1.3862944, SFC = 2/3, 0.4620981.
    """
    assert coefficient([0.5, 0.5], pair(math.log(3), 0.0)) == pytest.approx(0.2933050, abs=1e-7)
    found = of([0.5, 0.5, 0.5, 0.5], pair(math.log(3), 0.0), pair(0.0, math.log(3)))
    assert found == pytest.approx([0.2033035, 0.4620981], abs=1e-7)


def reference(reward: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """The definition for pairs (n, 2), the better first, written with exp and log alone."""
    main, blind = (torch.log(1 + torch.exp(r[:, 1] - r[:, 0])) for r in (reward, text))
    with torch.no_grad():
        weight = blind / (main + blind)
    return (weight * main).mean()


def test_equal_to_the_definition_with_its_gradient():
    """64 pairs, float64: loss and gradient to 1e-12; the text-only rewards are numbers of float32, as labels keep them."""
    reward, text = torch.randn(2, 64, 2, generator=torch.Generator().manual_seed(2)) * 2
    reward = reward.double().requires_grad_()
    ours = BradleyTerryShortcut()(reward.flatten(), Labels.of([pair(*row) for row in text.tolist()])).mean()
    theirs = reference(reward, text.double())
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    (our_grad,), (their_grad,) = (torch.autograd.grad(value, reward) for value in (ours, theirs))
    torch.testing.assert_close(our_grad, their_grad, rtol=0, atol=1e-12)


def test_the_gradient_is_that_of_bradley_terry_times_the_coefficient():
    """No gradient goes through the coefficient: with one, it would be smaller by the factor SFC again."""
    reward, item = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True), pair(1.0, 0.0)
    (ours,) = torch.autograd.grad(BradleyTerryShortcut()(reward, Labels.of([item])).sum(), reward)
    (plain,) = torch.autograd.grad(BradleyTerry()(reward, Labels.of([item])).sum(), reward)
    torch.testing.assert_close(ours, coefficient(reward.detach(), item) * plain, rtol=0, atol=1e-15)


@pytest.mark.parametrize("gap", [1e4, -1e4, 0.0])
@pytest.mark.parametrize("text_gap", [1e4, -1e4, 0.0])
def test_stays_finite(gap, text_gap):
    reward = torch.tensor([gap, 0.0], requires_grad=True)
    labels = Labels.of([pair(text_gap, 0.0)])
    loss = BradleyTerryShortcut()(reward, labels)
    loss.sum().backward()
    assert loss.isfinite().all() and reward.grad.isfinite().all()
    assert 0 <= BradleyTerryShortcut().measures(reward, labels)["sfc"].item() <= 1


def test_the_coefficient_is_a_half_where_both_fare_alike():
    assert coefficient([0.3, -0.2], pair(0.5, 0.0)) == pytest.approx(0.5, abs=1e-7)
    assert coefficient([1e4, 0.0], pair(1e4, 0.0)) == 0.5 == coefficient([-1e4, 0.0], pair(-1e4, 0.0))


def test_swapping_the_two_models_turns_the_coefficient_over_and_keeps_the_loss():
    """L_t / (L + L_t) + L / (L + L_t) = 1, and L L_t / (L + L_t) knows no first."""
    one, other = coefficient([0.25, 0.0], pair(-1.5, 0.0)), coefficient([-1.5, 0.0], pair(0.25, 0.0))
    assert one + other == pytest.approx(1, abs=1e-12)
    assert of([0.25, 0.0], pair(-1.5, 0.0)) == pytest.approx(of([-1.5, 0.0], pair(0.25, 0.0)), abs=1e-12)


def test_a_pair_that_text_decides_counts_less():
    easy, unsure, misleading = (coefficient([0.0, 0.0], pair(gap, 0.0)) for gap in (4.0, 0.0, -4.0))
    assert easy < 0.05 and unsure == 0.5 and misleading > 0.8


def test_each_pair_of_a_ranking_has_its_own_coefficient():
    text, rewards = (2.0, 0.0, 1.0), [0.5, 0.1, -0.3]
    item = ranking(0, 1, 2)
    object.__setattr__(item, "text_rewards", text)
    parts = [of([rewards[i], rewards[j]], pair(text[i], text[j]))[0] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert of(rewards, item) == pytest.approx([sum(parts) / 3], abs=1e-12)


def test_both_losses_hear_margin_probability_and_smoothing():
    """The same function of the labels: a pair on which the two models agree keeps 1/2 whatever its labels."""
    for keys in ({"margin": 0.7}, {"probability": 0.75}):
        assert coefficient([0.25, 0.0], pair(0.25, 0.0, **keys)) == 0.5
        plain = of([0.25, 0.0], pair(0.25, 0.0, **keys), loss=BradleyTerry())[0]
        assert of([0.25, 0.0], pair(0.25, 0.0, **keys)) == pytest.approx([plain / 2], abs=1e-12)
    smooth = BradleyTerryShortcut(label_smoothing=0.1)
    plain = of([0.25, 0.0], pair(0.25, 0.0), loss=BradleyTerry(label_smoothing=0.1))[0]
    assert of([0.25, 0.0], pair(0.25, 0.0), loss=smooth) == pytest.approx([plain / 2], abs=1e-12)


def test_a_term_of_a_sum():
    loss = Sum(terms={"order": BradleyTerryShortcut(), "centering": Centering()}, weights={"centering": 0.5})
    item, rewards = pair(1.0, 0.0), [1.0, 0.25]
    assert of(rewards, item, loss=loss) == pytest.approx([of(rewards, item)[0] + 0.5 * 1.25**2], abs=1e-12)
    reward_R, labels = torch.tensor(rewards), Labels.of([item])
    assert loss.needs_text_rewards and loss.measures(reward_R, labels)["sfc"].item() == pytest.approx(coefficient(rewards, item))


def test_data_without_text_only_rewards_are_refused():
    row = {"prompt": "?", "chosen": "a", "rejected": "b"}
    items = [pair(1.0, 0.0), parse_row(row, where="x", source="mine", default_id="row-7")]
    for loss in (BradleyTerryShortcut(), Sum(terms={"order": BradleyTerryShortcut()})):
        with pytest.raises(
            DataError, match=r"text-only model; found otherwise in 1 of the source 'mine'.*row-7.*text_only_scores"
        ):
            loss.check_data(items)


def test_a_missing_reward_cannot_pass_for_a_number():
    assert math.isnan(of([0.5, 0.0], Item(2, (Pair(0, 1),)))[0])
