"""Optimizers: equal to torch's where they should be, and small updates of bfloat16 weights that arrive."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from basereward.config import build, locate
from basereward.errors import ConfigError, MissingDependency
from basereward.optimizers import rounding
from basereward.optimizers.adamw import AdamW
from basereward.optimizers.adamw_kahan import AdamWKahan
from basereward.optimizers.adamw_stochastic import AdamWStochastic
from basereward.optimizers.rounding import round_stochastically

CONF = sorted((Path(__file__).resolve().parents[2] / "conf" / "optim").glob("*.yaml"))
BF16 = [AdamWStochastic, AdamWKahan]
RATE, STEPS = 3e-6, 100


def regression(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of a linear map that a weight of deviation 0.02 is to learn."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(512, 128, generator=generator)
    return inputs, inputs @ torch.randn(128, 128, generator=generator) * 0.05


def trajectory(make, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    """Trains a (128, 128) weight for 100 steps at 3e-6 on noisy batches of 64; weight at the start and the end, loss before and
    after."""
    torch.manual_seed(1)
    weight = torch.nn.Parameter((torch.randn(128, 128) * 0.02).bfloat16().to(dtype))
    inputs, targets = regression()
    optimizer = make([{"params": [weight]}])
    before, first = weight.detach().float().clone(), None
    for step in range(STEPS):
        rows = slice(step % 8 * 64, step % 8 * 64 + 64)
        optimizer.zero_grad()
        ((inputs[rows] @ weight.float().T - targets[rows]) ** 2).mean().backward()
        optimizer.step()

    def loss(w: torch.Tensor) -> float:
        return ((inputs @ w.T - targets) ** 2).mean().item()

    after = weight.detach().float().clone()
    first = loss(before)
    return before, after, first, loss(after)


def compared(make, dtype: torch.dtype) -> dict[str, float]:
    """Share of weights that changed; how much of the float32 movement was made, and the distance to it, both relative; how much of
    the fall of the loss."""
    before, exact, first, last = trajectory(lambda g: AdamW(g, lr=RATE), torch.float32)
    start, after, first_, last_ = trajectory(make, dtype)
    assert torch.equal(before, start)
    wanted, made = exact - before, after - before
    return {
        "changed": (made != 0).float().mean().item(),
        "moved": ((made * wanted).sum() / (wanted * wanted).sum()).item(),
        "distance": ((made - wanted).norm() / wanted.norm()).item(),
        "learned": (first_ - last_) / (first - last),
    }


def plain(groups):
    return torch.optim.AdamW(groups, lr=RATE, weight_decay=0.0)


def test_plain_bf16_hardly_moves():
    """What optim.precision refuses. Measured: 3.9% of the weights changed, 3.3% of the loss's fall was made; docs/experiments.md."""
    found = compared(plain, torch.bfloat16)
    assert found["changed"] < 0.06 and found["moved"] < 0.05 and found["learned"] < 0.05


@pytest.mark.parametrize("moments", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", BF16)
def test_bf16_weights_move_as_float32_weights_do(optimizer, moments):
    """All of the float32 movement is made: 0.99 to 1.00 of it (measured). Stochastic rounding adds noise, whose size is its distance
    of 0.70; Kahan summation rounds once, at the end: 0.19.
    """
    found = compared(lambda groups: optimizer(groups, lr=RATE, moments=moments), torch.bfloat16)
    assert found["changed"] > 0.5
    assert found["moved"] == pytest.approx(1, abs=0.05) and found["learned"] == pytest.approx(1, abs=0.05)
    assert found["distance"] < (0.25 if optimizer is AdamWKahan else 0.9)


def test_kahan_keeps_what_rounding_took():
    """Weight + remainder is the float32 trajectory to 16 bits: 5e-3 of the movement away (measured), the weight alone 0.19."""
    kept = {}

    def make(groups):
        kept["optimizer"] = AdamWKahan(groups, lr=RATE)
        return kept["optimizer"]

    before, exact, *_ = trajectory(lambda g: AdamW(g, lr=RATE), torch.float32)
    _, after, *_ = trajectory(make, torch.bfloat16)
    (state,) = kept["optimizer"].state.values()
    whole = after + state["remainder"].float()
    assert (whole - exact).norm() / (exact - before).norm() < 1e-2
    assert (after - exact).norm() / (exact - before).norm() > 0.05


@pytest.mark.parametrize("optimizer", BF16)
def test_float32_weights_are_updated_as_torch_does(optimizer):
    torch.manual_seed(0)
    start = torch.randn(33, 7)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    a = optimizer([{"params": [ours], "weight_decay": 0.1}], lr=1e-2, betas=(0.8, 0.95))
    b = torch.optim.AdamW([theirs], lr=1e-2, betas=(0.8, 0.95), weight_decay=0.1)
    for step in range(20):
        gradient = torch.randn(33, 7, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_stochastic_rounding_is_right_on_average():
    """1 + 1/512 lies a quarter of the way from 1 to the next bfloat16, 1 + 1/128: up with probability 1/4. n = 100,000: a deviation
    of 0.0014 around 0.25."""
    values = torch.full((100_000,), 1 + 1 / 512)
    rounded = round_stochastically(values, torch.Generator().manual_seed(0)).float()
    assert set(rounded.tolist()) == {1.0, 1 + 1 / 128}
    assert (rounded > 1).float().mean().item() == pytest.approx(0.25, abs=0.006)
    exact = torch.tensor([0.0, 1.0, -2.5, float("inf"), -float("inf")])
    assert torch.equal(round_stochastically(exact, torch.Generator()).float(), exact)
    negative = round_stochastically(-values, torch.Generator().manual_seed(0)).float()
    assert negative.mean().item() == pytest.approx(-(1 + 1 / 512), abs=5e-5)


def step_all(optimizer, parameters, seeds) -> None:
    for seed in seeds:
        for i, parameter in enumerate(parameters):
            generator = torch.Generator().manual_seed(100 * seed + i)
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        optimizer.step()


def mixed() -> list[torch.nn.Parameter]:
    torch.manual_seed(3)
    return [torch.nn.Parameter(torch.randn(40, 30).bfloat16()), torch.nn.Parameter(torch.randn(50))]


@pytest.mark.parametrize("moments", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", BF16)
def test_a_restored_optimizer_goes_on_bit_for_bit(optimizer, moments, tmp_path):
    """Through a file, as a checkpoint; torch's own load_state_dict would round float32 moments to bfloat16."""
    whole, parts = mixed(), mixed()
    one = optimizer(whole, lr=1e-3, moments=moments)
    step_all(one, whole, range(6))
    first = optimizer(parts, lr=1e-3, moments=moments)
    step_all(first, parts, range(3))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    torch.manual_seed(99)
    second = optimizer(parts, lr=1e-3, moments=moments)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    dtypes = [v.dtype for state in second.state.values() for v in state.values()]
    assert dtypes == [v.dtype for state in first.state.values() for v in state.values()]
    step_all(second, parts, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, parts))


@pytest.mark.parametrize("optimizer", BF16)
def test_chunks_are_one_computation(optimizer, monkeypatch):
    """Kahan summation draws nothing; stochastic rounding draws in the same order, except that a chunk's draws stand together."""
    whole, cut = mixed(), mixed()
    step_all(optimizer(whole, lr=1e-3), whole, range(3))
    monkeypatch.setattr(rounding, "CHUNK", 128)
    step_all(optimizer(cut, lr=1e-3), cut, range(3))
    largest = max((a - b).abs().max().item() for a, b in zip(whole, cut))
    assert largest == 0 if optimizer is AdamWKahan else largest < 2**-6


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.stem)
def test_declared_bytes_are_the_bytes_kept(path):
    """Every optimizer of conf/optim; the state of 4,096 weights of the dtype it is for, apart from single numbers."""
    node = yaml.safe_load(path.read_text(encoding="utf-8"))["algorithm"]
    target = locate(node["_target_"])
    for moments in ("float32", "bfloat16") if "moments" in node else (None,):
        options = {} if moments is None else {"moments": moments}
        parameter = torch.nn.Parameter(torch.ones(4096).to(target.weight_dtype))
        try:
            optimizer = build(node | options, params=[{"params": [parameter]}], lr=1e-3, betas=(0.9, 0.999))
        except MissingDependency as error:
            pytest.skip(str(error))
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        kept = sum(v.numel() * v.element_size() for v in optimizer.state[parameter].values() if v.numel() > 1)
        assert kept == 4096 * sum(target.state_bytes(target.weight_dtype, **options).values())


def test_an_unknown_dtype_of_moments_is_refused():
    with pytest.raises(ConfigError, match=r"optim\.algorithm\.moments.*float16"):
        AdamWKahan([torch.nn.Parameter(torch.ones(2))], lr=1e-3, moments="float16")


@pytest.mark.parametrize("optimizer", BF16)
def test_bf16_moments_do_not_stand_still(optimizer):
    """Gradients of 1: after 2,000 steps the second moment is 1 - 0.999^2000 = 0.865 on average. Rounded to the nearest it stops below
    0.5, where a step of 0.0005 is less than half of bfloat16's 2^-9."""
    parameter = torch.nn.Parameter(torch.ones(256).bfloat16())
    made = optimizer([parameter], lr=1e-6, moments="bfloat16")
    parameter.grad = torch.ones_like(parameter)
    for _ in range(2000):
        made.step()
    assert made.state[parameter]["exp_avg_sq"].float().mean().item() == pytest.approx(0.865, abs=0.02)
