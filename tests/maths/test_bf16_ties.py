"""Close responses keep different rewards: a float32 head on the states of a bf16 backbone, against the same head in bfloat16."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from part_nodes import HEADS, node

from basereward.config import build
from basereward.metrics import Outcome, outcome

COMPARISONS, WIDTH = 2000, 1024
# The gap of a comparison's rewards, relative to the deviation of all rewards.
GAP = 0.02


def close_states(head: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """(2000, D) bf16 states of two responses each, as far apart as gives gaps of 2% of the rewards' deviation."""
    generator = torch.Generator().manual_seed(11)
    first = torch.randn(COMPARISONS, WIDTH, generator=generator)
    step = torch.randn(COMPARISONS, WIDTH, generator=generator)
    with torch.no_grad():
        distance = 0.02
        for _ in range(3):  # a gap grows about as the distance does
            rewards, others = head(first), head(first + distance * step)
            distance *= (GAP * rewards.std() / (others - rewards).std()).item()
    return first.bfloat16(), (first + distance * step).bfloat16()


def bf16_rewards(head: torch.nn.Module, states: torch.Tensor) -> torch.Tensor:
    """As a head inside a bf16 model computes them: weights, arithmetic and rewards in bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", lambda self: self)  # our heads lift what they are given
        return copy.deepcopy(head).bfloat16()(states)


def ties(rewards: torch.Tensor, others: torch.Tensor) -> Outcome:
    return outcome(rewards.to(torch.float64).numpy(), others.to(torch.float64).numpy())


@torch.no_grad()
@pytest.mark.parametrize("name", HEADS)
def test_a_float32_head_tells_close_responses_apart(name, capsys):
    """At most 0.1% ties in float32, over 5% in bfloat16; the printed line stands in docs/experiments.md."""
    torch.manual_seed(0)
    head = build(node("head", name), key="head", hidden_size=WIDTH).eval()
    first, second = close_states(head)
    exact, rounded = (head(first), head(second)), (bf16_rewards(head, first), bf16_rewards(head, second))
    assert exact[0].dtype == torch.float32 and rounded[0].dtype == torch.bfloat16
    gap = ((exact[1] - exact[0]).std() / exact[0].std()).item()
    assert gap == pytest.approx(GAP, rel=0.25)
    float32, bf16 = ties(*exact).ties / COMPARISONS, ties(*rounded).ties / COMPARISONS
    agree = np.mean(np.sign((exact[1] - exact[0]).numpy()) == np.sign((rounded[1] - rounded[0]).float().numpy()))
    with capsys.disabled():
        numbers = f"ties {float32:.2%} in float32, {bf16:.1%} in bf16, same sign {agree:.1%}"
        print(f"\n  {name}: gap {gap:.1%} of the deviation, {numbers}", end="")
    assert float32 <= 0.001
    assert bf16 > 0.05
