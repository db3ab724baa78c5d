"""The statistics of a grid by hand, against analysis of variance, Dunnett's table and scipy's multivariate t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from simulated_grids import Truth

from basereward.grid_statistics.best import chance_of_best, could_be_best
from basereward.grid_statistics.comparison import BETTER, BEYOND_ITEMS, OPEN, WORSE, compare
from basereward.grid_statistics.contrasts import against, contrasts
from basereward.grid_statistics.moments import Moments, Pool, moments
from basereward.grid_statistics.trends import effect_weights, trend
from basereward.metrics import difference_interval

ITEMS = ("1", "2", "3", "4")
# Two seeds on four items.
A = np.array([[1, 1, 1, 0], [1, 0, 1, 0]])
B = np.array([[1, 0, 0, 0], [0, 0, 1, 0]])


def of_means(mean: list[float], seed: float, *, df: int, seeds: int = 3) -> Moments:
    """Means that only seeds move."""
    count = len(mean)
    pool = Pool(np.ones(count, bool), seed, 0.0, df)
    return Moments(np.array(mean), np.full(count, seeds), np.zeros((count, count)), [pool], 10_000, np.zeros(count, bool))


def test_variance_by_hand():
    """A has seed means 3/4 and 2/4: V = 1/32. Item means 1, 1/2, 1, 0 around 5/8: squares 9/64 + 1/64 + 9/64 + 25/64 = 44/64, so
    items = 4/3 * 44/64 / 16 = 11/192, to which half an item on each side adds 1/(2 * 16 * 2) = 1/64. The residuals of item 2 are
    +-3/8 and of the others -+1/8, squares 2 * (9 + 3) / 64 = 3/8: R = 4/3 * 3/8 / 16 = 1/32. V - R is 0: nothing is left to the seed."""
    found = moments([A], ITEMS)
    assert found.mean_A == [5 / 8] and found.pools[0].df == 1
    assert found.pools[0].seed == pytest.approx(1 / 32) and found.pools[0].rest == pytest.approx(1 / 32)
    assert found.items_AA[0, 0] == pytest.approx(11 / 192 + 1 / 64)
    assert found.covariance_AA[0, 0] == pytest.approx(11 / 192 + 1 / 64)


def anova(y_SN: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, items and the rest, from the textbook's sums."""
    seeds, items = y_SN.shape
    total, correction = (y_SN**2).sum(), y_SN.sum() ** 2 / y_SN.size
    of_seeds = (y_SN.sum(1) ** 2).sum() / items - correction
    of_items = (y_SN.sum(0) ** 2).sum() / seeds - correction
    rest = total - correction - of_seeds - of_items
    return of_seeds / (seeds - 1), of_items / (items - 1), rest / ((seeds - 1) * (items - 1))


def test_variance_is_that_of_crossed_random_effects():
    """(MS_seed + MS_item - MS_rest) / (nS), and half an item on each side."""
    y_SN = Truth(gaps=(0.0,), seeds=4, items=300, seed_deviation=0.08).grid(np.random.default_rng(3))[0].astype(float)
    of_seeds, of_items, rest = anova(y_SN)
    assert of_seeds > rest, "the case must not be cut at 0"
    found = moments([y_SN], np.arange(300))
    assert found.covariance_AA[0, 0] == pytest.approx((of_seeds + of_items - rest) / 1200 + 1 / (2 * 300**2 * 4))
    expected = (of_seeds + of_items - rest) ** 2 / (of_seeds**2 / 3 + of_items**2 / 299 + rest**2 / (3 * 299))
    assert found.df(np.ones(1)) == pytest.approx(expected, rel=0.01), "Satterthwaite's degrees of freedom"


def test_items_of_one_prompt_are_one():
    """Each of 40 items four times over, in prompts of four: the interval is that of the 40."""
    right = Truth(gaps=(0.0, 0.0), items=40, seed_deviation=0.1).grid(np.random.default_rng(0))
    alone, copied = (
        moments(right, np.arange(40)),
        moments([np.repeat(of, 4, axis=1) for of in right], np.repeat(np.arange(40), 4)),
    )
    half = np.eye(2) / (2 * 3)
    assert copied.items_AA - half / 160**2 == pytest.approx(alone.items_AA - half / 40**2)
    assert copied.pools[0].rest == pytest.approx(alone.pools[0].rest) and copied.pools[0].seed == pytest.approx(
        alone.pools[0].seed
    )


def test_estimated_variance_is_the_true_one():
    """Of 600 differences of two settings with prompts of five items: their scatter, and the mean of what each grid estimates."""
    truth, generator = (
        Truth(gaps=(0.0, 0.0), items=500, seed_deviation=0.03, to_a_prompt=5, own_taste=1.0),
        np.random.default_rng(1),
    )
    weights = against(2, 0)
    grids = [contrasts(moments(truth.grid(generator), truth.groups), weights) for _ in range(600)]
    true = np.var([of.value_K[0] for of in grids])
    assert np.mean([of.error_K[0] ** 2 for of in grids]) == pytest.approx(true, rel=0.15)


# Dunnett 1964, two-sided 5%, 20 degrees of freedom: comparisons -> the |t| that is needed.
@pytest.mark.parametrize(("count", "expected"), [(1, 2.09), (2, 2.38), (3, 2.54), (5, 2.73), (8, 2.91)])
def test_many_comparisons_are_dunnetts(count, expected):
    of = contrasts(of_means([0.5] * (count + 1), 1e-4, df=20), against(count + 1, 0), draws=200_000)
    assert of.half_all_K / of.error_K == pytest.approx(expected, abs=0.02)
    assert of.half_K / of.error_K == pytest.approx(stats.t.isf(0.025, 20), rel=1e-6)


def test_corrected_p_against_scipy():
    """Settings that share items: P(no |t| reaches ours) is a box of the multivariate t."""
    right = Truth(gaps=(0.0, 0.03, 0.01, 0.0), items=400).grid(np.random.default_rng(5))
    found, weights = moments(right, np.arange(400)), against(4, 0)
    of = contrasts(found, weights, draws=200_000)
    cov = weights @ found.covariance_AA @ weights.T
    shape = cov / np.outer(of.error_K, of.error_K)
    for k, p in enumerate(of.p_K):
        at = stats.t.isf(p / 2, of.df_K.min())
        box = stats.multivariate_t(shape=shape, df=of.df_K.min(), seed=0).cdf([at] * 3, lower_limit=[-at] * 3)
        assert of.p_all_K[k] == pytest.approx(1 - box, abs=0.005)


def test_interval_of_all_and_corrected_p_say_the_same():
    generator = np.random.default_rng(2)
    seen = set()
    for _ in range(40):
        of = contrasts(moments(Truth(gaps=(0, 0.04, 0.05)).grid(generator), np.arange(1250)), against(3, 0), draws=4000)
        for k in range(2):
            told = abs(of.value_K[k]) > of.half_all_K[k]
            seen.add(bool(told))
            if abs(of.p_all_K[k] - 0.05) > 0.002:
                assert told == (of.p_all_K[k] < 0.05)
            assert of.half_all_K[k] > of.half_K[k] and of.p_all_K[k] >= of.p_K[k]
    assert seen == {True, False}


def test_several_benchmarks_share_the_level():
    found = of_means([0.5, 0.6], 1e-4, df=20)
    one, two = contrasts(found, against(2, 0)), contrasts(found, against(2, 0), families=2)
    assert two.p_all_K == pytest.approx(2 * one.p_all_K)
    assert two.half_all_K / two.error_K == pytest.approx(stats.t.isf(0.0125, 20)) and two.half_K == one.half_K


def test_a_setting_that_scatters_by_itself_does_not_widen_the_others():
    """Seven settings of one point and one of 30: it has a pool of its own, with two degrees of freedom."""
    generator = np.random.default_rng(0)
    right = Truth(gaps=(0,) * 7).grid(generator) + Truth(gaps=(0,), seed_deviation=0.3).grid(generator)
    found = moments(right, np.arange(1250))
    assert found.odd_A.tolist() == [False] * 7 + [True] and [pool.df for pool in found.pools] == [14, 2]
    of = contrasts(found, against(8, 0))
    assert of.error_K[-1] > 4 * of.error_K[:-1].max() and of.df_K[-1] < 4


def test_single_seeds_are_never_called_better():
    right = {"a": np.array([[0] * 60 + [1] * 40]), "b": np.array([[1] * 100]), "c": np.array([[0] * 80 + [1] * 20])}
    found = compare(right, [str(k) for k in range(100)], "a")
    assert not found.knows_seeds and found.seed_deviation is None
    assert [found.settings[name].difference.verdict for name in "bc"] == [BEYOND_ITEMS, BEYOND_ITEMS]
    assert found.settings["a"].deviation is None and found.settings["a"].difference is None
    more = compare({name: np.repeat(of, 2, axis=0) for name, of in right.items()}, [str(k) for k in range(100)], "a")
    assert [more.settings[name].difference.verdict for name in "bc"] == [BETTER, WORSE]


def test_a_table_by_hand():
    found = compare({"a": A, "b": B}, ITEMS, "a")
    assert found.winner == "a" and (found.n, found.num_groups) == (4, 4)
    row = found.settings["b"]
    assert row.mean == 0.25 and row.seed_means == [0.25, 0.25] and row.deviation == 0.0
    assert row.difference.value == -0.375 and row.difference.verdict == OPEN
    low, high = row.difference.interval
    assert low < -0.375 < high and (low + high) / 2 == pytest.approx(-0.375)
    assert row.interval[0] >= 0 and row.interval[1] <= 1
    assert found.settings["a"].chance_best + row.chance_best == pytest.approx(1) and found.settings["a"].chance_best > 0.5


def test_results_that_differ_nowhere_are_no_proof():
    """Of 50 prompts, a share of 1 - 0.025 ** (1 / 50) can differ all the same."""
    same = np.array([[1] * 40 + [0] * 10] * 2)
    found = compare({"a": same, "b": same}, [str(k) for k in range(50)], "a").settings["b"].difference
    assert found.value == 0 and found.verdict == OPEN
    assert found.interval == found.interval_all == pytest.approx(difference_interval([0] * 50, [str(k) for k in range(50)]))
    every = compare({"a": np.ones((2, 50)), "b": same}, [str(k) for k in range(50)], "b").settings["a"]
    assert every.interval == pytest.approx((0.025 ** (1 / 50), 1.0))


def test_chance_of_the_best():
    assert chance_of_best(of_means([0.5, 0.9, 0.5], 1e-4, df=20))[1] > 0.999
    even = chance_of_best(of_means([0.5, 0.5, 0.5, 0.5], 1e-4, df=20), draws=50_000)
    assert even == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("gap", [0.005, 0.01, 0.02])
def test_chance_of_the_best_of_two_by_integration(gap):
    """The observed gap is N(true, 2 e^2), the true one N(0, 2 tau^2), tau half-Cauchy with median 0.02; e = 0.005."""
    error = 0.005 * 2**0.5

    def density(tau: float) -> float:
        return stats.norm.pdf(gap, scale=(error**2 + 2 * tau**2) ** 0.5) / (1 + (tau / 0.02) ** 2)

    def first(tau: float) -> float:
        return density(tau) * stats.norm.cdf(gap * tau * 2**0.5 / error / (error**2 + 2 * tau**2) ** 0.5)

    expected, total = (integrate.quad(of, 0, 2, points=[0.001, 0.01, 0.1])[0] for of in (first, density))
    found = chance_of_best(of_means([0.75 + gap, 0.75], 3 * 0.005**2, df=100_000), draws=100_000)
    assert found[0] == pytest.approx(expected / total, abs=0.01)
    assert found[0] < stats.norm.cdf(gap / error), "which it would be without the prior"


def test_who_can_still_be_the_best():
    """One-sided Dunnett of two comparisons with 20 degrees of freedom is 2.03; a difference has an error of 0.5 * sqrt(2) points."""
    error = 0.005 * 2**0.5
    for far, stays in ((1.9, True), (2.15, False)):
        found = of_means([0.80, 0.799, 0.80 - far * error], 3 * 0.005**2, df=20)
        assert could_be_best(found, draws=100_000).tolist() == [True, True, stays]


def test_effect_of_a_factor_is_over_pairs_that_differ_in_nothing_else():
    settings = [{"head": head, "depth": depth} for head in ("relu", "silu") for depth in ("1", "2", "3")][:-1]
    weights = effect_weights(settings, "head", "silu", "relu")
    assert weights.tolist() == [-0.5, -0.5, 0.0, 0.5, 0.5]
    assert effect_weights(settings, "depth", "3", "1").tolist() == [-1.0, 0.0, 1.0, 0.0, 0.0]
    assert effect_weights(settings, "head", "tanh", "relu") is None


def test_a_line_through_means():
    """Over 1, 10, 100 on a log axis: 2 points for a factor of ten, against numpy's least squares."""
    found = of_means([0.70, 0.72, 0.74], 3 * 0.01**2, df=20)
    line = trend(found, [1, 10, 100])
    assert line.is_log and line.slope.value_K[0] == pytest.approx(0.02) and line.bend.value_K[0] == pytest.approx(0)
    assert line.slope.error_K[0] == pytest.approx(0.01 / 2**0.5), "0.01 over the root of the sum of squares 1 + 0 + 1"
    assert line.line[0][:2] == pytest.approx((1, 0.70)) and line.line[-1][:2] == pytest.approx((100, 0.74))
    place, centre, low, high = line.line[12]
    assert (place, centre) == pytest.approx((10, 0.72)) and high - low == pytest.approx(
        2 * stats.t.isf(0.025, 20) * 0.01 / 3**0.5
    )
    plain = trend(of_means([0.7, 0.75, 0.72, 0.71], 1e-4, df=20), [0.0, 0.25, 0.5, 1.0])
    assert not plain.is_log
    assert plain.slope.value_K[0] == pytest.approx(np.polyfit([0.0, 0.25, 0.5, 1.0], [0.7, 0.75, 0.72, 0.71], 1)[0])
    assert trend(found, [1, 1, 2]).bend is None
