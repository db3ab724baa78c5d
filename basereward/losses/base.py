"""What a loss tells about itself, so that a config or data that it cannot use are refused before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

import torch

from basereward.errors import ConfigError, DataError
from basereward.losses.labels import Labels, Preferences


class Sourced(Preferences, Protocol):
    """A comparison that knows where it comes from."""

    id: str
    source: str


class Loss:
    """Rewards and labels -> one loss per comparison. A subclass states the facts below and computes ``__call__``.

    Every loss is a mean over what it reads of a comparison (pairs, ties, choices, responses), so that a ranking of eight weighs as
    much as a pair. A comparison that holds nothing of the kind contributes 0 and its weight still counts: the divisor of a batch
    is known before the forward pass and is the same for all terms of a sum.
    """

    explains: ClassVar[frozenset[str]] = frozenset()
    """What its likelihood is of: some of ``order``, ``ties``, ``scores``; nothing for a penalty. Two terms of a sum must not
    explain the same thing, and a loss that trains alone must explain the order or the scores."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """Which of ``margin``, ``probability``, ``weight`` (of pairs) have an effect; data that set another are refused."""
    needs_scores: ClassVar[bool] = False
    """Whether every comparison must have scores."""
    needs_text_rewards: ClassVar[bool] = False
    """Whether every comparison must have the rewards of a text-only model."""
    sees_shift: ClassVar[bool] = False
    """Whether the loss changes when all rewards of a comparison move by the same amount. If not, an output bias of the head has
    the gradient 0."""

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        raise NotImplementedError

    def measures(self, reward_R: torch.Tensor, labels: Labels) -> dict[str, torch.Tensor]:
        """Name -> numbers, whose mean is logged under that name beside the loss; none unless a loss says so."""
        return {}

    @property
    def name(self) -> str:
        """For messages."""
        return type(self).__name__

    @property
    def reads_ties(self) -> bool:
        """Whether a comparison of tied responses alone teaches anything."""
        return bool({"ties", "scores"} & self.explains)

    def check_alone(self) -> None:
        """Refuses to train with this loss when nothing in it tells better from worse."""
        if not {"order", "scores"} & self.explains:
            raise ConfigError(
                f"loss: expected a loss that tells better from worse, found {self.name} alone; add it to one with "
                "basereward.losses.sum.Sum, as conf/loss/bradley_terry_centered.yaml does"
            )

    def check_data(self, comparisons: Iterable[Sourced]) -> None:
        """Refuses data that lack what the loss needs, or that say what it would not hear.

        Raises:
            DataError: with the data source, how many comparisons, the first of them, and what to do.
        """
        tests = list(self.problems())
        found: dict[tuple[str, str, str], list[str]] = {}
        for item in comparisons:
            for is_wrong, expected, advice in tests:
                if is_wrong(item):
                    found.setdefault((expected, advice, item.source), []).append(item.id)
        for (expected, advice, source), ids in found.items():
            raise DataError(
                f"loss {self.name}: expected {expected}; found otherwise in {len(ids)} of the source {source!r}, such as {ids[0]!r}; "
                f"{advice}"
            )

    def problems(self) -> Iterable[tuple[Callable[[Sourced], bool], str, str]]:
        """(test of a comparison, what was expected, what to do) for everything the loss cannot use."""
        for key, default in (("margin", 0), ("probability", 1), ("weight", 1)):
            if key not in self.reads:
                yield (lambda item, k=key, d=default: any(getattr(pair, k) != d for pair in item.pairs),
                       f"pairs without a {key}, which has no effect on it", f"leave the {key} out, or choose another loss")  # fmt: skip
        if self.needs_scores:
            yield (lambda item: item.scores is None, "comparisons with `scores`",
                   "give them scores, leave the source out, or choose another loss")  # fmt: skip
        if self.needs_text_rewards:
            yield (lambda item: getattr(item, "text_rewards", None) is None, "comparisons with rewards of a text-only model",
                   "score them without their images (basereward score data=... blind=true) and name the output in "
                   "data.text_only_scores, leave them out, or choose another loss")  # fmt: skip
        if not self.reads_ties:
            yield (lambda item: not item.pairs, "at least one pair that is not tied in each comparison",
                   "set keep_ties=false, or choose a loss that reads ties (rao_kupper, bradley_terry_ties)")  # fmt: skip
