"""Samples -> results: three outcomes and failures, categories, intervals and the length baselines."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from basereward.metrics import clustered_interval, outcome, verdicts
from basereward.samples import Sample

TIE_RULE = "strict: a pair counts as correct only when the better response has the greater reward; a tie earns nothing"
INTERVAL = (
    "95%: percentile bootstrap over prompts; where every prompt is right, or every prompt is wrong, the exact binomial "
    "(Clopper-Pearson) interval of the number of prompts, and where all have the same share between, Wilson's"
)
OTHER_VIEWS = {"blind_rewards": "blind_accuracy", "shuffled_rewards": "shuffled_accuracy"}


@dataclasses.dataclass(frozen=True)
class Judged:
    """One pair of one item: the two rewards, and what it is grouped by; a failed one could not be scored."""

    better: float
    worse: float
    category: str
    group: str
    failed: bool = False


def judged_pairs(samples: Iterable[Sample], key: str = "rewards") -> list[Judged]:
    """One entry for each pair, samples in order.

    Args:
        key: which rewards: `rewards`, `blind_rewards`, `shuffled_rewards`, or anything with one number for each response.
    """
    pairs = []
    for sample in samples:
        numbers = getattr(sample, key)
        for better, worse in sample.pairs:
            values = (float(numbers[better]), float(numbers[worse])) if numbers is not None else (float("nan"), float("nan"))
            pairs.append(Judged(*values, sample.category, sample.group, numbers is None))
    return pairs


def is_correct(pairs: Sequence[Judged]) -> np.ndarray:
    """(n,) whether each pair is right; a failed one is not."""
    return verdicts([p.better for p in pairs], [p.worse for p in pairs]) == "correct"


def summary(pairs: Sequence[Judged]) -> dict[str, Any]:
    """Counts: n = correct + ties + wrong + failed; accuracy = correct / n and its 95% interval (see `clustered_interval`); and
    `accuracy_of_scored`, which leaves the failed ones out.
    """
    scored = [p for p in pairs if not p.failed]
    found = outcome([p.better for p in scored], [p.worse for p in scored])
    low, high = clustered_interval(is_correct(pairs), [p.group for p in pairs])
    counts = {"n": len(pairs), "correct": found.correct, "ties": found.ties, "wrong": found.wrong}
    return counts | {
        "failed": len(pairs) - len(scored),
        "accuracy": accuracy(pairs),
        "accuracy_of_scored": found.accuracy,
        "interval_95": [low, high],
    }


def accuracy(pairs: Sequence[Judged]) -> float:
    """The share of correct pairs, without the cost of an interval."""
    return float(is_correct(pairs).mean()) if pairs else float("nan")


def by_category(pairs: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The pairs of each category, in order of first appearance."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for pair in pairs:
        found[pair.category].append(pair)
    return dict(found)


def results(samples: Sequence[Sample]) -> dict[str, Any]:
    """The numbers that every benchmark has."""
    pairs = judged_pairs(samples)
    categories = {name: summary(members) for name, members in by_category(pairs).items()}
    numbers = summary(pairs) | {
        "num_comparisons": len(samples),
        "macro": float(np.mean([c["accuracy"] for c in categories.values()])) if categories else float("nan"),
        "categories": categories,
        "baselines": length_baselines(samples),
        "placeholders": sum(sample.placeholders for sample in samples),
        "tie_rule": TIE_RULE,
        "interval": INTERVAL,
    }
    for key, name in OTHER_VIEWS.items():
        if any(getattr(sample, key) is not None for sample in samples):
            others = judged_pairs(samples, key)
            numbers[name] = accuracy(others)
            for category, members in by_category(others).items():
                categories[category][name] = accuracy(members)
    return numbers


def by_length(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The samples as two models judge them that look at the length in characters alone."""
    return {
        "longer_wins": [dataclasses.replace(sample, rewards=tuple(map(float, sample.lengths))) for sample in samples],
        "shorter_wins": [dataclasses.replace(sample, rewards=tuple(-float(n) for n in sample.lengths)) for sample in samples],
    }


def length_baselines(samples: Sequence[Sample]) -> dict[str, float]:
    """Accuracy of the models of `by_length`, under the same tie rule, and its mean over categories."""
    found = {}
    for name, of in by_length(samples).items():
        pairs = judged_pairs(of)
        found[name] = accuracy(pairs)
        found[f"{name}_macro"] = float(np.mean([accuracy(members) for members in by_category(pairs).values()] or [float("nan")]))
    return found
