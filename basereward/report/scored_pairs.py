"""Scored pairs -> the bins that the charts about calibration and length show, from samples.jsonl alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from basereward.diagnostics.pairs import Pairs
from basereward.metrics import clustered_interval

# Limits of the ranges of a length difference in characters, on both sides of 0.
LENGTH_LIMITS = (1, 64, 256, 1024)
# Bins of the reliability curve: at most so many, and each with at least so many pairs where there are enough for two.
MAX_BINS, MIN_PAIRS = 10, 20


@dataclass(frozen=True)
class Bin:
    """Pairs of one kind: how many, the share that is right and its interval."""

    name: str
    n: int
    right: float
    interval: tuple[float, float]
    at: float
    """Of the curve: the mean confidence. Of lengths: the median difference."""
    margin: float
    """The median margin."""


def reliability(pairs: Pairs) -> list[Bin]:
    """Pairs in bins of equally many by confidence, sigmoid(|margin|): what a Bradley-Terry model says of its own pick.

    A tie, of which the model says a half, counts as half right here, and only here.
    """
    confidence_P = 1 / (1 + np.exp(-np.abs(pairs.margin_P)))
    order = np.argsort(confidence_P, kind="stable")
    bins = []
    for part in np.array_split(order, max(1, min(MAX_BINS, len(pairs) // MIN_PAIRS))) if len(pairs) else ():
        low, high = confidence_P[part[0]], confidence_P[part[-1]]
        members = pairs.chosen(part)
        bins.append(_bin(f"{100 * low:.1f}% to {100 * high:.1f}%", members, members.credit_P, float(confidence_P[part].mean())))
    return bins


def by_length(pairs: Pairs) -> list[Bin]:
    """Pairs by how much longer the preferred response is, the shortest first; ranges without pairs are left out."""
    edges = [*LENGTH_LIMITS, np.inf]
    sides = {}
    for sign, word in ((-1, "shorter"), (1, "longer")):
        size_P = sign * pairs.longer_P
        ranges = [(_range(low, high, word), (size_P >= low) & (size_P < high)) for low, high in zip(edges, edges[1:])]
        sides[sign] = ranges
    found = [*reversed(sides[-1]), ("the same", pairs.longer_P == 0), *sides[1]]
    members = ((name, pairs.chosen(which)) for name, which in found if which.any())
    return [_bin(name, part, part.right_P, float(np.median(part.longer_P))) for name, part in members]


def _bin(name: str, pairs: Pairs, right_P: np.ndarray, at: float) -> Bin:
    interval = clustered_interval(right_P, pairs.group_P.tolist())
    return Bin(name, len(pairs), float(right_P.mean()), interval, at, float(np.median(pairs.margin_P)))


def _range(low: float, high: float, word: str) -> str:
    return f"{low:,}+ {word}" if high == np.inf else f"{low:,} to {high - 1:,} {word}"
