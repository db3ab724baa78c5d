"""Rewards on comparisons -> results: three outcomes, categories, intervals and the length baselines."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from basereward.metrics import clustered_interval, outcome, verdicts
from basereward.records import Comparison

TIE_RULE = "strict: a pair counts as correct only when the better response has the greater reward; a tie earns nothing"
INTERVAL = (
    "95%: percentile bootstrap over prompts; where every prompt is right, or every prompt is wrong, the exact binomial "
    "(Clopper-Pearson) interval of the number of prompts"
)


@dataclasses.dataclass(frozen=True)
class Judged:
    """One pair of one item: the two rewards, and what it is grouped by."""

    better: float
    worse: float
    category: str
    group: str


def judged_pairs(comparisons: Iterable[Comparison], rewards: Iterable[Sequence[float]]) -> list[Judged]:
    """One entry per pair, comparisons in order."""
    return [
        Judged(float(reward_N[p.better]), float(reward_N[p.worse]), comparison.category, comparison.group)
        for comparison, reward_N in zip(comparisons, rewards) for p in comparison.pairs
    ]  # fmt: skip


def summary(pairs: Sequence[Judged]) -> dict[str, Any]:
    """n, correct, ties, wrong, accuracy and its 95% interval (see ``clustered_interval``)."""
    better, worse = [p.better for p in pairs], [p.worse for p in pairs]
    result = outcome(better, worse)
    low, high = clustered_interval(verdicts(better, worse) == "correct", [p.group for p in pairs])
    return dataclasses.asdict(result) | {"accuracy": result.accuracy, "interval_95": [low, high]}


def accuracy(pairs: Sequence[Judged]) -> float:
    """The share of correct pairs, without the cost of an interval."""
    return outcome([p.better for p in pairs], [p.worse for p in pairs]).accuracy


def by_category(pairs: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The pairs of each category, in order of first appearance."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for pair in pairs:
        found[pair.category].append(pair)
    return dict(found)


def results(
    comparisons: Sequence[Comparison], rewards: Sequence[np.ndarray], blind: Sequence[np.ndarray] | None
) -> dict[str, Any]:
    """All numbers of a benchmark.

    Args:
        rewards: (N,) for each comparison. blind: the same with images removed, where measured.
    """
    pairs = judged_pairs(comparisons, rewards)
    categories = {name: summary(members) for name, members in by_category(pairs).items()}
    numbers = summary(pairs) | {
        "num_comparisons": len(comparisons),
        "macro": float(np.mean([c["accuracy"] for c in categories.values()])) if categories else float("nan"),
        "categories": categories,
        "baselines": length_baselines(comparisons),
        "tie_rule": TIE_RULE,
        "interval": INTERVAL,
    }
    if blind is not None:
        blind_pairs = judged_pairs(comparisons, blind)
        numbers["blind_accuracy"] = accuracy(blind_pairs)
        for name, members in by_category(blind_pairs).items():
            categories[name]["blind_accuracy"] = accuracy(members)
    return numbers


def length_baselines(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Accuracy of two models that look at the length in characters alone, under the same tie rule."""
    lengths = [[len(text) for text in comparison.responses] for comparison in comparisons]
    longer = judged_pairs(comparisons, lengths)
    shorter = judged_pairs(comparisons, [[-n for n in row] for row in lengths])
    return {"longer_wins": accuracy(longer), "shorter_wins": accuracy(shorter)}


def table(numbers: dict[str, Any]) -> str:
    """The results as aligned text."""
    rows = [("category", "n", "accuracy", "95% interval", "ties", "blind")]
    for name, values in [*numbers["categories"].items(), ("all", numbers)]:
        low, high = values["interval_95"]
        blind = f"{100 * values['blind_accuracy']:.1f}" if "blind_accuracy" in values else "-"
        rows.append((name or "(none)", str(values["n"]), f"{100 * values['accuracy']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}",
                     str(values["ties"]), blind))  # fmt: skip
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths))) for row in rows
    ]
    base = numbers["baselines"]
    return "\n".join([*lines, f"longer wins {100 * base['longer_wins']:.1f}, shorter wins {100 * base['shorter_wins']:.1f}"])
