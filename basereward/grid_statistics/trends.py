"""Means of settings -> the effect of each value of a factor, and a line over a factor that is a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from basereward.grid_statistics.contrasts import LEVEL, Contrasts, contrasts
from basereward.grid_statistics.moments import Moments

# The values of a factor stand on a logarithmic axis from this ratio of the greatest to the least on.
DECADES = 10.0
Setting = Mapping[str, str]


def effect_weights(settings: Sequence[Setting], factor: str, value: str, to: str) -> np.ndarray | None:
    """(A,) of the mean difference between two values of a factor, over all pairs of settings that differ in nothing else.

    Args:
        settings: factor -> value of each setting.

    >>> effect_weights([{"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "2", "b": "2"}], "a", "2", "1").tolist()
    [-1.0, 1.0, 0.0]
    """
    others = [{key: each for key, each in setting.items() if key != factor} for setting in settings]
    pairs = [
        (a, b)
        for a, one in enumerate(settings)
        for b, other in enumerate(settings)
        if (one.get(factor), other.get(factor)) == (value, to) and others[a] == others[b]
    ]
    if not pairs:
        return None
    weights_A = np.zeros(len(settings))
    for a, b in pairs:
        weights_A[[a, b]] += [1 / len(pairs), -1 / len(pairs)]
    return weights_A


@dataclass(frozen=True)
class Trend:
    """A straight line through means over a number, or over its logarithm.

    Attributes:
        is_log: whether the line is over log10 of the number; the slope is then that of a factor of ten.
        slope: of the line, as contrast of the means: its interval has seeds and prompts in it.
        bend: of the square beside the line: whether a straight line is enough; None with fewer than three numbers.
    """

    is_log: bool
    slope: Contrasts
    bend: Contrasts | None
    line: Sequence[tuple[float, float, float, float]]
    """(number, mean, lower, upper) of the line and its 95% interval, from the least to the greatest."""


def trend(found: Moments, value_A: Sequence[float], *, points: int = 25, level: float = LEVEL) -> Trend:
    """The least squares line through the settings' means. All weights are alike, since settings share most of their noise.

    Args:
        value_A: the number of each setting; at least two different ones.
    """
    from scipy import stats

    value_A = np.asarray(value_A, dtype=np.float64)
    is_log = bool(value_A.min() > 0 and value_A.max() / value_A.min() >= DECADES)
    at_A = np.log10(value_A) if is_log else value_A
    middle, reach = at_A.mean(), at_A.max() - at_A.min()
    slope_A = np.linalg.pinv(np.stack([np.ones_like(at_A), at_A - middle], axis=1))[1]
    bend = None
    if len(set(at_A.tolist())) > 2:
        scaled_A = (at_A - middle) / reach
        bend = contrasts(found, np.linalg.pinv(np.stack([scaled_A**0, scaled_A, scaled_A**2], axis=1))[2:])
    line = []
    for place in np.linspace(at_A.min(), at_A.max(), points):
        weights_A = 1 / len(at_A) + (place - middle) * slope_A
        centre, error = float(weights_A @ found.mean_A), math.sqrt(weights_A @ found.covariance_AA @ weights_A)
        half = float(stats.t.isf((1 - level) / 2, found.df(weights_A))) * error
        line.append((float(10**place if is_log else place), centre, centre - half, centre + half))
    return Trend(is_log, contrasts(found, slope_A[None]), bend, line)
