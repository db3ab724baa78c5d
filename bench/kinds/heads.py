"""A head ablation: heads trained on the pooled states that a frozen backbone gave once, against a frozen-backbone run for each.

Every epoch of a frozen-backbone run costs the same, so one is measured and counted for each head and epoch. Ours is measured whole:
the states are computed in the first epoch of the first head. What a run does before its first step is left out on both sides, with it
the hash of the frozen weights, whose seconds stand in the note.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from basereward.keeping import keep_states
from basereward.model import build_module
from bench import pipeline
from bench.measure import Side, run_once
from bench.setting import Setting
from bench.table import Row, compared


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """One row; the limit is heads x epochs."""
    models, encoder = setting.models(), pipeline.make_encoder(setting)
    ours, frozen, first = Side([]), Side([]), models.ours.score
    nodes, epochs = case["heads"], case["epochs"]
    with tempfile.TemporaryDirectory() as folder, pipeline.trained(models.ours, "head"):
        rows = pipeline.write_rows(Path(folder), case["comparisons"] * case["batches"], setting.pixels(case))
        for k in range(setting.rounds):
            loader = pipeline.loader_of(rows, encoder, case["comparisons"], setting.limit(case))
            run_once(frozen, partial(train, models.ours, nodes[:1], loader, 1), models, setting.clock)
            start = setting.clock()
            keeping = keep_states(models.ours, encoder, root=Path(folder) / str(k))
            opening = setting.clock() - start
            loader = pipeline.loader_of(rows, keeping, case["comparisons"], setting.limit(case))
            run_once(ours, partial(train, models.ours, nodes, loader, epochs), models, setting.clock)
        models.ours.score = first
        runs = len(nodes) * epochs
        frozen.seconds = [runs * seconds for seconds in frozen.seconds]
        ours.rewards = ours.rewards[: len(frozen.rewards)]
        note = f"({len(nodes)} heads x {epochs} epochs; {frozen.median / runs:.3g} s an epoch with the backbone; "
        note += f"naming its weights {opening:.2f} s)"
        yield compared(name, "frozen-backbone runs", ours, frozen, floor=runs, claim=case["claim"], note=note)


def train(model, nodes: list[dict], loader, epochs: int) -> torch.Tensor:
    """Each head for some epochs; the rewards of all epochs, those of the first head's first epoch in front."""
    rewards = []
    for node in nodes:
        torch.manual_seed(0)
        model.score = build_module(node, model.config, key="head").to(model.device)
        optimizer = torch.optim.AdamW(model.score.parameters(), lr=1e-3)

        def step(optimizer=optimizer) -> None:
            optimizer.step()
            optimizer.zero_grad()

        rewards += [pipeline.epoch(model, loader, step) for _ in range(epochs)]
    return torch.cat(rewards)
