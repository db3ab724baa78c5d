"""Comparisons, one after another -> counts: how often each length, size and number occurs.

Counts of values, not values: memory grows with the number of different lengths, not with the number of rows, and every percentile is
exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from basereward.images import ImageError, image_size
from basereward.records import Comparison

# Categories counted by name; rows of later ones are counted together.
MAX_CATEGORIES = 1000
OTHER_CATEGORIES = "(other categories)"
# Margins and differences of scores are floats, of which there can be as many as rows; four digits make few of them.
_MARGIN_DIGITS = 4


@dataclass
class Statistics:
    """Of one source."""

    totals: Counter = field(default_factory=Counter)
    """comparisons, pairs, ties, images, images that cannot be opened; pairs in which the better response is longer, shorter, equal."""
    counts: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    """Name -> value -> how often: "prompt", "better", "worse", "difference" (better - worse), "responses", "images", "turns",
    "width", "height", "pixels", "margin", "score difference"."""
    categories: Counter = field(default_factory=Counter)

    def add(self, item: Comparison, lengths: tuple[int, Sequence[int]] | None) -> None:
        """Counts one comparison.

        Args:
            lengths: of the prompt and of the N responses, in one unit for the whole source; None where they cannot be measured.
        """
        self.totals.update(comparisons=1, pairs=len(item.pairs), ties=len(item.ties), images=len(item.images))
        self.counts["responses"][len(item.responses)] += 1
        self.counts["images"][len(item.images)] += 1
        self.counts["turns"][sum(turn["role"] == "user" for turn in item.messages)] += 1
        known = item.category in self.categories or len(self.categories) < MAX_CATEGORIES
        self.categories[item.category if known else OTHER_CATEGORIES] += 1
        self._add_margins(item)
        self._add_images(item)
        if lengths is not None:
            self.counts["prompt"][lengths[0]] += 1
            self._add_lengths(item, lengths[1])

    def values(self, name: str) -> np.ndarray:
        """All values that were counted, smallest first."""
        counted = sorted(self.counts[name].items())
        return np.repeat([value for value, _ in counted], [count for _, count in counted])

    def _add_lengths(self, item: Comparison, responses: Sequence[int]) -> None:
        for pair in item.pairs:
            better, worse = responses[pair.better], responses[pair.worse]
            self.counts["better"][better] += 1
            self.counts["worse"][worse] += 1
            self.counts["difference"][better - worse] += 1
            self.totals["longer" if better > worse else "shorter" if better < worse else "equal"] += 1

    def _add_margins(self, item: Comparison) -> None:
        for pair in item.pairs:
            if pair.margin:
                self.counts["margin"][_rounded(pair.margin)] += 1
            if item.scores is not None:
                self.counts["score difference"][_rounded(item.scores[pair.better] - item.scores[pair.worse])] += 1

    def _add_images(self, item: Comparison) -> None:
        for ref in item.images:
            try:
                width, height = image_size(ref)
            except ImageError as error:
                self.totals[f"picture: {error.reason}"] += 1
                continue
            self.counts["width"][width] += 1
            self.counts["height"][height] += 1
            self.counts["pixels"][width * height] += 1


def _rounded(value: float) -> float:
    return float(f"{value:.{_MARGIN_DIGITS}g}")
