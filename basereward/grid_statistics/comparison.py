"""Settings on one benchmark -> everything that a table says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from basereward.grid_statistics.best import chance_of_best, could_be_best
from basereward.grid_statistics.contrasts import LEVEL, Contrasts, against, contrasts
from basereward.grid_statistics.moments import Moments, moments
from basereward.metrics import clustered_interval, difference_interval

Interval = tuple[float, float]
BETTER, WORSE, OPEN = "better", "worse", "not told apart"
# What is said where no setting has a second seed: the difference may be the seed's.
BEYOND_ITEMS = "beyond item noise"


@dataclass(frozen=True)
class Difference:
    """A setting against the baseline; shares from -1 to 1.

    Attributes:
        value: accuracy here minus accuracy there.
        interval: 95% by itself.
        interval_all: 95% for all settings of the table together.
        p: two-sided, by itself; `p_all` corrected for the number of comparisons.
        verdict: BETTER or WORSE where `interval_all` leaves 0 out, else OPEN; BEYOND_ITEMS in place of both where only items are known.
    """

    value: float
    interval: Interval
    interval_all: Interval
    p: float
    p_all: float
    verdict: str


@dataclass(frozen=True)
class SettingNumbers:
    """One setting on one benchmark; shares from 0 to 1.

    Attributes:
        seed_means: accuracy of each seed.
        deviation: standard deviation over seeds; None with one.
        interval: 95%, of the mean over seeds and prompts.
        is_odd: its seeds scatter far more than those of the others.
        difference: to the baseline; None for the baseline itself.
        chance_best: probability that it truly is the best; None where there is one setting.
        could_be_best: whether it can still be; never against what `difference` says of it and the baseline.
    """

    mean: float
    seed_means: Sequence[float]
    deviation: float | None
    interval: Interval
    is_odd: bool
    difference: Difference | None
    chance_best: float | None
    could_be_best: bool


@dataclass(frozen=True)
class Compared:
    """All settings on one benchmark, or on a category of it.

    Attributes:
        n: pairs; `num_groups` prompts.
        knows_seeds: whether any setting has two seeds, so that what a seed changes is known.
        seed_deviation: of one seed's accuracy, without what the items explain; None where it is not known.
    """

    n: int
    num_groups: int
    baseline: str
    settings: Mapping[str, SettingNumbers]
    knows_seeds: bool
    seed_deviation: float | None
    moments: Moments

    @property
    def winner(self) -> str:
        """The setting with the greatest mean; the first of equal ones."""
        return max(self.settings, key=lambda name: self.settings[name].mean)


def compare(
    right: Mapping[str, np.ndarray], groups: Sequence[str], baseline: str, *, families: int = 1, chances: bool = True
) -> Compared:
    """The numbers of a table.

    Args:
        right: setting -> (S, n) 0 or 1, a row for each seed and the same items in all columns; S may differ.
        groups: (n,) prompt of each item.
        baseline: the setting that differences are taken to; without its results there are none.
        families: tables by which the level is shared, such as benchmarks on one page.
        chances: whether the chance to be best is worked out.
    """
    names = list(right)
    found = moments(list(right.values()), groups)
    alone = contrasts(found, np.eye(len(names)))
    differences = _differences(found, right, groups, baseline, families) if len(names) > 1 and baseline in right else {}
    best = chance_of_best(found) if chances and len(names) > 1 else [None] * len(names)
    running = _still_best(found, differences, names, baseline) if chances and len(names) > 1 else [True] * len(names)
    rows = {}
    for a, name in enumerate(names):
        mean_S = np.asarray(right[name], dtype=np.float64).mean(1)
        deviation = float(mean_S.std(ddof=1)) if len(mean_S) > 1 else None
        rows[name] = SettingNumbers(
            float(found.mean_A[a]), mean_S.tolist(), deviation, _own_interval(found, alone, a, right[name], groups),
            bool(found.odd_A[a]), differences.get(name), None if best[a] is None else float(best[a]), bool(running[a]),
        )  # fmt: skip
    usual = [max(pool.seed - pool.rest, 0.0) ** 0.5 for pool in found.pools]
    return Compared(len(groups), found.num_groups, baseline, rows, bool(usual), usual[0] if usual else None, found)


def _still_best(found: Moments, differences: Mapping[str, Difference], names: Sequence[str], baseline: str) -> list[bool]:
    """Who can still be the best, in step with the table's marks, which are two-sided and over all benchmarks where this is one-sided.

    Worse than the baseline cannot be the best, and nobody is ahead of the baseline, nor it of anybody, who is not told apart from it.
    """
    stays = dict(zip(names, could_be_best(found).tolist()))
    first = names[int(found.mean_A.argmax())]
    for name, of in differences.items():
        is_open = of.verdict == OPEN
        if first == baseline or (not is_open and of.value < 0):
            stays[name] = is_open
    if first in differences and differences[first].verdict == OPEN:
        better = [name for name, of in differences.items() if of.verdict != OPEN and of.value > 0]
        stays |= dict.fromkeys([baseline, *better], True)
    elif first in differences:
        stays[baseline] = False
    return list(stays.values())


def _own_interval(found: Moments, alone: Contrasts, a: int, right_SN: np.ndarray, groups: Sequence[str]) -> Interval:
    """Of a mean; within 0 and 1, and no point where all is right or all is wrong."""
    mean, half = float(found.mean_A[a]), float(alone.half_K[a])
    if mean in (0.0, 1.0):
        return clustered_interval(right_SN[0].astype(float), groups, level=LEVEL)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def _differences(
    found: Moments, right: Mapping[str, np.ndarray], groups: Sequence[str], baseline: str, families: int
) -> dict[str, Difference]:
    """Of each setting but the baseline."""
    names = list(right)
    place = names.index(baseline)
    of = contrasts(found, against(len(names), place), families=families)
    rows = {}
    for k, name in enumerate(each for each in names if each != baseline):
        value, half, half_all = float(of.value_K[k]), float(of.half_K[k]), float(of.half_all_K[k])
        if len({row.tobytes() for row in (*np.asarray(right[name], bool), *np.asarray(right[baseline], bool))}) == 1:
            # No item differs anywhere: at most so many can (see `difference_interval`).
            half = half_all = max(half, half_all, difference_interval([0.0] * len(groups), groups)[1])
        told = abs(value) > half_all
        verdict = (BETTER if value > 0 else WORSE) if told and found.pools else BEYOND_ITEMS if told else OPEN
        rows[name] = Difference(
            value,
            (value - half, value + half),
            (value - half_all, value + half_all),
            float(of.p_K[k]),
            float(of.p_all_K[k]),
            verdict,
        )
    return rows
