"""Comparisons and their rewards -> what `report.json` keeps: how many are right, and a few to look at, pictures included."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from basereward.records import Comparison
from basereward.report.entries import describe

NUM_MISTAKES = 6
NUM_OTHERS = 6
RIGHT, TIE, WRONG = "right", "tie", "wrong"


@dataclass(frozen=True)
class Scored:
    """A comparison with its (N,) rewards."""

    comparison: Comparison
    reward_N: np.ndarray

    @property
    def margins(self) -> list[float]:
        """Reward of the better minus reward of the worse response, for each pair."""
        return [float(self.reward_N[pair.better]) - float(self.reward_N[pair.worse]) for pair in self.comparison.pairs]

    @property
    def verdict(self) -> str:
        """Wrong when any pair is; right when all are."""
        found = {verdict_of(margin) for margin in self.margins}
        return WRONG if WRONG in found else TIE if TIE in found else RIGHT

    @property
    def worst(self) -> float:
        """The smallest margin; a reward that is not a number is the worst of all."""
        return min(-math.inf if math.isnan(margin) else margin for margin in self.margins)


def verdict_of(margin: float) -> str:
    """Of one pair; a margin that is not a number is wrong, as everywhere in the toolkit."""
    return RIGHT if margin > 0 else TIE if margin == 0 else WRONG


def gallery(comparisons: Sequence[Comparison], rewards: Sequence[np.ndarray], *, split: str) -> dict[str, Any]:
    """What `report.json` holds.

    Args:
        rewards: (N,) for each comparison.
        split: what the comparisons are: validation or training.
    """
    scored = [Scored(comparison, np.asarray(reward_N)) for comparison, reward_N in zip(comparisons, rewards, strict=True)]
    for item in scored:
        assert item.reward_N.shape == (len(item.comparison.responses),), (item.comparison.id, item.reward_N.shape)
    counts = Counter(item.verdict for item in scored)
    mistakes, others = pick(scored)
    return {
        "split": split,
        "num_scored": len(scored),
        **{verdict: counts[verdict] for verdict in (RIGHT, TIE, WRONG)},
        "mistakes": [entry(item) for item in mistakes],
        "others": [entry(item) for item in others],
    }


def pick(scored: Sequence[Scored]) -> tuple[list[Scored], list[Scored]]:
    """(the worst mistakes and ties, right ones spread over categories), as many as the page has room for.

    Where there are too few of one sort, the other fills the room.
    """
    bad = sorted((item for item in scored if item.verdict != RIGHT), key=lambda item: item.worst)
    good = list(spread([item for item in scored if item.verdict == RIGHT]))
    room = NUM_MISTAKES + NUM_OTHERS
    return bad[: max(NUM_MISTAKES, room - len(good))], good[: max(NUM_OTHERS, room - len(bad))]


def spread(items: Sequence[Scored]) -> Iterator[Scored]:
    """The first of each category, then the second of each, and so on."""
    by_category: dict[str, list[Scored]] = defaultdict(list)
    for item in items:
        by_category[item.comparison.category].append(item)
    for rank in range(max(map(len, by_category.values()), default=0)):
        yield from (members[rank] for members in by_category.values() if rank < len(members))


def entry(item: Scored) -> dict[str, Any]:
    """One comparison, ready for JSON: what was asked and answered, the label, the rewards, and its pictures as data URIs."""
    comparison = item.comparison
    return describe(comparison) | {
        "verdict": item.verdict,
        "rewards": [finite(reward) for reward in item.reward_N],
        "pairs": [
            {"better": pair.better, "worse": pair.worse, "margin": finite(margin), "verdict": verdict_of(margin)}
            for pair, margin in zip(comparison.pairs, item.margins)
        ],
    }


def finite(value: float) -> float | None:
    """A float for JSON, which has no NaN."""
    return float(value) if math.isfinite(value) else None
