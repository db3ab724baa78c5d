"""Each loss beside Bradley-Terry: a number worked by hand, an independent reference, its symmetry, where it refuses."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from loss_cases import Item, labels_of_pairs, ranking, scored, trl_loss

from basereward.errors import ConfigError, DataError
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.centering import Centering
from basereward.losses.labels import Labels
from basereward.losses.plackett_luce import PlackettLuce
from basereward.losses.rao_kupper import RaoKupper
from basereward.losses.regression import Regression
from basereward.losses.sum import Sum
from basereward.losses.tie_squares import TieSquares
from basereward.records import Pair, parse_row


def of(loss, rewards, *items) -> list[float]:
    """Losses of comparisons, in float64."""
    return loss(torch.as_tensor(rewards, dtype=torch.float64), Labels.of(items)).tolist()


def pair(**keys) -> Item:
    return Item(2, (Pair(0, 1, **keys),))


# centring


def test_centering_hand_worked():
    """r = (2, -0.5) and (1, 3): (2 - 0.5)^2 = 2.25 and (1 + 3)^2 = 16."""
    assert of(Centering(), [2.0, -0.5, 1.0, 3.0], pair(), pair()) == [2.25, 16.0]


def test_centering_of_a_ranking_is_the_mean_over_its_pairs():
    """Rewards 1, 2, 4 and three pairs: ((1 + 2)^2 + (1 + 4)^2 + (2 + 4)^2) / 3 = (9 + 25 + 36) / 3."""
    assert of(Centering(), [1.0, 2.0, 4.0], ranking(0, 1, 2)) == pytest.approx([70 / 3])


def test_centering_does_not_change_when_a_pair_is_swapped_and_is_zero_at_opposite_rewards():
    assert of(Centering(), [1.5, 0.25], pair()) == of(Centering(), [0.25, 1.5], pair())
    assert of(Centering(), [1.5, -1.5], pair()) == [0.0]


def test_centering_is_equal_to_trl():
    """64 pairs with margins and a coefficient of 0.03, float64: loss and gradients to 1e-12."""
    chosen, rejected, margin = torch.randn(3, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * 2
    reward_R = torch.cat([chosen, rejected]).requires_grad_()
    loss = Sum(terms={"order": BradleyTerry(), "centering": Centering()}, weights={"centering": 0.03})
    ours = loss(reward_R, labels_of_pairs(64, margin)).mean()
    theirs = trl_loss(reward_R[:, None], margin, centering=0.03)
    assert abs(ours.item() - theirs.item()) <= 1e-12
    (our_grad,), (their_grad,) = (torch.autograd.grad(value, reward_R) for value in (ours, theirs))
    assert (our_grad - their_grad).abs().max() <= 1e-12
    assert abs(theirs.item() - trl_loss(reward_R[:, None], margin).item()) > 1e-3, "the coefficient had no effect"


# ties


def test_tie_squares_hand_worked():
    """Three responses, the first and last tied: (0.5 - 2)^2 = 2.25; a comparison without ties gives 0."""
    assert of(TieSquares(), [0.5, 9.0, 2.0, 1.0, 0.0], ranking(0, 1, 0), pair()) == [2.25, 0.0]


def test_tie_squares_do_not_know_left_from_right():
    assert of(TieSquares(), [0.5, 2.0], ranking(0, 0)) == of(TieSquares(), [2.0, 0.5], ranking(0, 0)) == [2.25]


def test_tie_squares_are_the_mean_squared_error_of_the_two_sides():
    """The reference: torch's ``mse_loss`` over all tied pairs of a comparison."""
    rewards = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    left, right = zip(*itertools.combinations(rewards.tolist(), 2))
    expected = torch.nn.functional.mse_loss(torch.tensor(left), torch.tensor(right)).item()
    assert of(TieSquares(), rewards, ranking(2, 2, 2, 2)) == pytest.approx([expected], rel=1e-6)


def test_rao_kupper_hand_worked():
    """t = ln 2 (theta = 2), gap ln 3: win 3 / (3 + 2) = 0.6, loss 1 / (1 + 6) = 1/7, tie 1 - 0.6 - 1/7 = 9/35."""
    loss = RaoKupper(threshold=math.log(2))
    rewards = [math.log(3), 0.0]
    assert of(loss, rewards, pair()) == pytest.approx([-math.log(0.6)], abs=1e-12)
    assert of(loss, rewards, Item(2, (Pair(1, 0),))) == pytest.approx([-math.log(1 / 7)], abs=1e-12)
    assert of(loss, rewards, ranking(0, 0)) == pytest.approx([-math.log(9 / 35)], abs=1e-12)


@pytest.mark.parametrize("threshold", [1e-3, 0.5, 3.0])
@pytest.mark.parametrize("gap", [-4.0, 0.0, 1.3])
def test_rao_kuppers_three_outcomes_have_probability_one(gap, threshold):
    loss = RaoKupper(threshold=threshold)
    outcomes = (pair(), Item(2, (Pair(1, 0),)), ranking(0, 0))
    assert sum(math.exp(-of(loss, [gap, 0.0], outcome)[0]) for outcome in outcomes) == pytest.approx(1, abs=1e-12)


def test_rao_kupper_is_equal_to_its_form_in_strengths():
    """The reference, in the strengths pi = e^r of the source: pi_1 / (pi_1 + theta pi_2), and what is left for the tie."""
    for first, second, theta in itertools.product((0.1, 1.0, 4.0), (0.3, 2.0), (1.1, 2.5)):
        loss, rewards = RaoKupper(threshold=math.log(theta)), [math.log(first), math.log(second)]
        tie = (theta**2 - 1) * first * second / ((first + theta * second) * (second + theta * first))
        assert of(loss, rewards, pair()) == pytest.approx([-math.log(first / (first + theta * second))], abs=1e-12)
        assert of(loss, rewards, ranking(0, 0)) == pytest.approx([-math.log(tie)], abs=1e-12)


def test_rao_kuppers_tie_is_likeliest_at_equal_rewards_with_the_stated_probability():
    """t = 1: tanh(1 / 2) = 0.4621172."""
    at_zero = of(RaoKupper(threshold=1.0), [0.0, 0.0], ranking(0, 0))[0]
    assert math.exp(-at_zero) == pytest.approx(math.tanh(0.5), abs=1e-12)
    assert at_zero < of(RaoKupper(threshold=1.0), [0.3, 0.0], ranking(0, 0))[0]


def test_rao_kupper_does_not_know_left_from_right():
    assert of(RaoKupper(), [0.7, -0.2], ranking(0, 0)) == pytest.approx(of(RaoKupper(), [-0.2, 0.7], ranking(0, 0)), abs=1e-15)


def test_rao_kupper_is_bradley_terry_where_the_threshold_vanishes():
    for gap in (-2.0, 0.4):
        assert of(RaoKupper(threshold=1e-9), [gap, 0.0], pair()) == pytest.approx(
            of(BradleyTerry(), [gap, 0.0], pair()), abs=1e-8
        )


def test_rao_kupper_averages_over_pairs_and_ties_together():
    """Ranks 0, 0, 1: two pairs and one tie share the comparison."""
    loss, rewards = RaoKupper(threshold=0.5), [1.0, 0.4, -0.3]
    parts = of(loss, [1.0, -0.3], pair()) + of(loss, [0.4, -0.3], pair()) + of(loss, [1.0, 0.4], ranking(0, 0))
    assert of(loss, rewards, ranking(0, 0, 1)) == pytest.approx([sum(parts) / 3], abs=1e-12)


def test_rao_kupper_weighs_win_against_loss_by_the_probability():
    loss = RaoKupper(threshold=0.5)
    win, lost = of(loss, [1.0, 0.0], pair())[0], of(loss, [1.0, 0.0], Item(2, (Pair(1, 0),)))[0]
    assert of(loss, [1.0, 0.0], pair(probability=0.75)) == pytest.approx([0.75 * win + 0.25 * lost], abs=1e-7)


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.inf, math.nan])
def test_a_threshold_without_ties_is_refused(threshold):
    with pytest.raises(ConfigError, match="threshold"):
        RaoKupper(threshold=threshold)


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_ties_stay_finite(gap):
    """At a gap of 1e4 the tie costs about 1e4 - t, and the gradient is 1."""
    rewards = torch.tensor([gap, 0.0], requires_grad=True)
    loss = RaoKupper()(rewards, Labels.of([ranking(0, 0)]))[0]
    loss.backward()
    assert loss.item() == pytest.approx(1e4, rel=1e-3) and rewards.grad.abs().tolist() == pytest.approx([1.0, 1.0])


# rankings


def brute_force(rewards: list[float], order: tuple[int, ...]) -> float:
    """Plackett-Luce's probability of an order, best first, as a product of shares."""
    strength = [math.exp(r) for r in rewards]
    return math.prod(strength[i] / sum(strength[j] for j in order[k:]) for k, i in enumerate(order))


def ranks_of(order: tuple[int, ...]) -> list[int]:
    return [order.index(i) for i in range(len(order))]


def test_plackett_luce_hand_worked():
    """Equal rewards, three responses: (ln 3 + ln 2) / 2 = (1.0986123 + 0.6931472) / 2 = 0.8958797."""
    assert of(PlackettLuce(), [0.4, 0.4, 0.4], ranking(0, 1, 2)) == pytest.approx([0.8958797], abs=1e-7)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_plackett_luce_is_equal_to_brute_force(count):
    """Every order: -log of the product of shares, over N - 1 choices; and the probabilities of all orders add up to 1."""
    rewards = (torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(count)) * 2).tolist()
    total = 0.0
    for order in itertools.permutations(range(count)):
        (loss,) = of(PlackettLuce(), rewards, ranking(*ranks_of(order)))
        assert loss * (count - 1) == pytest.approx(-math.log(brute_force(rewards, order)), abs=1e-12)
        total += math.exp(-loss * (count - 1))
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("margin", [0.0, 0.8, -0.5])
def test_plackett_luce_of_two_is_bradley_terry(margin):
    for rewards in ([1.0, -0.5], [-2.0, 3.0]):
        assert of(PlackettLuce(), rewards, pair(margin=margin)) == pytest.approx(of(BradleyTerry(), rewards, pair(margin=margin)))


def test_plackett_luce_leaves_tied_responses_unordered():
    """Ranks 0, 0, 1: each of the two is chosen from itself and the last, (log(1 + e^-1) + log(1 + e^-2)) / 2."""
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 2
    assert of(PlackettLuce(), [1.0, 2.0, 0.0], ranking(0, 0, 1)) == pytest.approx([expected], abs=1e-12)
    assert of(PlackettLuce(), [2.0, 1.0, 0.0], ranking(0, 0, 1)) == pytest.approx([expected], abs=1e-12)


def test_plackett_luce_does_not_depend_on_how_the_responses_are_listed():
    rewards, ranks = [0.3, -1.0, 2.0, 0.9], [2, 3, 1, 0]
    order = [2, 0, 3, 1]
    turned = of(PlackettLuce(), [rewards[i] for i in order], ranking(*(ranks[i] for i in order)))
    assert of(PlackettLuce(), rewards, ranking(*ranks)) == pytest.approx(turned, abs=1e-12)


def test_a_choice_weighs_the_mean_weight_of_its_pairs():
    """Choice 0 has pairs of weight 1 and 3, choice 1 one of weight 4: (2 a + 4 b) / 6."""
    pairs = (Pair(0, 1, weight=1.0), Pair(0, 2, weight=3.0), Pair(1, 2, weight=4.0))
    rewards = [0.5, -0.2, 1.0]
    a, b = math.log(sum(math.exp(r - 0.5) for r in rewards)), math.log1p(math.exp(1.2))
    assert of(PlackettLuce(), rewards, Item(3, pairs)) == pytest.approx([(2 * a + 4 * b) / 6], abs=1e-12)


# scores


def test_regression_hand_worked():
    """Scores 4.5 and 3, center 3, scale 1.5: targets 1 and 0; rewards 0.5 and -1: (0.25 + 1) / 2 = 0.625."""
    assert of(Regression(center=3.0, scale=1.5), [0.5, -1.0], scored(4.5, 3.0)) == [0.625]


def test_regression_is_the_mean_squared_error():
    rewards, scores = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).float().double()
    expected = torch.nn.functional.mse_loss(rewards, scores).item()
    assert of(Regression(), rewards, scored(*scores.tolist())) == pytest.approx([expected], abs=1e-12)


def test_regression_is_zero_at_the_scores_and_does_not_know_above_from_below():
    assert of(Regression(), [4.5, 3.0], scored(4.5, 3.0)) == [0.0]
    assert of(Regression(), [5.0, 3.0], scored(4.5, 3.0)) == of(Regression(), [4.0, 3.0], scored(4.5, 3.0))


def test_regression_refuses_a_scale_of_zero():
    with pytest.raises(ConfigError, match="scale"):
        Regression(scale=0.0)


def test_regression_names_the_source_that_has_no_scores():
    row = {"prompt": "?", "chosen": "a", "rejected": "b"}
    items = [scored(1, 2), parse_row(row, where="x", source="mine", default_id="row-7")]
    with pytest.raises(DataError, match=r"Regression: expected .* `scores`; found otherwise in 1 of the source 'mine'.*row-7"):
        Regression().check_data(items)
    with pytest.raises(DataError, match="scores"):
        Sum(terms={"order": BradleyTerry(), "scores": Regression()}).check_data(items)


# sums and refusals


def test_a_sum_hand_worked():
    """Gap 0 at rewards 1: ln 2 + 0.5 x (1 + 1)^2 = 2.6931472."""
    loss = Sum(terms={"order": BradleyTerry(), "centering": Centering()}, weights={"centering": 0.5})
    assert of(loss, [1.0, 1.0], pair()) == pytest.approx([math.log(2) + 2])


def test_a_term_of_weight_zero_is_not_there():
    loss = Sum(terms={"order": BradleyTerry(), "centering": Centering()}, weights={"centering": 0.0})
    assert not loss.sees_shift and of(loss, [1.0, 0.0], pair()) == of(BradleyTerry(), [1.0, 0.0], pair())


def test_a_sum_knows_what_its_terms_know():
    loss = Sum(terms={"order": BradleyTerry(), "ties": TieSquares()})
    assert loss.explains == {"order", "ties"} and loss.reads_ties and not loss.sees_shift and not loss.needs_scores
    assert Sum(terms={"order": BradleyTerry(), "scores": Regression()}).sees_shift


@pytest.mark.parametrize(
    "terms",
    [(BradleyTerry(), PlackettLuce()), (PlackettLuce(), RaoKupper()), (RaoKupper(), TieSquares()), (BradleyTerry(), BradleyTerry()),
     (Regression(), Regression())],
    ids=lambda terms: " + ".join(term.name for term in terms),
)  # fmt: skip
def test_two_likelihoods_of_the_same_thing_are_refused(terms):
    with pytest.raises(ConfigError, match="both likelihoods of the"):
        Sum(terms=dict(zip("ab", terms)))


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        ({}, {}, "at least one term"),
        ({"order": BradleyTerry()}, {"order": 0.0}, "at least one term"),
        ({"order": BradleyTerry()}, {"ordre": 1.0}, "did you mean 'order'"),
        ({"order": BradleyTerry()}, {"order": -1.0}, "0 or more"),
        ({"order": abs}, {}, "expected a loss"),
    ],
)
def test_sums_that_mean_nothing_are_refused(terms, weights, message):
    with pytest.raises(ConfigError, match=message):
        Sum(terms=terms, weights=weights)


@pytest.mark.parametrize(
    "loss", [Centering(), TieSquares(), Sum(terms={"a": Centering(), "b": TieSquares()})], ids=lambda x: x.name
)
def test_a_loss_that_knows_no_better_does_not_train_alone(loss):
    with pytest.raises(ConfigError, match="tells better from worse"):
        loss.check_alone()


@pytest.mark.parametrize(
    ("loss", "item", "message"),
    [
        (PlackettLuce(), {"probability": 0.8}, "without a probability"),
        (Regression(), {"margin": 1.0}, "without a margin"),
        (BradleyTerry(), None, "not tied.*keep_ties=false"),
        (PlackettLuce(), None, "not tied"),
    ],
)
def test_data_that_would_not_be_heard_are_refused(loss, item, message):
    tied = {"prompt": "?", "responses": ["a", "b"], "ranks": [0, 0]}
    row = tied if item is None else {"prompt": "?", "chosen": "a", "rejected": "b"} | item
    with pytest.raises(DataError, match=message):
        loss.check_data([parse_row(row, where="row", source="mine", keep_ties=True)])


def test_losses_that_read_ties_take_rows_of_ties_alone():
    for loss in (RaoKupper(), Sum(terms={"order": BradleyTerry(), "ties": TieSquares()}), Regression()):
        loss.check_data([scored(1, 1)])
