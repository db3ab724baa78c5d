"""Samples -> arrays over pairs, and what several diagnostics do with such arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from basereward.samples import Sample

Item = TypeVar("Item")


@dataclass(frozen=True)
class Pairs:
    """Pairs that were scored, as arrays of one length P; the rewards of a pair differ by its margin."""

    margin_P: np.ndarray
    """Reward of the better response minus reward of the worse one."""
    longer_P: np.ndarray
    """Characters of the better response minus those of the worse one."""
    group_P: np.ndarray
    """The prompt of the pair."""

    def __len__(self) -> int:
        return len(self.margin_P)

    @property
    def credit_P(self) -> np.ndarray:
        """1 where the better response has the greater reward, 0 where it has the lower one, and 1/2 for a tie, as a coin would do.

        For probabilities and correlations, where a tie says "a half"; accuracies count it as not right.
        """
        return (np.sign(self.margin_P) + 1) / 2

    @property
    def right_P(self) -> np.ndarray:
        """1 where the better response has strictly the greater reward, else 0."""
        return (self.margin_P > 0).astype(np.float64)

    def chosen(self, which: np.ndarray) -> Pairs:
        """Some of the pairs, by a mask or by numbers."""
        return Pairs(self.margin_P[which], self.longer_P[which], self.group_P[which])


def pairs_of(samples: Sequence[Sample]) -> Pairs:
    """The pairs whose two rewards are numbers, in order; what could not be scored has no margin."""
    rows = [
        (sample.rewards[better] - sample.rewards[worse], sample.lengths[better] - sample.lengths[worse], sample.group)
        for sample in samples
        if sample.rewards is not None
        for better, worse in sample.pairs
        if np.isfinite(sample.rewards[better]) and np.isfinite(sample.rewards[worse])
    ]
    margins, longer, groups = zip(*rows) if rows else ((), (), ())
    return Pairs(np.array(margins, dtype=float), np.array(longer, dtype=float), np.array(groups, dtype=str))


def rms(values: np.ndarray) -> float:
    """Root mean square; 0 of none.

    >>> rms(np.array([1.0, -1.0, 7.0, 7.0]))
    5.0
    """
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0


def spread_out(items: Sequence[Item], limit: int) -> list[Item]:
    """At most `limit` items, evenly spread over all, in order.

    >>> spread_out(range(10), 3), spread_out(range(2), 3)
    ([0, 4, 9], [0, 1])
    """
    return [items[int(n)] for n in np.linspace(0, len(items) - 1, min(limit, len(items)))]


def equal_bins(values: np.ndarray, most: int) -> np.ndarray:
    """(P,) the bin, from 0, of each value, in bins of about equally many; equal values share a bin.

    >>> equal_bins(np.array([4.0, 1.0, 2.0, 3.0]), 2).tolist(), equal_bins(np.array([1.0, 1.0, 1.0]), 2).tolist()
    ([1, 0, 0, 1], [0, 0, 0])
    """
    if not len(values):
        return np.zeros(0, dtype=int)
    limits = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[1:-1]))
    return np.unique(np.searchsorted(limits, values), return_inverse=True)[1]


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's; None where one of the two does not vary, or there are fewer than two values.

    >>> correlation(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0]))
    1.0
    """
    if len(a) < 2:
        return None
    return from_moments(*moments(a - a.mean(), b - b.mean()).sum(0))


def moments(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, 6) the terms whose sums a correlation is made of: 1, a, b, a a, b b, a b."""
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)


def from_moments(n: float, a: float, b: float, aa: float, bb: float, ab: float) -> float | None:
    """Pearson's correlation from the sums of `moments`; None where it is not defined, also where only rounding varies."""
    spread_a, spread_b = aa - a * a / n, bb - b * b / n
    if spread_a <= 1e-12 * aa or spread_b <= 1e-12 * bb:
        return None
    return float(np.clip((ab - a * b / n) / np.sqrt(spread_a * spread_b), -1, 1))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values have the mean of theirs. A correlation of these is Spearman's.

    >>> ranks(np.array([10.0, 30.0, 10.0])).tolist()
    [1.5, 3.0, 1.5]
    """
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[which]
