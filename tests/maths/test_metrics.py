"""Metrics: counts with ties as a third outcome, and intervals that resample prompts."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from basereward import metrics
from basereward.metrics import Outcome, clustered_interval, outcome, verdicts


def test_outcome_counts():
    assert outcome([3.0, 1.0, 2.0, 5.0], [1.0, 3.0, 2.0, 4.0]) == Outcome(n=4, correct=2, ties=1, wrong=1)


def test_a_tie_earns_nothing():
    """One right, one tie, two pairs: 1 / 2."""
    result = outcome([1.0, 1.0], [0.0, 1.0])
    assert result.accuracy == 0.5 and result.ties == 1 and result.wrong == 0


@pytest.mark.parametrize(("better", "worse"), [(math.nan, 0.0), (0.0, math.nan), (math.nan, math.nan)])
def test_nan_is_wrong(better, worse):
    assert outcome([better], [worse]) == Outcome(n=1, correct=0, ties=0, wrong=1)


def test_extreme_scorers():
    quality = np.random.default_rng(0).normal(size=(200, 2))
    high, low = quality.max(1), quality.min(1)
    assert outcome(high, low).accuracy == 1.0
    assert outcome(low, high).accuracy == 0.0
    assert outcome(np.zeros(200), np.zeros(200)) == Outcome(n=200, correct=0, ties=200, wrong=0)


def test_close_rewards_are_not_merged():
    """The difference of two float32 numbers next to each other is not a tie."""
    one = np.float32(12.3)
    assert outcome([np.nextafter(one, np.float32(99))], [one]).correct == 1


def test_nothing_to_judge():
    assert math.isnan(outcome([], []).accuracy)
    assert all(math.isnan(x) for x in clustered_interval([], []))


def test_unequal_lengths_are_refused():
    with pytest.raises(AssertionError):
        outcome([1.0, 2.0], [1.0])


def test_interval_is_deterministic_and_ordered():
    correct = np.random.default_rng(1).integers(0, 2, 300)
    groups = [f"p{i}" for i in range(300)]
    first = clustered_interval(correct, groups)
    assert first == clustered_interval(correct, groups)
    assert 0 <= first[0] < correct.mean() < first[1] <= 1


def test_interval_of_independent_pairs_is_the_binomial_one():
    """n = 400, p = 0.75: half width 1.96 sqrt(0.75 * 0.25 / 400) = 0.0424."""
    correct = [1, 1, 1, 0] * 100
    low, high = clustered_interval(correct, [str(i) for i in range(400)], draws=20_000)
    assert (high - low) / 2 == pytest.approx(0.0424, rel=0.05)
    assert (high + low) / 2 == pytest.approx(0.75, abs=0.005)


def test_four_identical_pairs_per_prompt_double_the_width():
    """400 pairs of 100 prompts with one outcome each carry the information of 100: sqrt(4) times as wide."""
    outcomes = [1, 1, 1, 0] * 25
    single = clustered_interval(np.repeat(outcomes, 4), [str(i) for i in range(400)], draws=20_000)
    grouped = clustered_interval(np.repeat(outcomes, 4), np.repeat(np.arange(100), 4).astype(str), draws=20_000)
    assert (grouped[1] - grouped[0]) / (single[1] - single[0]) == pytest.approx(2.0, rel=0.06)


def test_all_right_and_all_wrong_are_bounded_by_the_number_of_prompts():
    """Clopper-Pearson of 5 of 5: all five right has probability p^5 = 0.025 at p = 0.4782; of 1 of 1: 0.025."""
    five = ["a", "b", "c", "d", "e"]
    low, high = clustered_interval([1] * 5, five)
    assert low == pytest.approx(0.4782, abs=5e-5) and high == 1.0 and low**5 == pytest.approx(0.025)
    assert clustered_interval([0] * 5, five) == (0.0, pytest.approx(0.5218, abs=5e-5))
    assert clustered_interval([1] * 10, five * 2) == (low, high), "two pairs of a prompt are one piece of evidence"
    assert clustered_interval([1], ["a"]) == (pytest.approx(0.025), 1.0)
    assert clustered_interval([0], ["a"], level=0.8) == (0.0, pytest.approx(0.9))


def test_few_draws_at_a_time_give_the_same_interval(monkeypatch):
    correct = np.random.default_rng(1).integers(0, 2, 999)
    groups = [f"p{i % 333}" for i in range(999)]
    whole = clustered_interval(correct, groups)
    for at_once in (1, 1000, 100_000):
        monkeypatch.setattr(metrics, "MAX_PICKS", at_once)
        assert clustered_interval(correct, groups) == whole


def test_an_interval_of_many_prompts_needs_little_memory():
    """All draws at once would be 2000 x 20,000 x 8 bytes = 320 MB."""
    tracemalloc.start()
    clustered_interval([1, 0] * 10_000, range(20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_one_tie_rule():
    better, worse = [2.0, 1.0, 0.0, math.nan, 1.0], [1.0, 1.0, 3.0, 0.0, math.nan]
    words = verdicts(better, worse).tolist()
    assert words == ["correct", "tie", "wrong", "wrong", "wrong"]
    result = outcome(better, worse)
    assert [result.correct, result.ties, result.wrong] == [words.count(word) for word in ("correct", "tie", "wrong")]
    assert verdicts([], []).tolist() == []


def test_a_wider_level_is_wider():
    correct, groups = [1, 0] * 50, [str(i) for i in range(100)]
    narrow, wide = (clustered_interval(correct, groups, level=level) for level in (0.8, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_large_groups_weigh_by_their_pairs():
    """A prompt of 9 right pairs and one of a single wrong pair: the mean is over pairs, so draws are 1.0, 0.9 or 0.0."""
    low, high = clustered_interval([1] * 9 + [0], ["a"] * 9 + ["b"])
    assert (low, high) == (0.0, 1.0)
    low, high = clustered_interval([1] * 9 + [0], ["a"] * 9 + ["b"], level=0.2)
    assert (low, high) == (0.9, 0.9)


def test_prompts_that_are_all_half_right_do_not_make_the_interval_a_point():
    """One prompt of two pairs, one of them right: Wilson's interval of one half in one is (1 -+ sqrt(z2 / (1 + z2))) / 2."""
    low, high = clustered_interval([1, 0], ["a", "a"])
    width = (3.841458820694124 / 4.841458820694124) ** 0.5
    assert (low, high) == pytest.approx(((1 - width) / 2, (1 + width) / 2), abs=1e-9)
    assert clustered_interval([1, 0, 0, 1], ["a", "a", "b", "b"])[0] > low
