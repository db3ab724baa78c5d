"""How long training waits for data: large JPEGs at full resolution, read by workers; the second epoch counts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from bench import pipeline
from bench.measure import synchronize
from bench.setting import Setting
from bench.table import Row


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """One row; by the clock, whatever the other cases are measured by."""
    models, encoder = setting.models(), pipeline.make_encoder(setting)
    side = case["pixels"]
    with tempfile.TemporaryDirectory() as folder:
        rows = pipeline.write_rows(Path(folder), case["comparisons"] * case["batches"], [(side, side)])
        pin = setting.device.type == "cuda"
        loader = pipeline.loader_of(rows, encoder, case["comparisons"], setting.limit(case), workers=case["workers"], pin=pin)
        optimizer = torch.optim.AdamW(models.ours.parameters(), lr=1e-6, fused=pin)

        def learn() -> None:
            optimizer.step()
            optimizer.zero_grad()
            synchronize(setting.device)

        clocks = []
        for _ in range(2):
            clock = Waiting(loader)
            pipeline.epoch(models.ours, clock, learn)
            clocks.append(clock)
    waited, seconds = clocks[-1].waited, clocks[-1].seconds
    earlier = clocks[0].waited / clocks[0].seconds
    note = f"({waited:.2f} of {seconds:.1f} s, {len(rows)} pictures of {side} x {side}; {earlier:.3f} in the first epoch)"
    target = setting.target(case["target"])
    yield Row(name, "the whole epoch", waited / seconds, target, at_most=True, unit="", note=note, seconds=(waited, seconds))


class Waiting:
    """Steps of a loader, and how long it took to get them.

    Attributes:
        waited: seconds until each step was there. seconds: of the whole epoch.
    """

    def __init__(self, loader) -> None:
        self.loader, self.waited, self.seconds = loader, 0.0, 0.0

    def __iter__(self) -> Iterator:
        start = time.perf_counter()
        steps = iter(self.loader)
        while True:
            asked = time.perf_counter()
            step = next(steps, None)
            self.waited += time.perf_counter() - asked
            self.seconds = time.perf_counter() - start
            if step is None:
                return
            yield step
