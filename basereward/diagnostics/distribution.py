"""Where rewards lie, and how much of their variation is between responses to one prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.text_tables import PERCENTILES, table


class Distribution(Diagnostic):
    """Args:
    bins: of the histogram, equally wide from the least to the greatest reward.
    """

    def __init__(self, bins: int = 24):
        self.bins = bins

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """`spread` of all rewards, of the better and the worse responses of pairs (one that is in several pairs counts once for
        each), and of margins; `within_prompts`, the share of the variance of rewards that is within prompts, which is all that a
        comparison uses; `histogram` of better and worse.
        """
        scored = [sample for sample in subject.samples if sample.rewards is not None and np.isfinite(sample.rewards).all()]
        if not any(sample.pairs for sample in scored):
            return None
        rewards = np.concatenate([sample.rewards for sample in scored])
        within = np.concatenate([np.array(sample.rewards) - np.mean(sample.rewards) for sample in scored])
        better = np.array([sample.rewards[pair[0]] for sample in scored for pair in sample.pairs])
        worse = np.array([sample.rewards[pair[1]] for sample in scored for pair in sample.pairs])
        named = {"all": rewards, "better": better, "worse": worse, "margin": subject.pairs.margin_P}
        return {
            "spread": {name: spread(values) for name, values in named.items()},
            "within_prompts": float(np.mean(within**2) / rewards.var()) if rewards.var() else None,
            "histogram": self.histogram(better, worse),
        }

    def histogram(self, better: np.ndarray, worse: np.ndarray) -> list[dict[str, float]]:
        """Counts between limits that both have in common; the last range holds its upper limit."""
        limits = np.histogram_bin_edges(np.concatenate([better, worse]), self.bins)
        counts = zip(np.histogram(better, limits)[0].tolist(), np.histogram(worse, limits)[0].tolist())
        return [
            {"low": float(low), "high": float(high), "better": ours, "worse": theirs}
            for low, high, (ours, theirs) in zip(limits, limits[1:], counts)
        ]

    def told(self, found: Mapping[str, Any]) -> str:
        """A row for each kind of reward."""
        keys = ("mean", "std", "least", *(f"{point}%" for point in PERCENTILES), "most")
        rows = [(name, *(f"{of[key]:.3g}" for key in keys)) for name, of in found["spread"].items()]
        share = "-" if found["within_prompts"] is None else f"{100 * found['within_prompts']:.1f}%"
        return f"{table(('rewards', *keys), rows)}\n{share} of the variance is between responses to one prompt"


def spread(values: np.ndarray) -> dict[str, float]:
    """Number, mean, standard deviation (of the values themselves, not an estimate), extremes and percentiles."""
    points = zip(PERCENTILES, np.percentile(values, PERCENTILES))
    found = {"n": len(values), "mean": float(values.mean()), "std": float(values.std()), "least": float(values.min())}
    return found | {f"{point}%": float(value) for point, value in points} | {"most": float(values.max())}
