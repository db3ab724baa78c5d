"""What every head and every loss owes. The YAMLs of conf/head and conf/loss are found by glob: a new one is tested as it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml

from basereward.config import build
from basereward.losses.pairs import Pairs
from basereward.records import Comparison, Pair

CONF = Path(__file__).resolve().parents[2] / "conf"
HEADS = sorted((CONF / "head").glob("**/*.yaml"))
LOSSES = sorted((CONF / "loss").glob("**/*.yaml"))
IN_THE_STEP = ("unit",)  # keys of a loss's YAML that belong to the batch, not to the loss


def named(paths: list[Path]):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def node_of(path: Path) -> dict:
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: value for key, value in node.items() if key not in IN_THE_STEP}


def comparison(num_responses: int, *pairs: Pair, weight: float = 1.0) -> Comparison:
    return Comparison((), (), tuple("abcdefgh"[:num_responses]), pairs, id="x", weight=weight)


def test_the_known_parts_are_found():
    assert {"linear", "mlp"} <= {path.stem for path in HEADS}
    assert {"bradley_terry"} <= {path.stem for path in LOSSES}


@named(HEADS + LOSSES)
def test_the_first_line_says_what_it_is_and_how_to_use_it(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ") and f"{path.parent.name}={path.stem}" in first


@named(HEADS)
def test_a_head_gives_one_float32_reward_per_state(path):
    head = build(node_of(path), key="head", hidden_size=16)
    states = torch.randn(5, 16)
    for reward in (head(states), head(states.bfloat16()), head(states[:0])):
        assert reward.dtype == torch.float32 and reward.ndim == 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(head(states), head(states.float()), rtol=0, atol=0)
    torch.testing.assert_close(head(states)[2:3], head(states[2:3]), rtol=0, atol=1e-6)


@named(HEADS)
def test_a_head_learns_with_all_its_parameters(path):
    torch.manual_seed(0)
    head = build(node_of(path), key="head", hidden_size=16)
    (head(torch.randn(8, 16)) * torch.randn(8)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


@named(HEADS)
def test_a_head_draws_its_weights_from_the_seed(path):
    states = torch.randn(5, 16)

    def rewards(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return build(node_of(path), key="head", hidden_size=16)(states)

    assert torch.equal(rewards(1), rewards(1)) and not torch.equal(rewards(1), rewards(2))


@named(LOSSES)
def test_a_loss_gives_one_finite_number_per_comparison(path):
    loss = build(node_of(path), key="loss")
    pairs = Pairs.of([comparison(2, Pair(0, 1)), comparison(4, Pair(3, 0), Pair(1, 2, margin=0.5, weight=2.0))])
    for scale in (0.0, 1.0, 1e4):
        reward_R = (torch.randn(6) * scale).requires_grad_()
        loss_C = loss(reward_R, pairs)
        assert loss_C.shape == (2,) and loss_C.isfinite().all()
        loss_C.sum().backward()
        assert reward_R.grad.isfinite().all()


@named(LOSSES)
def test_a_loss_falls_when_the_better_response_rises(path):
    loss = build(node_of(path), key="loss")
    reward_R = torch.zeros(2, requires_grad=True)
    loss(reward_R, Pairs.of([comparison(2, Pair(1, 0))])).sum().backward()
    assert reward_R.grad[1] < 0 < reward_R.grad[0]


@named(LOSSES)
def test_a_loss_does_not_depend_on_its_company(path):
    """The loss of a comparison is the same alone and beside others."""
    loss = build(node_of(path), key="loss")
    items = [comparison(3, Pair(0, 1), Pair(2, 1, margin=0.25)), comparison(2, Pair(1, 0, weight=3.0))]
    reward_R = torch.randn(5, dtype=torch.float64)
    together = loss(reward_R, Pairs.of(items))
    alone = [loss(reward_R[a:b], Pairs.of([item])).item() for item, (a, b) in zip(items, [(0, 3), (3, 5)])]
    assert together.tolist() == pytest.approx(alone, abs=1e-12)


@named(LOSSES)
def test_a_loss_passes_the_gradient_check(path):
    loss = build(node_of(path), key="loss")
    pairs = Pairs.of([comparison(3, Pair(0, 1, margin=0.3), Pair(0, 2, weight=2.0)), comparison(2, Pair(1, 0))])
    reward_R = torch.randn(5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: loss(r, pairs), reward_R)


@named(LOSSES)
def test_a_margin_matters(path):
    loss = build(node_of(path), key="loss")
    reward_R = torch.tensor([0.5, 0.0], dtype=torch.float64)
    plain, wide = (loss(reward_R, Pairs.of([comparison(2, Pair(0, 1, margin=m))])).item() for m in (0.0, 1.0))
    assert wide > plain and not math.isclose(wide, plain)
