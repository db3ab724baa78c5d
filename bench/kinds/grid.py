"""The second run of a grid on the features that the first one kept: frozen vision tower, one epoch each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from basereward.flops import Sizes, Work, flops, training_passes, work
from basereward.keeping import keep_vision
from bench import pipeline
from bench.measure import Side, run_once
from bench.setting import Setting
from bench.table import Row, compared

TRAINED = ("language_model", "merger", "head")


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """Seconds of the first to those of the second, and how often the second called the tower."""
    models, encoder = setting.models(), pipeline.make_encoder(setting)
    with tempfile.TemporaryDirectory() as folder, pipeline.trained(models.ours, *TRAINED):
        rows = pipeline.write_rows(Path(folder), case["comparisons"] * case["batches"], setting.pixels(case))
        runs = {"first": Side([]), "second": Side([])}
        calls = {}
        for k in range(setting.rounds):
            for run, side in runs.items():
                keeping = keep_vision(models.ours, encoder, root=Path(folder) / str(k))
                loader = pipeline.loader_of(rows, keeping, case["comparisons"], setting.limit(case))
                with pipeline.counted(models.ours.model.visual) as calls[run]:
                    run_once(side, partial(pipeline.epoch, models.ours, loader), models, setting.clock)
        note = f"({len(calls['first'])} : {len(calls['second'])} calls of the tower)"
        limit = of_the_tower(setting.sizes(), work_of(rows, encoder, setting.sizes()))
        yield compared(name, "the first run", runs["second"], runs["first"], floor=limit, claim=case["claim"], note=note)
        yield Row(name, "calls of the tower", len(calls["second"]), 0, at_most=True, unit="")


def of_the_tower(sizes: Sizes, amount: Work) -> float:
    """The work of an epoch to the same without the tower, whose merger stays."""
    passes = training_passes(["language_model", "merger"])
    return flops(sizes, amount, passes) / flops(replace(sizes, vision=0, tower=None), amount, passes)


def work_of(rows, encoder, sizes: Sizes) -> Work:
    """Of all comparisons."""
    items = encoder.encode_all(rows)
    return sum((work(item.lengths.prefix, item.lengths.responses, item.grids, tower=sizes.tower) for item in items), Work())
