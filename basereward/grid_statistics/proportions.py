"""Published percentages -> counts, intervals and differences without items: all that can be said where only margins are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from basereward.metrics import mcnemar_exact, wilson_interval

LEVEL = 0.95
Interval = tuple[float, float]
Count = tuple[int, int]
"""(right, all)."""


def count_of(percent: float, n: int, digits: int = 1) -> int | None:
    """k, where the percentage is k of n, rounded or cut off to so many digits; None where no whole number gives it. The nearest of several.

    >>> count_of(92.9, 170), count_of(62.2, 46), count_of(62.2, 37)
    (158, None, 23)
    """
    unit = 10.0**-digits
    nearest = sorted(range(max(0, math.floor(percent * n / 100) - 1), min(n, math.ceil((percent + unit) * n / 100) + 1) + 1),
                     key=lambda k: abs(100 * k / n - percent))  # fmt: skip
    for k in nearest:
        share = 100 * k / n
        if abs(share - percent) <= unit / 2 + 1e-9 or math.isclose(math.floor(share / unit + 1e-9) * unit, percent, abs_tol=1e-9):
            return k
    return None


def newcombe_interval(one: Count, other: Count, *, level: float = LEVEL) -> Interval:
    """Of the difference of two independent shares (Newcombe 1998, method 10: of the Wilson intervals of both).

    >>> tuple(round(end, 4) for end in newcombe_interval((56, 70), (48, 80)))
    (0.0524, 0.3339)
    """
    p, q = one[0] / one[1], other[0] / other[1]
    (low, high), (other_low, other_high) = wilson_interval(p, one[1], level=level), wilson_interval(q, other[1], level=level)
    return p - q - math.hypot(p - low, other_high - q), p - q + math.hypot(high - p, q - other_low)


def unpaired_p(one: Count, other: Count) -> float:
    """Two-sided p of two independent shares being one share: the score test with the pooled variance."""
    (k, n), (m, size) = one, other
    pooled = (k + m) / (n + size)
    if pooled in (0.0, 1.0):
        return 1.0
    return 2 * NormalDist().cdf(-abs(k / n - m / size) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / size)))


def most_discordant(k: int, other: int, n: int, *, share: float = 1 - LEVEL) -> float | None:
    """On how many of the items, as a share, two models may differ at most for their difference to be more than items explain.

    Margins say by how many items one is ahead, d, and not on how many they differ, m: one of them alone is right on (m + d) / 2. The exact
    McNemar test of that has the smaller p the smaller m is. None where even the least, m = d, is not enough; 1 where any is.

    Args:
        share: p must be below it.
    """
    ahead, highest = abs(k - other), min(k + other, 2 * n - k - other)
    enough = [m for m in range(ahead, highest + 1, 2) if mcnemar_exact((m - ahead) // 2, (m + ahead) // 2) < share]
    if not enough:
        return None
    return 1.0 if enough[-1] >= highest - 1 else enough[-1] / n


def seed_deviation_allowed(one: Count, other: Count, *, level: float = LEVEL) -> float | None:
    """How much one seed's accuracy may scatter for a difference of two single runs to be more than seeds and items explain.

    None where it is not even without seeds. Both runs are taken to have that deviation s: the difference must exceed z times the root of
    the variance of two independent shares and 2 s^2.
    """
    p, q = one[0] / one[1], other[0] / other[1]
    items = p * (1 - p) / one[1] + q * (1 - q) / other[1]
    room = ((p - q) / NormalDist().inv_cdf((1 + level) / 2)) ** 2 - items
    return math.sqrt(room / 2) if room > 0 else None


@dataclass(frozen=True)
class Margins:
    """Two published shares against each other.

    Attributes:
        difference: of the first to the second, from -1 to 1.
        interval: 95%, as if each had been judged on items of its own; interval_all: with the level shared by all comparisons.
        p: by the same, without correction.
        discordant: see `most_discordant`; None too where the items are not the same. seeds: see `seed_deviation_allowed`. Both with the
            shared level.
    """

    difference: float
    interval: Interval
    interval_all: Interval
    p: float
    discordant: float | None
    seeds: float | None


def margins(one: Count, other: Count, *, comparisons: int = 1) -> Margins:
    """Everything that can be said of two counts.

    Args:
        comparisons: among which the level is shared (Bonferroni).
    """
    level = 1 - (1 - LEVEL) / comparisons
    return Margins(
        one[0] / one[1] - other[0] / other[1],
        newcombe_interval(one, other),
        newcombe_interval(one, other, level=level),
        unpaired_p(one, other),
        most_discordant(one[0], other[0], one[1], share=1 - level) if one[1] == other[1] else None,
        seed_deviation_allowed(one, other, level=level),
    )


def smallest_difference(
    share: float, n: int, *, discordant: float | None = None, power: float = 0.8, seed: float = 0.0, seeds: int = 1
) -> float:
    """The smallest true difference that is found with this power at two-sided 5%, by the normal approximation.

    Args:
        share: accuracy of both, about.
        discordant: share of items on which two runs differ, where they are judged on the same items; None for items of their own.
        seed: deviation of one seed's accuracy. seeds: of each; items' noise is taken to stay, whatever their number.
    """
    spread = 2 * share * (1 - share) if discordant is None else discordant
    error = math.sqrt(spread / n + 2 * seed**2 / seeds)
    return (NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(power)) * error
