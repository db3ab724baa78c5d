"""How fast a run computes and what it waits for: numbers of the steps between two log lines, over all ranks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch

from basereward import ranks
from basereward.backbones.towers import Seen
from basereward.devices import measured_peak, peak_memory
from basereward.flops import FORWARD, Passes, Sizes, Work, causal_pairs, flops
from basereward.packing import Pack

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """What the work is measured against.

    Attributes:
        device: of this rank. dtype: of its products, whose peak is measured.
        sizes: of the backbone. passes: of a training step.
    """

    device: torch.device
    dtype: torch.dtype
    sizes: Sizes
    passes: Passes = FORWARD

    @property
    def peak(self) -> float:
        """Operations per second of a matrix product on the device."""
        return measured_peak(self.device, self.dtype)


@dataclass
class Speed:
    """Clock and counts of one rank since the last log line.

    Attributes:
        seconds: of steps, waiting for data included. waited: for data. work: what the packs asked for.
        computed: tokens of the rows. tokens: of the comparisons in them; rows that are filled up have more.
    """

    seconds: float = 0.0
    waited: float = 0.0
    work: Work = field(default_factory=Work)
    tokens: int = 0
    computed: int = 0
    comparisons: int = 0
    started: float = 0.0

    def start_step(self) -> None:
        """Before a step's data are fetched."""
        self.started = time.perf_counter()

    def got_data(self) -> None:
        """When they are here."""
        self.waited += time.perf_counter() - self.started

    def end_step(self) -> None:
        """After the optimizer."""
        self.seconds += time.perf_counter() - self.started

    def add(self, pack: Pack, sizes: Sizes) -> None:
        """Counts a pack."""
        self.work += work_of(pack, sizes)
        self.tokens += sum(piece.ends[-1] - piece.start for piece in pack.tree.pieces)
        self.computed += pack.num_tokens
        self.comparisons += len(pack.ids)


def work_of(pack: Pack, sizes: Sizes) -> Work:
    """What a pack asks for; its pictures only where they go through the vision tower."""
    work = Work()
    for piece in pack.tree.pieces:
        responses = [end - start for start, end in zip((piece.prefix_end, *piece.ends), piece.ends)]
        work += Work(piece.ends[-1] - piece.start, causal_pairs(piece.prefix, responses))
    if pack.patches is None or sizes.tower is None:
        return work
    return work + Work(seen=sum((sizes.tower.see(grid) for grid in pack.grids.tolist()), Seen()))


def speed_numbers(speed: Speed, machine: Machine) -> dict[str, float]:
    """What the log says about all ranks; every rank must call it.

    ``data_wait`` is a share of the time, of the rank that waited longest; ``useful_tokens`` a share of the computed ones; ``mfu`` the
    operations that the work needs, recomputation not counted, to what matrix products would reach in the same time;
    ``peak_memory_gib`` that of the rank with most, since the start.
    """
    counted = flops(machine.sizes, speed.work, machine.passes)
    row = (
        speed.seconds,
        speed.waited,
        speed.tokens,
        speed.computed,
        speed.comparisons,
        counted,
        machine.peak,
        peak_memory(machine.device),
    )
    seconds, waited, tokens, computed, comparisons, counted, peak, memory = zip(*ranks.gather(row))
    longest = max(seconds)
    # Where the states of all responses are kept, no token is computed, and none of them can be useful.
    useful = {"useful_tokens": sum(tokens) / sum(computed)} if sum(computed) else {}
    return useful | {
        "tokens_per_second": sum(tokens) / longest,
        "comparisons_per_second": sum(comparisons) / longest,
        "data_wait": max(waited) / longest,
        "mfu": sum(counted) / (longest * sum(peak)),
        "peak_memory_gib": max(memory) / GIB,
    }
