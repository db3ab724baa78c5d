"""The central promise: rewards and gradients of a packed row are those of one padded sequence per response on stock transformers.

Tolerances in float32 on CPU: 1e-5 on rewards (of size about 1) and 1e-4 relative on gradients. Worst seen over all families:
1.0e-6 and 5.5e-6; by family in docs/backbones.md.
"""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from basereward.packing import collate
from basereward.parts import recompute_activations
from basereward.planner import plan_packs

REWARD_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
# Of the largest gradient of all parameters. Below it is rounding alone: the key bias of an attention without rotary positions
# (InternVL's vision tower) shifts all logits of a query alike, so its exact gradient is 0.
NOISE = 1e-7


def upstream(count: int) -> torch.Tensor:
    """(R,) fixed gradient of each reward: every response counts, with its own size and sign."""
    return torch.randn(count, generator=torch.Generator().manual_seed(5))


def compare_gradients(model, reference: dict[str, torch.Tensor | None]) -> float:
    """Largest difference of any parameter's gradient, relative to the largest entry of that parameter's gradient."""
    worst = 0.0
    ours = {name: p.grad for name, p in model.named_parameters()}
    assert ours.keys() == reference.keys()
    noise = NOISE * max(expected.abs().max().item() for expected in reference.values() if expected is not None)
    for name, expected in reference.items():
        if expected is None or not expected.any():
            assert ours[name] is None or not ours[name].any(), f"{name} has a gradient that the reference has not"
            continue
        if expected.abs().max() < noise:
            assert ours[name].abs().max() < noise, name
            continue
        difference = ((ours[name] - expected).abs().max() / expected.abs().max()).item()
        assert difference <= GRADIENT_TOLERANCE, f"{name}: relative difference {difference:.1e}"
        worst = max(worst, difference)
    return worst


def check(model, stock, packed, comparisons) -> tuple[float, float]:
    """Rewards and all gradients, packed against padded."""
    expected = stock.rewards(comparisons)
    found = model(packed)
    assert found.dtype == torch.float32 and found.shape == expected.shape
    difference = (found - expected).abs().max().item()
    assert difference <= REWARD_TOLERANCE, f"rewards differ by {difference:.1e}"
    weights = upstream(len(expected))
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    return difference, compare_gradients(model, stock.gradients())


def test_each_case_alone(model, stock, pack, case, record_property):
    record_property("worst", check(model, stock, pack([case]), [case]))


def test_all_cases_in_one_pack(model, stock, pack, cases, record_property):
    record_property("worst", check(model, stock, pack(cases), cases))


def test_with_gradient_checkpointing(model, stock, pack, cases, record_property):
    recompute_activations(model)
    model.train()
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    record_property("worst", check(model, stock, pack(cases[:5]), cases[:5]))


def test_the_cases_cover_what_they_promise(encoder, cases):
    lengths = [encoder.length(c) for c in cases]
    assert {len(c.images) for c in cases} >= ({0, 1, 2, 4} if encoder.patch_settings is not None else {0})
    assert {len(c.responses) for c in cases} >= {2, 3, 8}
    sizes = {n for length in lengths for n in length.responses}
    assert min(sizes) == 1 and max(sizes) >= 400


@torch.no_grad()
def test_order_does_not_change_a_reward(model, pack, cases):
    expected = model(pack(cases)).split([len(c.responses) for c in cases])
    order = list(range(len(cases)))
    for seed in range(3):
        random.Random(seed).shuffle(order)
        shuffled = [cases[i] for i in order]
        found = model(pack(shuffled)).split([len(c.responses) for c in shuffled])
        for i, reward in zip(order, found):
            torch.testing.assert_close(reward, expected[i], rtol=0, atol=REWARD_TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("token_budget", [1, 400, 900, 100_000])
def test_the_token_budget_does_not_change_a_reward(model, encoder, pack, cases, token_budget):
    expected = model(pack(cases)).split([len(c.responses) for c in cases])
    encoded = [encoder.encode(c) for c in cases]
    packs = plan_packs([e.lengths.packed for e in encoded], token_budget)
    for members in packs:
        found = model(collate([encoded[i] for i in members], encoder.patch_settings))
        for i, reward in zip(members, found.split([len(cases[i].responses) for i in members])):
            torch.testing.assert_close(reward, expected[i], rtol=0, atol=REWARD_TOLERANCE)


@torch.no_grad()
def test_the_order_of_responses_moves_with_their_rewards(model, pack, cases):
    """A response does not see its siblings: reversed, the rewards are reversed."""
    turned = [dataclasses.replace(c, responses=c.responses[::-1]) for c in cases]
    forward = model(pack(cases)).split([len(c.responses) for c in cases])
    backward = model(pack(turned)).split([len(c.responses) for c in cases])
    for a, b in zip(forward, backward):
        torch.testing.assert_close(a, b.flip(0), rtol=0, atol=REWARD_TOLERANCE)
