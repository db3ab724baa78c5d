"""Which response of which comparison is better than which, as tensors, and the mean over the pairs of a comparison.

Letters: R responses of a pack, P pairs, C comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch


class Preference(Protocol):
    """One pair: which response is better than which, by how much, and its weight within the comparison."""

    better: int
    worse: int
    margin: float
    weight: float


class Preferences(Protocol):
    """Anything with responses, pairs among them, and a weight: a comparison, encoded or not."""

    pairs: Sequence[Preference]
    weight: float

    @property
    def num_responses(self) -> int:
        """How many rewards it takes."""


@dataclass
class Pairs:
    """The preferences of a pack.

    Attributes:
        better_P: (P,) int64, index of the preferred response among the R rewards.
        worse_P: (P,) int64.
        margin_P: (P,) float32, by how much the better one should win; 0 where a row has none.
        weight_P: (P,) float32, share of the pair within its comparison.
        comparison_P: (P,) int64, which of the C comparisons the pair belongs to.
        weight_C: (C,) float32, weight of each comparison in the loss of its batch.
    """

    better_P: torch.Tensor
    worse_P: torch.Tensor
    margin_P: torch.Tensor
    weight_P: torch.Tensor
    comparison_P: torch.Tensor
    weight_C: torch.Tensor

    @classmethod
    def of(cls, items: Sequence[Preferences]) -> Pairs:
        """The pairs of several comparisons whose rewards stand one after the other."""
        first_C = np.cumsum([0] + [item.num_responses for item in items])
        rows = [(first + p.better, first + p.worse, p.margin, p.weight, c)
                for c, (first, item) in enumerate(zip(first_C, items)) for p in item.pairs]  # fmt: skip
        better, worse, margin, weight, comparison = zip(*rows) if rows else ((),) * 5
        return cls(
            better_P=torch.tensor(better, dtype=torch.int64), worse_P=torch.tensor(worse, dtype=torch.int64),
            margin_P=torch.tensor(margin, dtype=torch.float32), weight_P=torch.tensor(weight, dtype=torch.float32),
            comparison_P=torch.tensor(comparison, dtype=torch.int64),
            weight_C=torch.tensor([item.weight for item in items], dtype=torch.float32),
        )  # fmt: skip

    def to(self, device: torch.device) -> Pairs:
        """The same pairs on another device."""
        return Pairs(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})

    def mean_per_comparison(self, loss_P: torch.Tensor) -> torch.Tensor:
        """Weighted mean over the pairs of each comparison: (P,) -> (C,)."""
        total_C = torch.zeros_like(self.weight_C, dtype=loss_P.dtype)
        share_C = total_C.clone().index_add(0, self.comparison_P, self.weight_P.to(loss_P.dtype))
        weighted_C = total_C.index_add(0, self.comparison_P, loss_P * self.weight_P.to(loss_P.dtype))
        return weighted_C / share_C
