"""Forward and backward of a case's comparisons: packed, against stock transformers with one row for each response."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from basereward.encode import Encoded
from basereward.flops import Sizes
from bench import rows
from bench.inputs import draw, explode
from bench.measure import TRAINING, Side, floor, packed_side, run_rounds, stock_side
from bench.models import Models
from bench.setting import Setting
from bench.table import Row, compared

CLAIMED = ("S", "U")


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """One row for each opponent."""
    models, sizes = setting.models(), setting.sizes()
    items = draw(case, setting.spec, models.stock.config)
    sides = {"ours": packed_side(models, packs(items, case, setting), sizes)}
    for opponent in case["against"]:
        sides[opponent] = OPPONENTS[opponent](models, items, case, setting, sizes)
    run_rounds(sides, models, setting.rounds, setting.clock)
    for opponent, targets in case["against"].items():
        yield compared(
            name, opponent, sides["ours"], sides[opponent], target=setting.target(targets),
            floor=floor(sides["ours"], sides[opponent], sizes, TRAINING),
            claim=setting.spec["claim"] if opponent in CLAIMED else None,
        )  # fmt: skip


def packs(items: Sequence[Encoded], case: dict, setting: Setting) -> list[list[Encoded]]:
    """Each batch as one pack, or as several where it would not fit."""
    return forwards(items, case["comparisons"], lambda group: sum(item.lengths.packed for item in group), setting.limit(case))


def forwards(items: Sequence[Encoded], batch: int, tokens: Callable[[Sequence[Encoded]], int], limit: int) -> list[list[Encoded]]:
    """Batches of so many comparisons, each in as many forwards as its tokens ask for."""
    return [group for k in range(0, len(items), batch) for group in rows.dealt(items[k : k + batch], tokens, limit)]


def random_order(models: Models, items: list[Encoded], case: dict, setting: Setting, sizes: Sizes) -> Side:
    """R: the batches as they were drawn."""
    return stock_side(models, forwards(items, case["comparisons"], rows.padded_tokens, setting.limit(case)), sizes)


def sorted_by_length(models: Models, items: list[Encoded], case: dict, setting: Setting, sizes: Sizes) -> Side:
    """S: the comparisons of all batches in order of length, then dealt into batches."""
    order = rows.by_length(items)
    groups = forwards([items[i] for i in order], case["comparisons"], rows.padded_tokens, setting.limit(case))
    first = np.cumsum([0] + [item.num_responses for item in items])
    origin = np.concatenate([np.arange(first[i], first[i + 1]) for i in order])
    return stock_side(models, groups, sizes, origin=origin)


def unpadded(models: Models, items: list[Encoded], case: dict, setting: Setting, sizes: Sizes) -> Side:
    """U: the batches as they were drawn, without padding."""
    return stock_side(
        models, forwards(items, case["comparisons"], rows.unpadded_tokens, setting.limit(case)), sizes, make=rows.join
    )


def exploded(models: Models, items: list[Encoded], case: dict, setting: Setting, sizes: Sizes) -> Side:
    """R for a toolkit that knows only pairs: a ranking of 4 becomes 6 of them, in random order."""
    pairs, origin = explode(items, np.random.default_rng(0))
    return stock_side(models, forwards(pairs, case["comparisons"], rows.padded_tokens, setting.limit(case)), sizes, origin=origin)


OPPONENTS = {"R": random_order, "S": sorted_by_length, "U": unpadded, "exploded": exploded}
