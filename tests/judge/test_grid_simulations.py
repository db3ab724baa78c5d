"""What the marks of a table promise, on grids whose truth is known. Each bound is about three standard errors of the simulation wide."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_grids import Truth

from basereward.grid_statistics.best import chance_of_best, could_be_best
from basereward.grid_statistics.comparison import compare
from basereward.grid_statistics.contrasts import against, contrasts
from basereward.grid_statistics.moments import moments

# Enough for a critical value within 0.03 of its own.
DRAWS = 4000


def told(truth: Truth, grids: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(grids, K) whether each comparison with the first setting is called better, and whether its own interval holds the truth."""
    generator, weights = np.random.default_rng(seed), against(len(truth.gaps), 0)
    true_K = weights @ np.array(truth.gaps)
    better, held = [], []
    for _ in range(grids):
        of = contrasts(moments(truth.grid(generator), truth.groups), weights, draws=DRAWS)
        better.append(of.value_K > of.half_all_K)
        held.append(np.abs(of.value_K - true_K) <= of.half_K)
    return np.array(better), np.array(held)


def test_null_grids_have_a_better_setting_in_six_percent_at_most():
    """8 settings, 3 seeds, 1,250 items, a seed deviation of one point."""
    better, held = told(Truth(), 2000)
    assert 0.01 < better.any(1).mean() <= 0.06
    assert held.mean() == pytest.approx(0.95, abs=0.015)


def test_five_points_are_found():
    """One of eight settings is better by 5 points."""
    better, held = told(Truth(gaps=(0.0,) * 7 + (0.05,)), 400)
    assert better[:, -1].mean() >= 0.80
    assert better[:, :-1].any(1).mean() <= 0.06 and held[:, -1].mean() >= 0.92


@pytest.mark.parametrize("deviation", [0.0, 0.01, 0.03])
@pytest.mark.parametrize(("items", "to_a_prompt"), [(170, 1), (170, 4), (1250, 1), (1250, 5)])
def test_intervals_hold(items, to_a_prompt, deviation):
    """Two settings with two seeds each is the least that there is: the seeds' variance has two degrees of freedom."""
    _, held = told(Truth((0.0, 0.02), 2, items, deviation, to_a_prompt=to_a_prompt, own_taste=0.5), 300)
    assert held.mean() >= 0.92


def test_one_setting_under_other_seeds_is_not_called_different():
    """Three seeds here and three there, of three points' deviation: more than items would explain."""
    truth, generator = Truth(gaps=(0.0, 0.0), seed_deviation=0.03), np.random.default_rng(7)
    verdicts, alone = [], []
    for _ in range(300):
        right = truth.grid(generator)
        both = contrasts(moments(right, truth.groups), against(2, 0))
        verdicts.append(abs(both.value_K[0]) > both.half_all_K[0])
        items = contrasts(moments([of[:1] for of in right], truth.groups), against(2, 0))
        alone.append(abs(items.value_K[0]) > items.half_all_K[0])
    assert np.mean(verdicts) <= 0.08
    assert np.mean(alone) > 0.3, "with the noise of items alone it would be called different, which is why one seed never is"


def test_single_seeds_are_not_called_different():
    truth, generator = Truth(gaps=(0.0, 0.0), seeds=1, seed_deviation=0.05), np.random.default_rng(8)
    groups = truth.groups.astype(str).tolist()
    found = [compare(dict(zip("ab", truth.grid(generator))), groups, "a", chances=False) for _ in range(60)]
    words = {each.settings["b"].difference.verdict for each in found}
    assert words == {"not told apart", "beyond item noise"}


def test_the_chance_of_the_best_is_what_it_says():
    """Grids whose settings scatter by 0.3 to 5 points: of the winners given 70%, about 70% are the best."""
    generator, claimed, true, stays = np.random.default_rng(4), [], [], []
    for _ in range(160):
        gaps = generator.standard_normal(5) * generator.choice([0.003, 0.01, 0.02, 0.05])
        truth = Truth(gaps=tuple(gaps.tolist()), items=600)
        found = moments(truth.grid(generator), truth.groups)
        chance_A = chance_of_best(found, draws=2000)
        claimed.append(chance_A.max())
        true.append(chance_A.argmax() == gaps.argmax())
        stays.append(could_be_best(found, draws=1000)[gaps.argmax()])
    claimed, true = np.array(claimed), np.array(true)
    assert claimed.mean() == pytest.approx(true.mean(), abs=0.1)
    low, high = claimed < 0.6, claimed > 0.8
    assert low.sum() > 30 and high.sum() > 30
    assert claimed[low].mean() == pytest.approx(true[low].mean(), abs=0.15)
    assert claimed[high].mean() == pytest.approx(true[high].mean(), abs=0.1)
    assert np.mean(stays) >= 0.93
