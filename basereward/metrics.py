"""Numbers about rewards: accuracy with ties as a third outcome, margins, and intervals that respect prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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


def outcome(better: Sequence[float], worse: Sequence[float]) -> Outcome:
    """Counts over pairs of rewards; a NaN on either side counts as wrong.

    >>> outcome([2.0, 1.0, 0.0], [1.0, 1.0, 3.0])
    Outcome(n=3, correct=1, ties=1, wrong=1)
    """
    a, b = np.asarray(better, dtype=np.float64), np.asarray(worse, dtype=np.float64)
    assert a.shape == b.shape and a.ndim == 1, (a.shape, b.shape)
    correct, ties = int((a > b).sum()), int((a == b).sum())
    return Outcome(len(a), correct, ties, len(a) - correct - ties)


def clustered_interval(
    correct: Sequence[float], groups: Sequence[str], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``correct``, resampling whole groups (prompts), not single pairs.

    Pairs of one prompt share its difficulty, so resampling them apart would make the interval too narrow.

    Args:
        correct: (n,) 0 or 1 for each pair (or a share of it).
        groups: (n,) the prompt each pair belongs to.
        level: coverage, 0.95 for a 95% interval.
        draws: bootstrap samples.
        seed: of the resampling; the same inputs give the same interval.
    """
    if not len(correct):
        return float("nan"), float("nan")
    _, group_n = np.unique(np.asarray(groups), return_inverse=True)
    right_g = np.bincount(group_n, weights=np.asarray(correct, dtype=np.float64))
    size_g = np.bincount(group_n).astype(np.float64)
    picks = np.random.default_rng(seed).integers(0, len(size_g), size=(draws, len(size_g)))
    means = right_g[picks].sum(1) / size_g[picks].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
