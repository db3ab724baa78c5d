"""How many tokens a pack may have: measured at the start, by what a forward and backward take and what is free."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from basereward import ranks
from basereward.batches import EncodedDataset
from basereward.devices import free_memory, synchronize
from basereward.fitting import StepRunner
from basereward.settings import BatchSettings

AUTO = "auto"
# Of the free memory: what stays unused, for fragments, other rows than the measured ones, and neighbours on the machine.
USED = 0.8
# Longer packs keep no device busier; they would only be the first to fail.
MOST = 65536
# Where the system does not tell what is free.
DEFAULT = 16384

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """Bytes that a step takes at its peak, beside what lay in memory before: some, and more for each token of its pack."""

    fixed: float
    per_token: float


def first_budget(batch: BatchSettings) -> int:
    """The budget to build a trainer with, before anything was measured."""
    return DEFAULT if batch.token_budget == AUTO else int(batch.token_budget)


def fitting_budget(run_step: StepRunner, later: int) -> int:
    """Tokens of the largest pack that fits into free memory, the same on all ranks.

    Args:
        run_step: what a step will do; no weight is changed. later: bytes that the optimizer will take.
    """
    device = run_step.model.device
    need, free = measured_need(run_step), free_memory(device)
    own = DEFAULT if free is None else tokens_within(free - later, need)
    budget = min(ranks.gather(own))
    logger.info(
        "batch.token_budget=auto: %d tokens (%.3g KiB for each and %.3g GiB in any case, measured; %s free, %.3g GiB kept for the "
        "optimizer)", budget, need.per_token / 2**10, need.fixed / 2**30,
        "unknown" if free is None else f"{free / 2**30:.3g} GiB", later / 2**30,
    )  # fmt: skip
    return budget


def tokens_within(num_bytes: float, need: Need) -> int:
    """The tokens for which so many bytes are enough, from 1 to ``MOST``.

    >>> tokens_within(10_000, Need(fixed=1000, per_token=7))
    1000
    """
    return int(min(max((USED * num_bytes - need.fixed) / need.per_token, 1), MOST))


def measured_need(run_step: StepRunner) -> Need:
    """Of a step on the comparisons that take most: once as it is, and once with each of them twice in the pack."""
    needs = [_need(run_step, index) for index in dearest(run_step.dataset)]
    return Need(max(need.fixed for need in needs), max(need.per_token for need in needs))


def dearest(dataset: EncodedDataset) -> list[int]:
    """The longest comparison, and the one with the largest share of image tokens, which stand for more rows than one each."""
    lengths = dataset.lengths
    return sorted({int(np.argmax(lengths.packed)), int(np.argmax(lengths.image_tokens / lengths.packed))})


def _need(run_step: StepRunner, index: int) -> Need:
    tokens, taken = [], []
    with unchanged(run_step.model):
        for times in (1, 1, 2):  # the first makes the gradients, and what libraries keep
            step = run_step.to_step(run_step.dataset.__getitems__([[index] * times]))
            with TakenMemory(run_step.model.device) as memory:
                done = run_step.compute(step, step.total_weight)
            if done is None:  # two of them are too much already
                return Need(0, taken[1] / max(tokens[1], 1))
            tokens.append(step.packs[0].num_tokens)
            taken.append(memory.peak)
        gradients = sum(p.grad.nbytes for p in run_step.model.parameters() if p.grad is not None)
    per_token = max(taken[2] - taken[1], 1) / max(tokens[2] - tokens[1], 1)  # no tokens where states are kept
    return Need(max(taken[1] - per_token * tokens[1], 0) + gradients, per_token)


@contextmanager
def unchanged(model: torch.nn.Module) -> Iterator[None]:
    """Training mode for a while; afterwards no gradients, and the mode and the random numbers as before."""
    was_training = model.training
    model.train()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)


class TakenMemory:
    """Peak bytes of tensors that are made while it lasts, beside those that were there before."""

    def __init__(self, device: torch.device):
        self.device, self.peak, self.tensors = device, 0, LiveTensors()

    def __enter__(self) -> TakenMemory:
        if self.device.type == "cuda":
            synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        else:
            self.tensors.__enter__()
        return self

    def __exit__(self, *error) -> None:
        if self.device.type == "cuda":
            synchronize(self.device)
            self.peak = torch.cuda.max_memory_allocated(self.device) - self.before
        else:
            self.tensors.__exit__(*error)
            self.peak = self.tensors.peak


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of storages that operations make, until they are freed; for devices that do not count themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Runs the operation and notes what it made."""
        kwargs = kwargs or {}
        for tensor in _tensors((args, kwargs)):  # what was there before is not counted
            self._note(tensor.untyped_storage(), size=0)
        out = func(*args, **kwargs)
        for tensor in _tensors(out):
            self._note(tensor.untyped_storage(), size=tensor.untyped_storage().nbytes())
        return out

    def _note(self, storage: torch.UntypedStorage, *, size: int) -> None:
        key = storage._cdata
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _tensors(tree) -> list[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
