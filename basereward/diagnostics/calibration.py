"""Whether rewards are probabilities: sigmoid(margin) against how often the better response has the greater reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import Pairs, equal_bins
from basereward.metrics import clustered_interval
from basereward.results_tables import between, percent
from basereward.text_tables import table


class Calibration(Diagnostic):
    """A Bradley-Terry model says that its pick is the better response with probability `sigmoid(|margin|)`, from 1/2 to 1.

    Which of two responses stands first means nothing, so all is asked of the pick; a tie says 1/2 and counts as half right.

    Args:
        bins: most bins of the reliability curve; fewer where there are less than `min_pairs` for each.
        folds: parts of the prompts; each is judged at the temperature that fits the others.
        seed: of the folds.
    """

    def __init__(self, bins: int = 10, min_pairs: int = 20, folds: int = 5, seed: int = 0):
        self.bins, self.min_pairs, self.folds, self.seed = bins, min_pairs, folds, seed

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """`brier`: mean squared error of the probability of the better response; `log_loss`: mean of -log of it; `ece`: mean
        distance of the reliability curve from the diagonal. `temperature` divides rewards so that the log loss is least; below 1
        the model is too timid, above 1 too sure. `cross_fitted` are the same errors on prompts that the temperature was not fitted
        on. `reliability` is the curve.
        """
        pairs = subject.pairs
        if not len(pairs):
            return None
        temperature, why_none = fit_temperature(pairs.margin_P)
        return {
            "n": len(pairs),
            **self.errors(pairs),
            "temperature": temperature,
            "why_no_temperature": why_none,
            "cross_fitted": self.cross_fitted(pairs),
            "reliability": self.reliability(pairs),
        }

    def errors(self, pairs: Pairs) -> dict[str, float]:
        """Brier score, log loss and expected calibration error."""
        curve = self.reliability(pairs, intervals=False)
        ece = sum(entry["n"] * abs(entry["right"] - entry["confidence"]) for entry in curve) / len(pairs)
        brier = float(np.mean((1 - sigmoid(pairs.margin_P)) ** 2))
        return {"brier": brier, "log_loss": float(np.mean(np.logaddexp(0, -pairs.margin_P))), "ece": ece}

    def reliability(self, pairs: Pairs, *, intervals: bool = True) -> list[dict[str, Any]]:
        """Bins of about equally many pairs: the mean confidence, and the share that is right with its interval."""
        confidence_P = sigmoid(np.abs(pairs.margin_P))
        bin_P = equal_bins(confidence_P, max(1, min(self.bins, len(pairs) // self.min_pairs)))
        curve = []
        for which in (bin_P == number for number in np.unique(bin_P)):
            right_P = pairs.credit_P[which]
            entry = {"n": int(which.sum()), "confidence": float(confidence_P[which].mean()), "right": float(right_P.mean())}
            if intervals:
                entry["interval_95"] = list(clustered_interval(right_P, pairs.group_P[which]))
            curve.append(entry)
        return curve

    def cross_fitted(self, pairs: Pairs) -> dict[str, float] | None:
        """The errors of margins that are divided by the temperature of other prompts; None where some part finds none."""
        names, group_P = np.unique(pairs.group_P, return_inverse=True)
        if len(names) < self.folds:
            return None
        fold_P = (np.random.default_rng(self.seed).permutation(len(names)) % self.folds)[group_P]
        margin_P = np.empty_like(pairs.margin_P)
        for fold in range(self.folds):
            temperature, _ = fit_temperature(pairs.margin_P[fold_P != fold])
            if temperature is None:
                return None
            margin_P[fold_P == fold] = pairs.margin_P[fold_P == fold] / temperature
        return self.errors(Pairs(margin_P, pairs.longer_P, pairs.group_P))

    def told(self, found: Mapping[str, Any]) -> str:
        """The errors, the temperature, and the curve."""
        rows = [("as they are", found)]
        if found["cross_fitted"]:
            rows.append(("at the temperature of other prompts", found["cross_fitted"]))
        errors = [(name, *(f"{of[key]:.4f}" for key in ("ece", "brier", "log_loss"))) for name, of in rows]
        curve = [
            (percent(e["confidence"]), f"{e['n']:,}", percent(e["right"]), between(e["interval_95"]))
            for e in found["reliability"]
        ]
        fitted = found["why_no_temperature"] or f"temperature {found['temperature']:.3g}"
        return "\n".join([
            table(("calibration", "ECE", "Brier", "log loss"), errors), fitted, "",
            table(("confidence", "n", "right", "95% interval"), curve),
        ])  # fmt: skip


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    return np.exp(-np.logaddexp(0, -x))


def fit_temperature(margin_P: np.ndarray) -> tuple[float | None, str | None]:
    """The T at which the mean of log(1 + exp(-margin / T)) is least, or None and why there is none.

    The mean is convex in 1 / T, so its slope, which only grows, is halved in on its zero.
    """
    if not len(margin_P) or margin_P.mean() <= 0:
        return None, "no temperature: on average the worse response has the greater reward, or they have the same"
    if margin_P.min() >= 0:
        return None, "no temperature: no pair is wrong, so that the smaller it is the better"
    low, high = 0.0, 1 / np.abs(margin_P).max()
    while slope(margin_P, high) < 0:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(margin_P, middle) < 0 else (low, middle)
    return float(2 / (low + high)), None


def slope(margin_P: np.ndarray, inverse: float) -> float:
    """Of the mean log loss, by the inverse of the temperature."""
    return float(np.mean(-margin_P * sigmoid(-inverse * margin_P)))
