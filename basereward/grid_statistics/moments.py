"""Right and wrong of settings, seeds and items -> the settings' means, and their covariance over seeds and prompts together.

A setting a is trained under S_a seeds and judged on the same n items, which come in groups (prompts). Seeds and items are crossed random
effects, and the variance of a mean is that of both, with what is neither (the rest) counted once:

    Var(mean_a) = items_aa + (V - R) / S_a

where `items` is the covariance of the settings' means over their seeds when groups are drawn anew (rest included), V the variance of one
seed's accuracy (rest included), and R the part of V that is the rest. Adding the variances of two bootstraps, one over items and one over
seeds, would count R twice. V and R are pooled over settings, since two or three seeds tell little by themselves; a setting that scatters
far more than the others is taken by itself. Seeds of different settings share no noise. docs/decisions/0025 has the coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A setting is taken by itself when its seeds scatter so much more than the others' that it would happen in this share of grids.
ODD = 0.05


@dataclass(frozen=True)
class Pool:
    """Settings whose seeds are taken to scatter alike.

    Attributes:
        members_A: whether a setting belongs to it.
        seed: V, the variance of one seed's accuracy, the rest included.
        rest: R, the part of V that comes from the items of one run alone.
        df: degrees of freedom of V.
    """

    members_A: np.ndarray
    seed: float
    rest: float
    df: int


@dataclass(frozen=True)
class Moments:
    """What all intervals are made of; accuracies are shares from 0 to 1.

    Attributes:
        mean_A: accuracy of each setting over all seeds and items.
        seeds_A: number of seeds.
        items_AA: covariance of `mean_A` over groups of items.
        pools: of the seeds' variances; none where no setting has two seeds, so that only the noise of items is known.
        num_groups: prompts.
        odd_A: whether a setting's seeds scatter far more than those of the others.
    """

    mean_A: np.ndarray
    seeds_A: np.ndarray
    items_AA: np.ndarray
    pools: Sequence[Pool]
    num_groups: int
    odd_A: np.ndarray

    @property
    def seed_A(self) -> np.ndarray:
        """The seeds' own variance, of one seed: V - R, at least 0."""
        return sum((pool.members_A * max(pool.seed - pool.rest, 0.0) for pool in self.pools), np.zeros(len(self.mean_A)))

    @property
    def covariance_AA(self) -> np.ndarray:
        """Of `mean_A`, over seeds and items."""
        return self.items_AA + np.diag(self.seed_A / self.seeds_A)

    def df(self, weights_A: np.ndarray) -> float:
        """Degrees of freedom of the variance of a weighted sum of means (Satterthwaite 1946); of V, R and the items' part.

        A sum has no fewer than the least certain of its parts. V - R is none: where the two nearly cancel, what is left is small against
        the uncertainty of both, and the formula goes to 0, at which no t distribution exists.
        """
        items = float(weights_A @ self.items_AA @ weights_A)
        total, squares, least = items, items**2 / (self.num_groups - 1), self.num_groups - 1
        for pool in self.pools:
            share = float((pool.members_A * weights_A**2 / self.seeds_A).sum())
            total += share * max(pool.seed - pool.rest, 0.0)
            squares += (share * pool.seed) ** 2 / pool.df + (share * pool.rest) ** 2 / (pool.df * (self.num_groups - 1))
            least = min(least, pool.df) if share else least
        return max(total**2 / squares, float(least)) if squares else float(least)


def moments(right: Sequence[np.ndarray], groups: Sequence[str] | np.ndarray) -> Moments:
    """The means and what they vary by.

    Args:
        right: for each setting (S_a, n) 0 or 1, a row for each seed; the columns are the same items everywhere.
        groups: (n,) the prompt of each item.
    """
    num_items = len(groups)
    assert all(of.ndim == 2 and of.shape[1] == num_items for of in right), [of.shape for of in right]
    _, group_n = np.unique(np.asarray(groups), return_inverse=True)
    size_g = np.bincount(group_n)
    assert len(size_g) > 1, "items of a single prompt have no interval"
    parts = [_group_parts(np.asarray(of, dtype=np.float64), group_n, size_g) for of in right]
    mean_A = np.array([float(np.mean(of)) for of in right])
    scale = len(size_g) / (len(size_g) - 1)
    part_Ag = np.stack([part_Sg.mean(0) for part_Sg in parts])
    # Half an item to either side, so that a handful of items on which two settings differ is not taken for certain (Agresti and Min 2005).
    half_A = 1 / (2 * num_items**2 * np.array([len(of) for of in right]))
    items_AA = scale * part_Ag @ part_Ag.T + np.diag(half_A)
    variances = [_seed_variances(np.asarray(of, dtype=np.float64).mean(1), part_Sg, scale) for of, part_Sg in zip(right, parts)]
    seeds_A = np.array([len(of) for of in right])
    odd_A = _odd([seed for seed, _ in variances], seeds_A)
    return Moments(mean_A, seeds_A, items_AA, _pools(variances, seeds_A, odd_A), len(size_g), odd_A)


def _group_parts(right_SN: np.ndarray, group_n: np.ndarray, size_g: np.ndarray) -> np.ndarray:
    """(S, groups) what each group adds to a seed's accuracy above its share of the mean."""
    sums_Sg = np.stack([np.bincount(group_n, weights=row, minlength=len(size_g)) for row in right_SN])
    return (sums_Sg - right_SN.mean(1, keepdims=True) * size_g) / len(group_n)


def _seed_variances(mean_S: np.ndarray, part_Sg: np.ndarray, scale: float) -> tuple[float, float]:
    """V and R of one setting; zeros where it has one seed."""
    if len(mean_S) < 2:
        return 0.0, 0.0
    rest = scale * ((part_Sg - part_Sg.mean(0)) ** 2).sum() / (len(mean_S) - 1)
    return float(mean_S.var(ddof=1)), float(rest)


def _odd(seed: Sequence[float], seeds_A: np.ndarray) -> np.ndarray:
    """Settings whose V stands out from that of all others by an F test, corrected for their number."""
    from scipy import stats

    df_A, seed_A = seeds_A - 1, np.asarray(seed)
    odd_A = np.zeros(len(seed_A), dtype=bool)
    for a in np.flatnonzero(df_A > 0):
        others = (df_A * seed_A).sum() - df_A[a] * seed_A[a]
        df_others = int(df_A.sum() - df_A[a])
        if df_others and others > 0:
            odd_A[a] = stats.f.sf(seed_A[a] / (others / df_others), df_A[a], df_others) < ODD / (df_A > 0).sum()
    return odd_A


def _pools(variances: Sequence[tuple[float, float]], seeds_A: np.ndarray, odd_A: np.ndarray) -> list[Pool]:
    """One pool of all settings that are not odd, whether they have several seeds or one, and one of each that is."""
    masks = [~odd_A, *(np.arange(len(seeds_A)) == a for a in np.flatnonzero(odd_A))]
    seed_A, rest_A = np.array(variances).T
    found = []
    for mask in masks:
        df_A = (seeds_A - 1) * mask
        if df := int(df_A.sum()):
            found.append(Pool(mask, float(df_A @ seed_A) / df, float(df_A @ rest_A) / df, df))
    return found
