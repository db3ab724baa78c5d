"""Numbers about rewards: accuracy with ties as a third outcome, margins, and intervals that respect prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

# Groups drawn at one time for an interval: 8 bytes each, three times.
MAX_PICKS = 1_000_000
# Below any difference of shares that a file of responses can make, and far above what summing them rounds.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Outcome:
    """How pairs of rewards came out; ties are neither right nor wrong.

    Attributes:
        n, correct, ties, wrong: counts of pairs.
    """

    n: int
    correct: int
    ties: int
    wrong: int

    @property
    def accuracy(self) -> float:
        """``correct / n``: strictly greater wins, a tie earns nothing (the rule of the official scripts)."""
        return self.correct / self.n if self.n else float("nan")


def verdicts(better: Sequence[float], worse: Sequence[float]) -> np.ndarray:
    """(n,) words, one for each pair: the tie rule of everything that is judged here.

    Correct when the better response has strictly the greater reward, a tie when both are equal to the last bit, else wrong.

    >>> verdicts([1.0, 0.5, 0.0, float("nan")], [0.5, 0.5, 0.5, 0.5]).tolist()
    ['correct', 'tie', 'wrong', 'wrong']
    """
    a, b = np.asarray(better, dtype=np.float64), np.asarray(worse, dtype=np.float64)
    assert a.shape == b.shape and a.ndim == 1, (a.shape, b.shape)
    return np.select([a > b, a == b], ["correct", "tie"], "wrong")


def outcome(better: Sequence[float], worse: Sequence[float]) -> Outcome:
    """Counts over pairs of rewards; a NaN on either side counts as wrong.

    >>> outcome([2.0, 1.0, 0.0], [1.0, 1.0, 3.0])
    Outcome(n=3, correct=1, ties=1, wrong=1)
    """
    words = verdicts(better, worse)
    correct, ties = int((words == "correct").sum()), int((words == "tie").sum())
    return Outcome(len(words), correct, ties, len(words) - correct - ties)


def clustered_interval(
    correct: Sequence[float], groups: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``correct``, resampling whole groups (prompts), not single pairs.

    Pairs of one prompt share its difficulty, so resampling them apart would make the interval too narrow. Where every group is
    entirely right, or entirely wrong, all draws are alike and tell nothing: there it is the exact two-sided binomial
    (Clopper-Pearson) interval of that many groups, which ends at ``((1 - level) / 2) ** (1 / groups)``. Where every group has the same
    share between, draws of groups of one size are alike too: there it is Wilson's interval of that share in that many groups.

    Args:
        correct: (n,) 0 or 1 for each pair (or a share of it).
        groups: (n,) the prompt each pair belongs to.
        level: coverage, 0.95 for a 95% interval.
        draws: bootstrap samples.
        seed: of the resampling; the same inputs give the same interval.
    """
    if not len(correct):
        return float("nan"), float("nan")
    sum_g2 = group_sums(np.stack([np.asarray(correct, dtype=np.float64), np.ones(len(correct))], axis=1), groups)
    right_g, size_g = sum_g2.T
    bound = ((1 - level) / 2) ** (1 / len(size_g))
    shares = right_g / size_g
    if is_all(shares, 1):
        return bound, 1.0
    if is_all(shares, 0):
        return 0.0, 1 - bound
    if is_all(shares, shares[0]):
        return wilson_interval(float(shares[0]), len(shares), level=level)
    return _interval_of_means(sum_g2, level, draws, seed)


def is_all(shares: np.ndarray, value: float) -> bool:
    """Whether all are a value but for rounding: shares that are sums may miss it by their last bits.

    >>> is_all(np.array([1.0, 0.1 + 0.2 + 0.7]), 1), is_all(np.array([1.0, 0.999]), 1)
    (True, False)
    """
    return bool((np.abs(shares - value) <= ROUNDING).all())


def wilson_interval(share: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of ``n`` (Wilson 1927).

    >>> tuple(round(end, 4) for end in wilson_interval(0.5, 10))
    (0.2366, 0.7634)
    """
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return middle - half, middle + half


def mean_interval(
    values: Sequence[float], groups: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of any numbers, resampling whole groups."""
    if not len(values):
        return float("nan"), float("nan")
    return _interval_of_means(group_sums(np.stack([values, np.ones(len(values))], axis=1), groups), level, draws, seed)


def difference_interval(
    differences: Sequence[float], groups: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Paired bootstrap interval of the mean of ``differences``, resampling whole groups as `mean_interval` does.

    Where no pair differs, all draws are 0 and tell nothing. There at most the share ``1 - ((1 - level) / 2) ** (1 / groups)`` of the
    groups can differ (Clopper-Pearson), and the interval is as wide as if all of that went one way. The same bound, from the other
    end, where every pair differs and the same way.

    Args:
        differences: (n,) for each pair what one model earns minus what the other earns: -1, 0 or 1.
        groups, level, draws, seed: as in `clustered_interval`.
    """
    kinds = set(map(float, differences))
    if len(kinds) != 1 or not kinds <= {-1.0, 0.0, 1.0}:
        return mean_interval(differences, groups, level=level, draws=draws, seed=seed)
    bound, (kind,) = ((1 - level) / 2) ** (1 / len(set(groups))), kinds
    if kind == 0:
        return bound - 1, 1 - bound
    return (bound, 1.0) if kind == 1 else (-1.0, -bound)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar p: of the pairs that one of two models alone gets right, how surprising is it that they fall so, were
    each as likely to be either's? The binomial test of `only_a` of `only_a + only_b` at 1/2.

    >>> mcnemar_exact(0, 0), mcnemar_exact(1, 5)
    (1.0, 0.21875)
    """
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**n)


def _interval_of_means(sum_g2: np.ndarray, level: float, draws: int, seed: int) -> tuple[float, float]:
    """Of a mean whose sum and number each group has."""
    total_d, number_d = _drawn(sum_g2, draws, seed).T
    low, high = np.quantile(total_d / number_d, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_sums(values: np.ndarray, groups: Sequence[str], *, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """(draws, k) sums of (n, k) values over as many groups as there are, drawn with replacement; for intervals of what sums make."""
    return _drawn(group_sums(values, groups), draws, seed)


def group_sums(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """(groups, k) sums of (n, k) values.

    >>> group_sums(np.array([[1.0], [2.0], [4.0]]), ["b", "a", "b"]).tolist()
    [[2.0], [5.0]]
    """
    _, group_n = np.unique(np.asarray(groups), return_inverse=True)
    return np.stack([np.bincount(group_n, weights=column) for column in values.T], axis=1)


def _drawn(sum_gk: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(draws, k) sums over groups drawn with replacement; a few draws at a time, in bounded memory."""
    generator, sums = np.random.default_rng(seed), []
    at_once = max(1, MAX_PICKS // len(sum_gk))
    for start in range(0, draws, at_once):
        picks = generator.integers(0, len(sum_gk), size=(min(at_once, draws - start), len(sum_gk)))
        sums.append(np.stack([column[picks].sum(1) for column in sum_gk.T], axis=1))
    return np.concatenate(sums)
