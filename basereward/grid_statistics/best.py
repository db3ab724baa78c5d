"""Means of settings -> which is the best, and how sure one can be: a probability, and who can still be it."""

from __future__ import annotations

import numpy as np

from basereward.grid_statistics.contrasts import DRAWS, LEVEL, against, contrasts, drawn_t, normals
from basereward.grid_statistics.moments import Moments

# True means of a grid are taken to scatter by a deviation tau around their mean; 2 points is where tau is as likely above as below.
TYPICAL = 0.02
TAUS = np.geomspace(1e-4, 0.5, 60)


def chance_of_best(found: Moments, *, draws: int = DRAWS) -> np.ndarray:
    """(A,) the probability that each setting truly is the best of them.

    A setting that comes out first of many owes that partly to luck. So the true means are given a common prior, a normal distribution whose
    mean is free and whose deviation tau has a half-Cauchy prior with median `TYPICAL` (Gelman 2006); the data decide how far the observed
    means are drawn together. Where nothing differs, all settings end near 1 / A; where gaps are wide, the prior does not matter.
    """
    x_A, cov_AA, ones = found.mean_A, found.covariance_AA, np.ones(len(found.mean_A))
    log_weight, parts = [], []
    for tau in TAUS:
        inverse = np.linalg.inv(cov_AA + tau**2 * np.eye(len(x_A)))
        precision = ones @ inverse @ ones
        middle = ones @ inverse @ x_A / precision
        off = x_A - middle
        fit = np.linalg.slogdet(inverse)[1] / 2 - np.log(precision) / 2 - off @ inverse @ off / 2
        log_weight.append(
            fit - np.log1p((tau / TYPICAL) ** 2) + np.log(tau)
        )  # the last: steps between values of tau grow with tau
        pull = ones - tau**2 * inverse @ ones
        spread = tau**2 * np.eye(len(x_A)) - tau**4 * inverse + np.outer(pull, pull) / precision
        parts.append((middle + tau**2 * inverse @ off, spread))
    weight = np.exp(np.array(log_weight) - max(log_weight))
    counts = np.random.default_rng(2).multinomial(draws, weight / weight.sum())
    scatter_DA = _scatter(len(x_A), draws, _df(found))
    pieces = zip(parts, np.split(scatter_DA, np.cumsum(counts)[:-1]))
    winners = [(middle_A + piece @ _root(spread)).argmax(1) for (middle_A, spread), piece in pieces]
    return np.bincount(np.concatenate(winners), minlength=len(x_A)) / draws


def _df(found: Moments) -> float:
    """Of the least certain difference from the first."""
    return min(found.df(weights) for weights in against(len(found.mean_A), int(found.mean_A.argmax())))


def _scatter(num_settings: int, draws: int, df: float) -> np.ndarray:
    """(draws, A) uncorrelated t variables."""
    chi_squared = 2 * np.random.default_rng(1).standard_gamma(df / 2, (draws, 1))
    return normals(draws, num_settings) / np.sqrt(chi_squared / df)


def _root(cov_AA: np.ndarray) -> np.ndarray:
    """What uncorrelated rows are multiplied by to have a covariance."""
    values, vectors = np.linalg.eigh(cov_AA)
    return (vectors * np.sqrt(np.maximum(values, 0.0))).T


def could_be_best(found: Moments, *, level: float = LEVEL, draws: int = DRAWS) -> np.ndarray:
    """(A,) whether each setting can still be the best: in 95% of grids the one that truly is remains (Gupta 1965, Hsu 1981).

    One drops out where some other is better by more than the largest of that many differences would be by chance.
    """
    stays = []
    for a in range(len(found.mean_A)):
        weights_KA = against(len(found.mean_A), a)
        each = contrasts(found, weights_KA)
        largest = drawn_t(weights_KA @ found.covariance_AA @ weights_KA.T, float(each.df_K.min()), draws).max(1)
        stays.append(bool((each.value_K / each.error_K).max() <= np.quantile(largest, level)))
    return np.array(stays)
