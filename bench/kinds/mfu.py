"""Full fine-tuning: 6 operations for each weight and unique token, to what matrix products would do in the same time (MFU).

Recomputation is not counted, nor is attention. A step is a batch with its optimizer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from basereward.config import build
from basereward.devices import measured_peak
from basereward.flops import Work, flops
from bench.inputs import draw
from bench.kinds.training import packs
from bench.measure import TRAINING, Side, Step, packed_side, run_rounds
from bench.setting import Setting
from bench.table import Row


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """One row."""
    models, sizes = setting.models(), setting.sizes()
    items = draw(case, setting.spec, models.stock.config)
    forwards = packs(items, case, setting)
    side = packed_side(models, forwards, sizes)
    groups = [{"params": list(models.ours.parameters()), "weight_decay": 0.0}]
    optimizer = build(case["optimizer"], key="optimizer", params=groups, lr=1e-6)
    whole = Side([functools.partial(batch_step, side.steps, optimizer)], side.work)
    run_rounds({"ours": whole}, models, setting.rounds, setting.clock)
    counted = flops(sizes, without_attention(side.work), TRAINING)
    peak = measured_peak(setting.device, setting.dtype)
    note = f"of {peak / 1e12:.3g} TFLOP/s ({side.work.tokens / whole.median:,.0f} tokens/s, {len(forwards)} packs)"
    yield Row(
        name, "a matrix product", counted / whole.median / peak, setting.target(case["target"]), unit="", note=note,
        seconds=(whole.median, None), ours=side,
    )  # fmt: skip


def batch_step(steps: Sequence[Step], optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Every pack of a batch, then the weights."""
    rewards = [step() for step in steps]
    optimizer.step()
    optimizer.zero_grad()
    return torch.cat(rewards)


def without_attention(amount: Work) -> Work:
    """The same work, its products with weights alone."""
    return replace(amount, pairs=0, seen=replace(amount.seen, pairs=0, window_pairs=0))
