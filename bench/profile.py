"""Where the time of a step goes: the operations that took most of it."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from bench.measure import Side

SHOWN = 12


def shares(side: Side, device: torch.device) -> list[tuple[str, float]]:
    """(operation, share of the time that it took itself) of the first step, largest first; on a GPU its kernels' time counts."""
    step = side.steps[0]
    step()
    on_gpu = device.type == "cuda"
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    with profile(activities=kinds) as found:
        step()
    times = [(e.key, e.self_device_time_total if on_gpu else e.self_cpu_time_total) for e in found.key_averages()]
    total = sum(time for _, time in times)
    return sorted(((name, time / total) for name, time in times), key=lambda pair: -pair[1])[:SHOWN]


def lines(side: Side, device: torch.device) -> str:
    """As an indented list."""
    return "\n".join(f"    {share:6.1%}  {name}" for name, share in shares(side, device))
