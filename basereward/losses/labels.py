"""What is known about the responses of a pack, as tensors: pairs, ties, ranks, scores; and means over what a comparison holds.

Letters: R responses of a pack, P pairs, T tied pairs, C comparisons, X any of R, P and T.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch


class Preference(Protocol):
    """One pair: which response is better than which, by how much, its weight within the comparison, and how sure it is."""

    better: int
    worse: int
    margin: float
    weight: float
    probability: float


class Preferences(Protocol):
    """Anything with responses and an order among them: a comparison, encoded (then with ``lengths``) or not.

    It may have ``text_rewards``: those that a text-only model gives to its responses.
    """

    pairs: Sequence[Preference]
    ties: Sequence[tuple[int, int]]
    ranks: Sequence[int] | None
    scores: Sequence[float] | None
    weight: float

    @property
    def num_responses(self) -> int:
        """How many rewards it takes."""


@dataclass
class Labels:
    """The preferences of a pack, as indices into its R rewards.

    Attributes:
        better_P: (P,) int64, index of the preferred response among the R rewards.
        worse_P: (P,) int64.
        margin_P: (P,) float32, by how much the better one should win; 0 where a row has none.
        weight_P: (P,) float32, share of the pair within its comparison.
        probability_P: (P,) float32, probability that the better one wins; 1 where a row has none.
        comparison_P: (P,) int64, which of the C comparisons the pair belongs to.
        left_T, right_T, comparison_T: (T,) int64, pairs of responses with equal ranks or scores.
        comparison_R: (R,) int64.
        rank_R: (R,) int64, 0 is the best; -1 where a row has no ranks.
        score_R: (R,) float32, higher is better; NaN where a row has no scores.
        text_reward_R: (R,) float32, reward of a model that sees no pictures; NaN where it is not known.
        length_R: (R,) int64, tokens of the response with its end token; -1 where it was not encoded.
        weight_C: (C,) float32, weight of each comparison in the loss of its batch.
    """

    better_P: torch.Tensor
    worse_P: torch.Tensor
    margin_P: torch.Tensor
    weight_P: torch.Tensor
    probability_P: torch.Tensor
    comparison_P: torch.Tensor
    left_T: torch.Tensor
    right_T: torch.Tensor
    comparison_T: torch.Tensor
    comparison_R: torch.Tensor
    rank_R: torch.Tensor
    score_R: torch.Tensor
    text_reward_R: torch.Tensor
    length_R: torch.Tensor
    weight_C: torch.Tensor

    @classmethod
    def of(cls, items: Sequence[Preferences]) -> Labels:
        """The labels of several comparisons whose rewards stand one after the other."""
        counts = [item.num_responses for item in items]
        place = [(c, int(first), item) for c, (first, item) in enumerate(zip(np.cumsum([0, *counts]), items))]
        pairs = [(first + p.better, first + p.worse, p.margin, p.weight, p.probability, c)
                 for c, first, item in place for p in item.pairs]  # fmt: skip
        ties = [(first + left, first + right, c) for c, first, item in place for left, right in item.ties]
        better, worse, margin, weight, probability, comparison = columns(pairs, 6)
        left, right, tied_comparison = columns(ties, 3)
        known = [_responses(item) for item in items]
        return cls(
            better_P=whole(better), worse_P=whole(worse), margin_P=real(margin), weight_P=real(weight),
            probability_P=real(probability), comparison_P=whole(comparison), left_T=whole(left), right_T=whole(right),
            comparison_T=whole(tied_comparison), comparison_R=torch.arange(len(items)).repeat_interleave(whole(counts)),
            rank_R=whole([x for ranks, *_ in known for x in ranks]), score_R=real([x for _, scores, *_ in known for x in scores]),
            text_reward_R=real([x for *_, rewards, _ in known for x in rewards]),
            length_R=whole([x for *_, lengths in known for x in lengths]), weight_C=real([item.weight for item in items]),
        )  # fmt: skip

    def to(self, device: torch.device) -> Labels:
        """The same labels on another device."""
        return self.map(lambda x: x.to(device, non_blocking=True))

    def map(self, move) -> Labels:
        """The same labels with every tensor replaced."""
        return Labels(**{f.name: move(getattr(self, f.name)) for f in fields(self)})

    def mean_per_comparison(self, loss_X: torch.Tensor, weight_X: torch.Tensor, comparison_X: torch.Tensor) -> torch.Tensor:
        """Weighted mean over what belongs to each comparison: (X,) -> (C,); 0 for a comparison without any."""
        zero_C = torch.zeros_like(self.weight_C, dtype=loss_X.dtype)
        weight_X = weight_X.to(loss_X.dtype)
        share_C = zero_C.index_add(0, comparison_X, weight_X)
        weighted_C = zero_C.index_add(0, comparison_X, loss_X * weight_X)
        return weighted_C / torch.where(share_C > 0, share_C, 1)

    def mean_over_pairs(self, loss_P: torch.Tensor) -> torch.Tensor:
        """Weighted mean over the pairs of each comparison: (P,) -> (C,)."""
        return self.mean_per_comparison(loss_P, self.weight_P, self.comparison_P)


def _responses(item: Preferences) -> tuple[Iterable[int], Iterable[float], Iterable[float], Iterable[int]]:
    """Ranks, scores, text-only rewards and lengths of one comparison's responses, with the marks of what is not known."""
    unknown, no_number = [-1] * item.num_responses, [float("nan")] * item.num_responses
    lengths = getattr(item, "lengths", None)
    rewards = getattr(item, "text_rewards", None) or no_number
    return item.ranks or unknown, item.scores or no_number, rewards, lengths.responses if lengths else unknown


def columns(rows: Sequence[tuple], count: int) -> Sequence[Sequence]:
    """The columns of a table, ``count`` empty ones for an empty table."""
    return list(zip(*rows)) if rows else ((),) * count


def whole(values: Sequence[int]) -> torch.Tensor:
    """An int64 tensor."""
    return torch.tensor(values, dtype=torch.int64)


def real(values: Sequence[float]) -> torch.Tensor:
    """A float32 tensor."""
    return torch.tensor(values, dtype=torch.float32)
