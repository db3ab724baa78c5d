"""Settings that are nearly or wholly alike, and all right or all wrong: all numbers are numbers, and no word says more than the marks."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_grids import Truth

from basereward.grid_statistics.comparison import OPEN, WORSE, compare
from basereward.grid_statistics.moments import Moments, Pool


def nearly_one(differ: int, *, seeds: int = 2) -> dict[str, np.ndarray]:
    """Three settings whose seeds differ on every fifth item; two of them are one model, but for so many items of one seed."""
    runs = (np.random.default_rng(0).random((seeds, 200)) < 0.7).astype(int)
    other = runs.copy()
    other[0, np.flatnonzero(runs[0])[:differ]] = 0
    return {"a": runs, "b": other, "c": np.roll(runs, 1, axis=1) & runs}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("differ", [0, 1, 5])
@pytest.mark.parametrize("seeds", [2, 3])
def test_settings_that_are_nearly_one_model(differ, seeds):
    """V and R cancel in what they differ by; the degrees of freedom are those of V at the least, and all numbers are numbers."""
    right = nearly_one(differ, seeds=seeds)
    found = compare(right, [str(k) for k in range(200)], "c")
    assert found.moments.df(np.array([1.0, -1.0, 0.0])) >= found.moments.pools[0].df
    chances = {name: of.chance_best for name, of in found.settings.items()}
    assert sum(chances.values()) == pytest.approx(1) and chances["c"] < 0.01
    assert chances["a"] == pytest.approx(chances["b"], abs=0.02) if not differ else chances["a"] > chances["b"]
    assert found.settings["a"].could_be_best and (differ or found.settings["b"].could_be_best)
    numbers = [
        end for of in found.settings.values() if of.difference for end in (*of.difference.interval_all, of.difference.p_all)
    ]
    assert np.isfinite(numbers).all() and len(numbers) == 6


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shares", [(1, 1, 1), (0, 0, 0), (0, 0, 1), (1, 1, 0)])
def test_all_right_or_all_wrong(shares):
    right = {name: np.full((2, 50), share) for name, share in zip("abc", shares)}
    found = compare(right, [str(k) for k in range(50)], "a")
    chances = np.array([of.chance_best for of in found.settings.values()])
    best = np.array(shares) == max(shares)
    assert chances[best] == pytest.approx(1 / best.sum(), abs=0.02) and (chances[~best] < 0.01).all()
    assert [of.could_be_best for of in found.settings.values()] == best.tolist()


def test_degrees_of_freedom_are_no_fewer_than_those_of_the_seeds():
    """V = R = 1e-4 of two settings and what is left of items 1e-8: the formula gives 1e-16 / (1e-8 / 2), which is 2e-8."""
    pool = Pool(np.ones(2, bool), 1e-4, 1e-4, 2)
    found = Moments(np.array([0.5, 0.5]), np.full(2, 2), np.eye(2) * 0.5e-8, [pool], 200, np.zeros(2, bool))
    assert found.df(np.array([1.0, -1.0])) == 2
    assert Moments(np.array([0.5]), np.ones(1), np.eye(1), [], 200, np.zeros(1, bool)).df(np.ones(1)) == 199, "items alone"


def test_who_can_still_be_the_best_agrees_with_the_marks():
    """The set is one-sided and the marks are two-sided: of grids drawn near the border, none says both 'the best' and 'not told apart'."""
    generator, groups, seen = np.random.default_rng(0), [str(k) for k in range(300)], set()
    for _ in range(12):
        right = dict(zip("abc", Truth(gaps=(0.0, 0.06, -0.06), seeds=2, items=300).grid(generator)))
        for baseline in "abc":
            found = compare(right, groups, baseline, families=2)
            first, stays = found.winner, {name for name, of in found.settings.items() if of.could_be_best}
            verdicts = {name: of.difference.verdict for name, of in found.settings.items() if of.difference}
            assert first in stays and not stays & {name for name, word in verdicts.items() if word == WORSE}
            if first == baseline:
                assert stays == {baseline} | {name for name, word in verdicts.items() if word == OPEN}
            else:
                assert (baseline in stays) == (verdicts[first] == OPEN)
            seen.add((first == baseline, len(stays)))
    assert len(seen) >= 4
