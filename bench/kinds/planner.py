"""Plans of batches for 1 to 8 ranks: how far the dearest rank's cost lies above the mean, and how full packs are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from basereward.flops import Sizes, flops, work
from basereward.planner import plan
from bench.inputs import text_lengths
from bench.measure import TRAINING
from bench.models import SETTINGS
from bench.setting import Setting
from bench.table import Row


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """A row of costs, the worst number of ranks, and a row of fill for the fewest and the most ranks."""
    batches = list(drawn(setting, case))
    shares, fills = {}, {}
    for ranks in case["ranks"]:
        plans = [plan(lengths, costs, case["token_budget"], num_ranks=ranks) for lengths, costs in batches]
        shares[ranks] = float(np.mean([unevenness(found, costs) for found, (_, costs) in zip(plans, batches)]))
        fills[ranks] = [fill(found, lengths, case["token_budget"]) for found, (lengths, _) in zip(plans, batches)]
    worst = max(shares, key=shares.__getitem__)
    note = f"({worst} of {min(shares)} to {max(shares)} ranks, mean of {len(batches)} batches of {case['comparisons']})"
    yield Row(name, "max / mean cost", shares[worst], case["most_uneven"], at_most=True, unit="", note=note)
    for ranks in (min(fills), max(fills)):
        best = np.mean([most_full(lengths, case["token_budget"], ranks) for lengths, _ in batches])
        target = case["least_full"] if ranks == 1 else None
        yield Row(name, f"fill, {ranks} rank(s)", float(np.mean(fills[ranks])), target, floor=float(best), unit="")


def drawn(setting: Setting, case: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(tokens, operations) of each comparison of a batch."""
    sizes: Sizes = setting.sizes()
    lengths, grids = text_lengths(), setting.spec["grids"][case["image_tokens"]]
    for seed in range(case["batches"]):
        rng = np.random.default_rng(seed)
        amounts = []
        for i in rng.permutation(len(lengths))[: case["comparisons"]]:
            grid = (1, *grids[rng.integers(len(grids))])
            prefix = setting.spec["prompt"]["template_tokens"] + SETTINGS.num_tokens(grid) + 2 + int(lengths[i, 0])
            amounts.append(work(prefix, (lengths[i, 1:] + 1).tolist(), [grid], tower=sizes.tower))
        yield np.array([a.tokens for a in amounts]), np.array([flops(sizes, a, TRAINING) for a in amounts])


def unevenness(ranks: list[list[list[int]]], costs: np.ndarray) -> float:
    """The dearest rank's cost over the mean."""
    spent = [sum(float(costs[pack].sum()) for pack in packs) for packs in ranks]
    return max(spent) / (sum(spent) / len(spent))


def fill(ranks: list[list[list[int]]], lengths: np.ndarray, budget: int) -> float:
    """Tokens to what the packs could hold."""
    return float(lengths.sum() / (budget * sum(len(packs) for packs in ranks)))


def most_full(lengths: np.ndarray, budget: int, ranks: int) -> float:
    """The fill of the fewest packs that the tokens allow, the same number on every rank."""
    packs = -(-int(lengths.sum()) // budget)
    return float(lengths.sum() / (budget * -(-packs // ranks) * ranks))
