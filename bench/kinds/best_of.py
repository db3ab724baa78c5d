"""Scoring N responses to one prompt: one packed forward, against one batched forward of N rows and against N single calls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from basereward.encode import Encoded
from basereward.model import RewardModel
from basereward.packing import Pack
from bench import rows
from bench.inputs import comparison, single
from bench.measure import floor, packed_side, run_rounds, stock_side
from bench.setting import Setting
from bench.table import Row, compared


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """A row against the batched forward, and one against single calls."""
    models, sizes = setting.models(sees=case["image"]), setting.sizes(sees=case["image"])
    item = prompt(case, setting.spec, models.stock.config)
    sides = {
        "ours": packed_side(models, [[item]], sizes, step=score),
        "one forward of all rows": stock_side(models, [[item]], sizes, step=score_rows),
        "single calls": stock_side(models, [[one] for one in single(item)], sizes, step=score_rows),
    }
    run_rounds(sides, models, setting.rounds, setting.clock)
    tokens = rows.padded_tokens([item]) / item.lengths.packed
    for opponent, targets in case["against"].items():
        yield compared(
            name, opponent, sides["ours"], sides[opponent], target=setting.target(targets),
            floor=floor(sides["ours"], sides[opponent], sizes), note=f"(token floor {tokens:.2f})",
        )  # fmt: skip


def prompt(case: dict, spec: dict, config) -> Encoded:
    """N responses of one length to a prefix of a given length, its picture included."""
    rng, grid, text = np.random.default_rng(0), None, case["prefix_tokens"]
    if case["image"]:
        grid = (1, *spec["grids"][case["image_tokens"]][0])
        text -= grid[1] * grid[2] // 4 + 2  # the picture's tokens, and the two around them
    return comparison(text, [case["response_tokens"]] * case["responses"], rng, config, grid=grid, name="best of")


@torch.inference_mode()
def score(model: RewardModel, pack: Pack) -> torch.Tensor:
    return model(pack)


@torch.inference_mode()
def score_rows(models, batch: rows.Rows) -> torch.Tensor:
    return rows.rewards(models, batch)
