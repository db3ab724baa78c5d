"""What every head, pooling and loss owes. The YAMLs of their groups are found by glob: a new one is tested as it is."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from loss_cases import scored
from part_nodes import HEADS, LOSSES, POOLINGS, node

from basereward.config import build
from basereward.config_folders import config_folder
from basereward.errors import DataError
from basereward.losses.base import Loss
from basereward.losses.labels import Labels
from basereward.records import Comparison, Pair

GROUPS = {"head": HEADS, "pooling": POOLINGS, "loss": LOSSES}
SPANS = [(0, 1), (1, 4), (6, 13), (13, 15)]


def each(group: str):
    return pytest.mark.parametrize("name", GROUPS[group])


def part(group: str, name: str):
    return build(node(group, name), key=group, **({} if group == "loss" else {"hidden_size": 16}))


def scored_pair(worse: float = -1.0, better: float = 1.0, **keys) -> Comparison:
    """Two responses, the second the better, in every way a loss may want it; with keys of its pair."""
    return with_pairs(scored(worse, better), Pair(1, 0, **keys))


def with_pairs(comparison: Comparison, *pairs: Pair) -> Comparison:
    return replace(comparison, pairs=pairs)


def test_the_known_parts_are_found():
    table_2 = {"linear", "mlp2_none", "mlp2_tanh", "mlp", "mlp3_silu", "mlp4_silu", "mlp5_silu"}
    assert table_2 | {"gated"} <= set(HEADS)
    assert {"last", "mean", "attention"} <= set(POOLINGS)
    assert {"bradley_terry", "bradley_terry_centered", "bradley_terry_ties", "rao_kupper", "plackett_luce", "regression"} <= set(
        LOSSES
    )


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in GROUPS.items() for name in names])
def test_the_first_line_says_what_it_is_and_how_to_use_it(group, name):
    first = (config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ") and f"{group}={name}" in first


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in GROUPS.items() for name in names])
def test_a_part_says_where_it_comes_from_or_why(group, name):
    assert len(inspect.getdoc(type(part(group, name)))) > 150


# heads


@each("head")
def test_a_head_gives_one_float32_reward_per_state(name):
    head = part("head", name).eval()
    states = torch.randn(5, 16)
    for reward in (head(states), head(states.bfloat16()), head(states[:0])):
        assert reward.dtype == torch.float32 and reward.ndim == 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(head(states), head(states.float()), rtol=0, atol=0)
    torch.testing.assert_close(head(states)[2:3], head(states[2:3]), rtol=0, atol=1e-6)


@each("head")
def test_a_head_computes_in_float32(name, monkeypatch):
    """To 1e-6 what the same head gives in float64; states or weights rounded to bfloat16 would be off by about 1e-3."""
    head, states = part("head", name).eval(), torch.randn(50, 16)
    found = head(states)
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)  # our heads lift what they are given
    torch.testing.assert_close(found.double(), copy.deepcopy(head).double()(states.double()), rtol=0, atol=1e-6)


@each("head")
def test_a_head_learns_with_all_its_parameters(name):
    torch.manual_seed(0)
    head = part("head", name)
    (head(torch.randn(8, 16)) * torch.randn(8)).sum().backward()
    for parameter_name, parameter in head.named_parameters():
        assert parameter.dtype == torch.float32, parameter_name
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), parameter_name


@each("head")
def test_a_head_draws_its_weights_from_the_seed(name):
    states = torch.randn(5, 16)

    def rewards(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return part("head", name)(states)

    assert torch.equal(rewards(1), rewards(1)) and not torch.equal(rewards(1), rewards(2))


@each("head")
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_the_scale_of_the_first_rewards_is_chosen(name, scale):
    states = torch.randn(50, 16)

    def rewards(**keys) -> torch.Tensor:
        torch.manual_seed(3)
        return build(node("head", name) | keys, key="head", hidden_size=16)(states)

    torch.testing.assert_close(rewards(init_scale=scale), scale * rewards(), rtol=1e-5, atol=1e-6)


@each("head")
def test_an_output_bias_shifts_every_reward_and_starts_at_zero(name):
    head = build(node("head", name) | {"output_bias": True}, key="head", hidden_size=16)
    states = torch.randn(5, 16)
    before = head(states)
    biases = [p for n, p in head.named_parameters() if p.shape == (1,)]
    assert head.output_bias and len(biases) == 1 and not biases[0].any() and not part("head", name).output_bias
    biases[0].data.fill_(2.0)
    torch.testing.assert_close(head(states), before + 2)


# poolings


def pooled(name: str, states: torch.Tensor, spans=SPANS) -> torch.Tensor:
    pooling = part("pooling", name)
    for parameter in pooling.parameters():
        parameter.data = torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
    return pooling(states, spans)


@each("pooling")
def test_a_pooling_gives_one_float32_vector_per_response(name):
    states = torch.randn(15, 16)
    for given in (states, states.bfloat16()):
        found = pooled(name, given)
        assert found.shape == (4, 16) and found.dtype == torch.float32
        torch.testing.assert_close(found, pooled(name, given.float()), rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(pooled(name, states), pooled(name, states.float()), rtol=0, atol=0)


@each("pooling")
def test_a_pooling_sees_its_response_alone(name):
    """What stands outside a span has no gradient from it; the order of the spans moves with the result."""
    states = torch.randn(15, 16).requires_grad_()
    pooled(name, states, SPANS[1:3])[1].sum().backward()
    inside = torch.zeros(15, dtype=torch.bool)
    inside[6:13] = True
    assert not states.grad[~inside].any() and states.grad[12].all()
    torch.testing.assert_close(pooled(name, states, SPANS[::-1]), pooled(name, states).flip(0), rtol=0, atol=0)


@each("pooling")
def test_a_pooling_of_one_token_is_that_token(name):
    states = torch.randn(3, 16)
    torch.testing.assert_close(pooled(name, states, [(1, 2)]), states[1:2], rtol=0, atol=1e-6)


@each("pooling")
def test_a_pooling_says_whether_it_reads_the_whole_response(name):
    """An export looks for the beginning of the response where it must."""
    states = torch.randn(15, 16).requires_grad_()
    pooled(name, states, [(6, 13)]).sum().backward()
    assert part("pooling", name).reads_whole_response == bool(states.grad[6:12].any())


@each("pooling")
def test_a_pooling_learns_with_all_its_parameters(name):
    pooling = part("pooling", name)
    pooling(torch.randn(15, 16, requires_grad=True), SPANS).pow(2).sum().backward()
    for parameter_name, parameter in pooling.named_parameters():
        assert parameter.dtype == torch.float32, parameter_name
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), parameter_name


# losses


@each("loss")
def test_a_loss_says_what_it_reads_and_trains_alone(name):
    loss = part("loss", name)
    assert isinstance(loss, Loss) and loss.reads <= {"margin", "probability", "weight"}
    loss.check_alone()


@each("loss")
def test_a_loss_gives_one_finite_number_per_comparison(name):
    loss = part("loss", name)
    labels = Labels.of([scored(1.0, 0.0), scored(0.5, 2.0, 0.5, -1.0, margin=0.5)])
    for scale in (0.0, 1.0, 1e4):
        reward_R = (torch.randn(6) * scale).requires_grad_()
        loss_C = loss(reward_R, labels)
        assert loss_C.shape == (2,) and loss_C.dtype == torch.float32 and loss_C.isfinite().all()
        loss_C.sum().backward()
        assert reward_R.grad.isfinite().all()


@each("loss")
@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_a_loss_stays_finite_at_huge_gaps(name, gap):
    reward_R = torch.tensor([gap, 0.0], requires_grad=True)
    loss_C = part("loss", name)(reward_R, Labels.of([scored(1.0, 0.0)]))
    loss_C.sum().backward()
    assert loss_C.isfinite().all() and reward_R.grad.isfinite().all()


@each("loss")
def test_a_loss_falls_when_the_better_response_rises(name):
    reward_R = torch.zeros(2, requires_grad=True)
    part("loss", name)(reward_R, Labels.of([scored_pair()])).sum().backward()
    assert reward_R.grad[1] < 0 < reward_R.grad[0]


@each("loss")
def test_a_loss_does_not_know_first_from_second(name):
    """The same comparison with its responses listed the other way round costs the same."""
    loss = part("loss", name)
    forward, backward = scored(0.3, 1.0, 0.3, -2.0, margin=0.25), scored(-2.0, 0.3, 1.0, 0.3, margin=0.25)
    reward_R = torch.tensor([0.5, -1.0, 2.0, 0.1], dtype=torch.float64)
    assert loss(reward_R, Labels.of([forward])).item() == pytest.approx(
        loss(reward_R.flip(0), Labels.of([backward])).item(), abs=1e-12
    )


@each("loss")
def test_a_loss_does_not_depend_on_its_company(name):
    """The loss of a comparison is the same alone and beside others."""
    loss = part("loss", name)
    items = [scored(0.3, 1.0, 0.3, margin=0.25), scored_pair(weight=3.0)]
    reward_R = torch.randn(5, dtype=torch.float64)
    together = loss(reward_R, Labels.of(items))
    alone = [loss(reward_R[a:b], Labels.of([item])).item() for item, (a, b) in zip(items, [(0, 3), (3, 5)])]
    assert together.tolist() == pytest.approx(alone, abs=1e-12)


def with_detached_numbers_fixed(loss: Loss, labels: Labels, at_R: torch.Tensor, monkeypatch) -> Callable:
    """The loss as its gradient sees it: what it detaches is a number, the one it has at ``at_R``."""
    fixed, detach = [], torch.Tensor.detach

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        fixed.append(detach(tensor))
        return fixed[-1]

    def call(reward_R: torch.Tensor, replacement: Callable) -> torch.Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", replacement)
            return loss(reward_R, labels)

    def again(reward_R: torch.Tensor) -> torch.Tensor:
        kept = iter(fixed)
        return call(reward_R, lambda tensor: next(kept))

    call(at_R, keep)
    return again


@each("loss")
def test_a_loss_passes_the_gradient_check(name, monkeypatch):
    loss = part("loss", name)
    labels = Labels.of([scored(0.3, 1.0, 0.3, margin=0.25), scored_pair(probability=0.75)])
    reward_R = torch.randn(5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(with_detached_numbers_fixed(loss, labels, reward_R, monkeypatch), reward_R)


@each("loss")
def test_a_loss_knows_whether_it_sees_a_shift(name):
    loss, labels = part("loss", name), Labels.of([scored(0.3, 1.0, 0.3)])
    reward_R = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    moved = loss(reward_R + 1.5, labels).item()
    assert loss.sees_shift == (not math.isclose(moved, loss(reward_R, labels).item(), abs_tol=1e-9))


@each("loss")
@pytest.mark.parametrize(("key", "value"), [("margin", 1.0), ("probability", 0.75), ("weight", 5.0)])
def test_what_a_loss_reads_matters_and_what_it_does_not_is_refused(name, key, value):
    """Three responses, whose first pair is given a margin, a probability, or another weight than the rest."""
    loss, plain = part("loss", name), scored(2.0, 1.0, 0.0)
    marked = with_pairs(plain, replace(plain.pairs[0], **{key: value}), *plain.pairs[1:])
    if key not in loss.reads:
        with pytest.raises(DataError, match=f"without a {key}"):
            loss.check_data([marked])
        return
    loss.check_data([marked])
    reward_R = torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)
    before, after = (loss(reward_R, Labels.of([item])).item() for item in (plain, marked))
    assert after > before if key in ("margin", "probability") else not math.isclose(after, before)


@each("loss")
def test_a_loss_that_reads_ties_is_moved_by_them(name):
    loss, tied = part("loss", name), Labels.of([scored(1.0, 1.0)])
    if not loss.reads_ties:
        with pytest.raises(DataError, match="not tied"):
            loss.check_data([scored(1.0, 1.0)])
        return
    reward_R = torch.tensor([2.0, 0.5], requires_grad=True)
    loss(reward_R, tied).sum().backward()
    assert reward_R.grad[0] > reward_R.grad[1]
