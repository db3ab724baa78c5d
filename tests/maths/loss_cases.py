"""What the tests of losses share: items with labels, and TRL's reward trainer as an independent reference."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

from basereward.losses.labels import Labels
from basereward.records import Comparison, Pair, parse_row


@dataclass
class Item:
    """The least that ``Labels.of`` asks of a comparison."""

    num_responses: int
    pairs: tuple[Pair, ...] = ()
    weight: float = 1.0
    ties: tuple[tuple[int, int], ...] = ()
    ranks: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    text_rewards: tuple[float, ...] | None = None


def ranking(*ranks: int, margin: float = 0.0) -> Comparison:
    """A comparison of as many responses, from a row."""
    return _row(ranks, "ranks", margin)


def scored(*scores: float, margin: float = 0.0) -> Comparison:
    """The same with scores."""
    return _row(scores, "scores", margin)


def _row(values, key: str, margin: float) -> Comparison:
    responses = [f"answer {index}" for index in range(len(values))]
    row = {"prompt": "?", "responses": responses, key: list(values), "margin": margin}
    item = parse_row(row, where="row", keep_ties=True)
    return replace(item, text_rewards=tuple(0.5 * value - 0.125 * value**2 for value in values))


def labels_of_pairs(count: int, margin_P: torch.Tensor) -> Labels:
    """As many comparisons of two, in float64: the better rewards first, then the worse, as TRL lays them out."""
    index, ones, none = torch.arange(count), torch.ones(count, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    return Labels(
        better_P=index, worse_P=index + count, margin_P=margin_P, weight_P=ones, probability_P=ones, comparison_P=index, left_T=none,
        right_T=none, comparison_T=none, comparison_R=index.repeat(2), rank_R=index, score_R=ones, text_reward_R=ones, length_R=index,
        weight_C=ones,
    )  # fmt: skip


def trl_loss(logits: torch.Tensor, margin: torch.Tensor | None, centering: float | None = None) -> torch.Tensor:
    """TRL's ``compute_loss`` with stubs for everything that is not the loss; chosen rows first, then rejected."""
    trl = pytest.importorskip("trl", reason="the reference of this test comes with the extra dev")

    class Model:
        training = False

        def __call__(self, **inputs):
            return SimpleNamespace(logits=logits)

    def gather(x):
        return x

    trainer = SimpleNamespace(
        args=SimpleNamespace(center_rewards_coefficient=centering), _metrics={"eval": defaultdict(list)}, _total_train_tokens=0,
        accelerator=SimpleNamespace(gather=gather, gather_for_metrics=gather), _tp_size=1, model=Model(),
    )  # fmt: skip
    inputs = {} if margin is None else {"margin": margin}
    return trl.RewardTrainer.compute_loss(trainer, trainer.model, inputs)
