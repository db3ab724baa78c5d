"""Means of settings -> differences with their intervals, each by itself and all together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from basereward.grid_statistics.moments import Moments

LEVEL, DRAWS = 0.95, 20_000


@dataclass(frozen=True)
class Contrasts:
    """Weighted sums of means with their intervals, alone and all together.

    Attributes:
        value_K: such as the difference of two settings.
        error_K: standard error.
        df_K: degrees of freedom.
        half_K: half the width of the 95% interval of each by itself.
        half_all_K: the same, of intervals that hold all of the values together in 95% of grids.
        p_K: two-sided p of "is 0", alone.
        p_all_K: the same, corrected for the number of contrasts; below 0.05 where the interval of all leaves 0 out.
    """

    value_K: np.ndarray
    error_K: np.ndarray
    df_K: np.ndarray
    half_K: np.ndarray
    half_all_K: np.ndarray
    p_K: np.ndarray
    p_all_K: np.ndarray


def contrasts(
    found: Moments, weights_KA: np.ndarray, *, families: int = 1, level: float = LEVEL, draws: int = DRAWS
) -> Contrasts:
    """Estimates, t intervals, and the correction for many: the largest |t| of all contrasts, which are correlated by the baseline and by
    the items that they share (Dunnett 1955 where only seeds vary); its distribution is drawn from the multivariate t.

    Args:
        weights_KA: a row for each contrast.
        families: by how many sets of contrasts like this one the level is shared (Bonferroni), such as benchmarks of a table.
    """
    from scipy import stats

    value_K = weights_KA @ found.mean_A
    cov_KK = weights_KA @ found.covariance_AA @ weights_KA.T
    error_K = np.sqrt(np.diag(cov_KK))
    df_K = np.array([found.df(weights) for weights in weights_KA])
    p_K = 2 * stats.t.sf(np.abs(value_K) / error_K, df_K)
    half_K = stats.t.isf((1 - level) / 2, df_K) * error_K
    p_all_K, tail = _all_together(cov_KK, p_K, float(df_K.min()), (1 - level) / families, draws)
    return Contrasts(
        value_K, error_K, df_K, half_K, stats.t.isf(tail / 2, df_K) * error_K, p_K, np.minimum(1.0, families * p_all_K)
    )


def _all_together(cov_KK: np.ndarray, p_K: np.ndarray, df: float, share: float, draws: int) -> tuple[np.ndarray, float]:
    """(K,) p corrected for their number, and the p that a single one must stay below so that any does so in `share` of grids."""
    from scipy import stats

    if len(p_K) == 1:
        return p_K, share
    largest = np.sort(np.abs(drawn_t(cov_KK, df, draws)).max(1))
    above_K = draws - np.searchsorted(largest, stats.t.isf(p_K / 2, df), side="left")
    # Where draws are too few to tell, the sum of the single ones (Bonferroni), which is never below.
    p_all_K = np.maximum(p_K, np.minimum((above_K + 1) / (draws + 1), len(p_K) * p_K))
    return p_all_K, float(2 * stats.t.sf(np.quantile(largest, 1 - share), df))


def drawn_t(cov_KK: np.ndarray, df: float, draws: int) -> np.ndarray:
    """(draws, K) correlated t variables: normal ones of a covariance, each over its deviation, all over the root of one chi-squared."""
    error_K = np.sqrt(np.diag(cov_KK))
    values, vectors = np.linalg.eigh(cov_KK / np.outer(error_K, error_K))
    root_KK = vectors * np.sqrt(np.maximum(values, 0.0))
    chi_squared = 2 * np.random.default_rng(1).standard_gamma(df / 2, (draws, 1))
    return normals(draws, len(values)) @ root_KK.T / np.sqrt(chi_squared / df)


@lru_cache(maxsize=8)
def normals(draws: int, columns: int) -> np.ndarray:
    """(draws, columns), the same at every call, so that a table is the same whenever it is made."""
    return np.random.default_rng(0).standard_normal((draws, columns))


def against(num_settings: int, baseline: int) -> np.ndarray:
    """(K, A) each other setting minus the baseline.

    >>> against(3, 1).tolist()
    [[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]
    """
    weights_AA = np.eye(num_settings)
    weights_AA[:, baseline] -= 1
    return np.delete(weights_AA, baseline, axis=0)
