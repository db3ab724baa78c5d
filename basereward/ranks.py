"""Several processes that train as one: who does what alone, and what they add up. One process alone needs none of it.

``torchrun --nproc-per-node 2 -m basereward.cli train ...`` (or ``accelerate launch``) starts one process for each device; gloo carries
what lies on CPUs, nccl what lies on GPUs. When a process ends with an error the launcher ends the others, which may be waiting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

# How long the others wait for what rank 0 does alone: reading and preparing data, writing a checkpoint.
PATIENCE = timedelta(hours=8)
# Gradients are added up in portions of so many numbers: few calls, and a quarter of a GiB beside the gradients.
PORTION = 2**26


def start(device: str) -> None:
    """Joins the other processes, where a launcher started several; nothing otherwise, or when done before.

    Args:
        device: ``run.device``: ``cpu``, or ``auto`` and ``cuda`` for the GPU of this process's number on its machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)


def device(chosen: torch.device) -> torch.device:
    """The device of this process: of several on a machine with GPUs, each has its own."""
    return torch.device(chosen.type, torch.cuda.current_device()) if chosen.type == "cuda" and count() > 1 else chosen


def leave() -> None:
    """Ends what ``start`` began."""
    if dist.is_initialized():
        dist.destroy_process_group()


def number() -> int:
    """Of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes and tells."""
    return number() == 0


def on_this_machine() -> int:
    """How many of the processes share this machine's memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if count() > 1 else 1


def wait() -> None:
    """Until all processes are here."""
    add_up(torch.zeros(1))


@contextmanager
def main_first() -> Iterator[None]:
    """Rank 0 goes through the block alone, then the others: they find what it wrote."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


def add_up(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, in place."""
    if count() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather(value: Any) -> list[Any]:
    """Everyone's value, by rank."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


def add_up_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Gives every process the sum of all gradients.

    A weight without a gradient counts as zero where another process has one (a batch whose pictures all lie on one rank); one that
    has none anywhere keeps none, as in a single process, where the optimizer passes it over.
    """
    if count() == 1:
        return
    weights = [weight for weight in parameters if weight.requires_grad]
    present = add_up(torch.tensor([float(weight.grad is not None) for weight in weights])).tolist()
    used = [weight for weight, n in zip(weights, present) if n]
    for portion in _portions(used):
        # Sums of bfloat16 gradients are rounded once, not at each process.
        wide = torch.promote_types(portion[0].dtype, torch.float32)
        flat = add_up(torch.cat([_gradient(weight).flatten().to(wide) for weight in portion]))
        for weight, total in zip(portion, flat.split([weight.numel() for weight in portion])):
            weight.grad = _gradient(weight).copy_(total.view_as(weight))


def _gradient(weight: torch.nn.Parameter) -> torch.Tensor:
    return weight.grad if weight.grad is not None else torch.zeros_like(weight)


def _portions(weights: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    portion: list[torch.nn.Parameter] = []
    for weight in weights:
        too_many = sum(w.numel() for w in portion) + weight.numel() > PORTION
        if portion and (too_many or weight.dtype != portion[0].dtype or weight.device != portion[0].device):
            yield portion
            portion = []
        portion.append(weight)
    if portion:
        yield portion
