"""What a device can do and holds: its measured peak, the memory that is free, and the memory that was used."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import torch

from basereward import ranks

# Sides of the square matrices of the measured product: large enough to keep the device busy, a tenth of a second or so in all.
SIDES = {"cuda": 8192, "cpu": 1024}
ROUNDS = 4


@functools.cache
def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a matrix product, the best of some rounds; measured once in a process."""
    side = SIDES.get(device.type, SIDES["cpu"])
    a, b = (torch.full((side, side), 0.5, device=device, dtype=dtype) for _ in range(2))
    a @ b  # libraries are set up by the first one
    return 2 * side**3 / min(_seconds(a, b) for _ in range(ROUNDS))


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    synchronize(a.device)
    start = time.perf_counter()
    a @ b
    synchronize(a.device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that tensors took on a GPU, or this process on a CPU, so far; 0 where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process may still take on the device; ``None`` where the system does not tell."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    known = [free for free in (_available(), _left_in_group(Path("/sys/fs/cgroup"))) if free is not None]
    return min(known) // ranks.on_this_machine() if known else None


def _available(file: Path = Path("/proc/meminfo")) -> int | None:
    """Of the machine, caches that can be given up included."""
    try:
        line = next(line for line in file.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def _left_in_group(folder: Path) -> int | None:
    """Of a container's limit, where it has one; file caches count as used and can be given up."""
    try:
        limit, used = ((folder / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - int(used) + int(stat.get("inactive_file", 0))
