"""Activation memory of a training step: what is kept for the backward pass, packed against padded rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.inputs import draw
from bench.kinds.training import OPPONENTS, packs
from bench.measure import Side, packed_side, ready, synchronize
from bench.models import Models
from bench.setting import Setting
from bench.table import Row

MIB = 2**20


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """One row for each opponent: our bytes as a share of theirs."""
    models, sizes = setting.models(), setting.sizes()
    items = draw(case, setting.spec, models.stock.config)
    ours = activations(packed_side(models, packs(items, case, setting), sizes), models)
    for opponent, targets in case["against"].items():
        theirs = activations(OPPONENTS[opponent](models, items, case, setting, sizes), models)
        note = f"({ours / MIB:,.0f} : {theirs / MIB:,.0f} MiB)"
        yield Row(name, opponent, ours / theirs, setting.target(targets), at_most=True, note=note)


def activations(side: Side, models: Models) -> int:
    """The most bytes of any step of a side, beyond weights and gradients."""
    ready(side, models)
    count = allocated if models.ours.device.type == "cuda" else saved
    return max(count(step, models) for step in side.steps)


def saved(step, models: Models) -> int:
    """Bytes of the tensors that a forward keeps for its backward, each storage once, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in models.ours.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(storages.values())


def allocated(step, models: Models) -> int:
    """Bytes of the device at the peak of a step beyond what lies there when it begins; the gradients lie there already."""
    device = models.ours.device
    step()
    synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
