"""Ways to compute the same rewards, run in turn: their seconds, what they have to compute, and how far their rewards lie apart."""

from __future__ import annotations

import contextlib
import functools
import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from basereward.encode import Encoded
from basereward.flops import FORWARD, Passes, Sizes, Work, flops, training_passes, work
from basereward.losses.bradley_terry import BradleyTerry
from basereward.model import RewardModel
from basereward.packing import Pack, collate
from bench import rows, segments
from bench.models import SETTINGS, Models

Step = Callable[[], torch.Tensor]
TRAINING = training_passes(["vision", "merger", "language_model"])


@dataclass
class Side:
    """One way to compute the rewards of a case.

    Attributes:
        steps: forwards, with their backwards in training; each returns its rewards.
        work: what the steps have to compute. origin: which of the R rewards each of them is; all in order when ``None``.
        attention: of the stock model, where it is used. seconds: of all steps together, in each round.
        rewards: of the last round.
    """

    steps: list[Step]
    work: Work = Work()
    origin: np.ndarray | None = None
    attention: str | None = None
    seconds: list[float] = field(default_factory=list)
    rewards: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def median(self) -> float:
        """Seconds of a round."""
        return statistics.median(self.seconds)


def packed_step(model: RewardModel, pack: Pack) -> torch.Tensor:
    """Forward and backward of a pack; (R,) rewards."""
    reward_R = model(pack)
    BradleyTerry()(reward_R, pack.labels).sum().backward()
    return reward_R.detach()


def packed_side(models: Models, forwards: Sequence[Sequence[Encoded]], sizes: Sizes, step=packed_step) -> Side:
    """Ours: one pack for each forward, ready on the device."""
    device = models.ours.device
    steps = [functools.partial(step, models.ours, collate(items, SETTINGS).to(device)) for items in forwards]
    amount = sum((work(i.lengths.prefix, i.lengths.responses, i.grids, tower=sizes.tower) for f in forwards for i in f), Work())
    return Side(steps, amount)


def stock_side(
    models: Models, forwards: Sequence[Sequence[Encoded]], sizes: Sizes, *, make=rows.pad, step=rows.step, origin=None
) -> Side:
    """An opponent: the rows of each forward, made by ``rows.pad`` or ``rows.join``, ready on the device."""
    batches = [make(items, models, models.ours.device) for items in forwards]
    grids = [item.grids for items in forwards for item in items for _ in item.response_ids]
    lengths = [length for batch in batches for length in batch.computed]
    amount = sum((work(n, (), g, tower=sizes.tower) for n, g in zip(lengths, grids, strict=True)), Work())
    attention = segments.SEGMENTS if make is rows.join else "sdpa"
    return Side([functools.partial(step, models, batch) for batch in batches], amount, origin, attention)


def run_rounds(sides: dict[str, Side], models: Models, rounds: int, clock: Callable[[], float]) -> None:
    """Every side in turn, ``rounds`` times; on a GPU, which chooses and loads kernels, after one step of each to warm up."""
    for side in sides.values() if models.ours.device.type == "cuda" else ():
        ready(side, models)
        side.steps[0]()
    for _ in range(rounds):
        for side in sides.values():
            ready(side, models)
            seconds, found = timed(side.steps, models, clock)
            side.seconds.append(seconds)
            side.rewards = torch.cat(found).float().cpu()


def run_once(side: Side, step: Step, models: Models, clock: Callable[[], float]) -> None:
    """A round of a side that is one step, another one in each round."""
    side.steps = [step]
    models.ours.zero_grad(set_to_none=True)
    seconds, (rewards,) = timed([step], models, clock)
    side.seconds.append(seconds)
    side.rewards = rewards.float().cpu()


def ready(side: Side, models: Models) -> None:
    """The stock model attends as this side wants it, and no gradient is left of another."""
    if side.attention:
        segments.switch(models.stock, side.attention)
    models.ours.zero_grad(set_to_none=True)


def timed(steps: Sequence[Step], models: Models, clock: Callable[[], float]) -> tuple[float, list[torch.Tensor]]:
    """Seconds until all work of the device is done, and what each step returned."""
    with settled():
        synchronize(models.ours.device)
        start = clock()
        found = [step() for step in steps]
        synchronize(models.ours.device)
        return clock() - start, found


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """No garbage of the side before is collected while the clock runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def difference(ours: Side, other: Side) -> float:
    """The largest between the rewards of two sides."""
    mine = ours.rewards if other.origin is None else ours.rewards[torch.from_numpy(other.origin)]
    return (mine - other.rewards).abs().max().item()


def floor(ours: Side, other: Side, sizes: Sizes, passes: Passes = FORWARD) -> float:
    """The ratio of the work."""
    return flops(sizes, other.work, passes) / flops(sizes, ours.work, passes)
