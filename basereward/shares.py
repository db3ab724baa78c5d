"""How much of each source an epoch takes, and in which order: `weight`, `count`, `epochs`, `cap`, `data.temperature`, `data.total`.

docs/data.md ("Mixtures") defines every key with a worked example. Nothing here reads a comparison: numbers in, numbers out.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from basereward.errors import ConfigError, DataError
from basereward.problems import counted
from basereward.text_tables import share, table

MOST_COMPARISONS = 1_000_000_000
"""Of an epoch; their numbers are held in memory, 8 bytes each."""
KEYS = ("weight", "count", "epochs", "cap")
COLUMNS = ("rows", "usable", "comparisons", "pairs", "tokens", "images")


@dataclass(frozen=True)
class Share:
    """How much of one source an epoch takes: at most one of `weight`, `count` and `epochs`; all of it once where none is given."""

    weight: float | None = None
    """Share beside the other weighted sources."""
    count: int | None = None
    """Comparisons, exactly."""
    epochs: float | None = None
    """Passes over the source."""
    cap: int | None = None
    """The source counts as if it had at most so many comparisons."""

    @property
    def is_open(self) -> bool:
        """Whether it leaves the amount to `data.temperature`, or to one pass."""
        return self.weight is None and self.count is None and self.epochs is None

    def size(self, usable: int) -> int:
        """The comparisons that count."""
        return usable if self.cap is None else min(usable, self.cap)


def read_share(node: Mapping[str, Any], key: str) -> Share:
    """The share in a source's config node.

    Raises:
        ConfigError: two keys that exclude each other, or a value that cannot be used; with the dotted key.
    """
    given = {name: node[name] for name in KEYS if node.get(name) is not None}
    ways = [name for name in given if name != "cap"]
    if len(ways) > 1:
        raise ConfigError(f"{key}: expected one of weight, count and epochs; found {' and '.join(ways)}; keep one of them")
    for name, value in given.items():
        whole = name in ("count", "cap")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value < math.inf:
            expected = "a whole number from 1" if whole else "a number above 0"
            raise ConfigError(f"{key}.{name}: expected {expected}; found {value!r}; correct it, or leave the source out")
    return Share(**given)


@dataclass(frozen=True)
class Mixture:
    """The shares of all sources, in the order of the config."""

    shares: Mapping[str, Share]
    temperature: float | None = None
    total: int | None = None

    def __post_init__(self) -> None:
        weighted = [name for name, item in self.shares.items() if item.weight is not None]
        for name, value in (("temperature", self.temperature), ("total", self.total)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf):
                raise ConfigError(f"data.{name}: expected a number above 0, or null; found {value!r}; correct it")
        if self.total is not None and self.total != int(self.total):
            raise ConfigError(f"data.total: expected a whole number of comparisons; found {self.total!r}; round it")
        self._check_counts()
        if self.temperature is not None and weighted:
            raise ConfigError(
                f"data.temperature: expected no source with a weight beside it, since it makes the weights from sizes; found "
                f"data.sources.{weighted[0]}.weight; keep one of them"
            )
        if self.temperature is not None and not any(item.is_open for item in self.shares.values()):
            raise ConfigError(
                "data.temperature: expected sources without weight, count and epochs, whose weights it makes; found none; remove it"
            )

    def _check_counts(self) -> None:
        """Refuses a total that the counts exceed, or cannot reach where no other source can fill it; `quotas` knows the sizes too."""
        counts = sum(item.count or 0 for item in self.shares.values())
        fills = any(item.count is None for item in self.shares.values())
        if self.total is not None and (counts > self.total or (counts < self.total and not fills)):
            raise ConfigError(
                f"data.total: expected {'at least' if fills else 'exactly'} the counts of the sources, together {counts:,}; found "
                f"{self.total:,}; correct data.total or the counts"
            )

    def quotas(self, usable: Mapping[str, int]) -> dict[str, int]:
        """Comparisons of each source in one epoch.

        Args:
            usable: training comparisons that each source has.

        Raises:
            DataError: a source that must give some has none, or `total` cannot be reached.

        >>> Mixture({"a": Share(), "b": Share(epochs=0.5), "c": Share(count=7)}).quotas({"a": 10, "b": 9, "c": 3})
        {'a': 10, 'b': 4, 'c': 7}
        """
        sizes = {name: item.size(usable.get(name, 0)) for name, item in self.shares.items()}
        weights = self._weights(sizes)
        fixed = {name: _fixed(item, sizes[name]) for name, item in self.shares.items() if name not in weights}
        for name in self.shares:
            if not sizes[name] and (name in weights or self.shares[name].count):
                raise DataError(f"data.sources.{name}: expected training comparisons to take; found none that can be used; "
                                "raise batch.max_length, or leave the source out")  # fmt: skip
        if not weights and self.total is not None:
            weights = {name: fixed.pop(name) for name, item in self.shares.items() if item.count is None}
        if weights:
            rest = _largest_without_repeats(weights, sizes) if self.total is None else int(self.total) - sum(fixed.values())
            fixed |= apportion(rest, weights) if rest >= 0 else {}
        if self.total is not None and sum(fixed.values()) != self.total:
            raise DataError(
                f"data.total: expected room for what count and epochs take of the sources; found total={self.total} and "
                f"{counted(sum(fixed.values()), 'comparison')}; correct data.total or the counts"
            )
        self._check_amounts(fixed, sizes)
        return {name: fixed[name] for name in self.shares}

    def _check_amounts(self, quotas: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        for name, item in self.shares.items():
            if item.epochs and sizes[name] and not quotas[name]:
                raise DataError(f"data.sources.{name}.epochs: expected to take at least one of {counted(sizes[name], 'comparison')}; "
                                f"found {item.epochs}, which takes none; raise it, or leave the source out")  # fmt: skip
        if sum(quotas.values()) > MOST_COMPARISONS:
            large = max(quotas, key=lambda name: quotas[name])
            raise DataError(f"data.sources.{large}: expected at most {MOST_COMPARISONS:,} comparisons an epoch; found "
                            f"{quotas[large]:,}; lower its epochs, its count or data.total")  # fmt: skip

    def _weights(self, sizes: Mapping[str, int]) -> dict[str, float]:
        if self.temperature is not None:
            return {name: sizes[name] ** (1 / self.temperature) for name, item in self.shares.items() if item.is_open}
        return {name: item.weight for name, item in self.shares.items() if item.weight is not None}


def _fixed(item: Share, size: int) -> int:
    return item.count if item.count is not None else round((item.epochs or 1) * size)


def _largest_without_repeats(weights: Mapping[str, float], sizes: Mapping[str, int]) -> int:
    """The largest epoch in which no weighted source has to be repeated."""
    total = math.fsum(weights.values())
    rest = math.floor(min(sizes[name] * total / weight for name, weight in weights.items()) + 1e-9)
    while any(quota > sizes[name] for name, quota in apportion(rest, weights).items()):
        rest -= 1
    return rest


def apportion(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to weights that add up to ``total``: rounded down, the rest to the largest remainders.

    >>> apportion(10, {"a": 2, "b": 1, "c": 1})
    {'a': 5, 'b': 3, 'c': 2}
    """
    whole = math.fsum(weights.values())
    exact = {name: total * weight / whole if whole else 0.0 for name, weight in weights.items()}
    result = {name: math.floor(value) for name, value in exact.items()}
    order = sorted(exact, key=lambda name: result[name] - exact[name])  # a stable sort: equal remainders in the order given
    for name in order[: total - sum(result.values()) if whole else 0]:
        result[name] += 1
    return result


class MixtureOrder:
    """Which comparisons an epoch takes, in one order that depends on the seed and the epoch alone.

    Args:
        usable: source -> its number of comparisons. The comparisons are numbered through, source after source in this order.
        mixture: by source; every source once where it is ``None``.
    """

    def __init__(self, usable: Mapping[str, int], seed: int, mixture: Mixture | None = None):
        self.mixture = mixture or Mixture({name: Share() for name in usable})
        self.usable, self.seed = {name: usable.get(name, 0) for name in self.mixture.shares}, seed
        self.quotas = self.mixture.quotas(self.usable)

    def __len__(self) -> int:
        """Comparisons of an epoch."""
        return sum(self.quotas.values())

    def picks(self, epoch: int) -> dict[str, np.ndarray]:
        """The numbers of the comparisons that each source gives to an epoch: whole passes, then a seeded remainder.

        Remainders of following epochs do not overlap until a source has been gone through.
        """
        first, picked = 0, {}
        for name, size in self.usable.items():
            picked[name] = first + self._of_source(name, size, epoch)
            first += size
        return picked

    def __call__(self, epoch: int) -> np.ndarray:
        """(comparisons of an epoch,) int64."""
        picked = np.concatenate(list(self.picks(epoch).values()))
        return picked[np.random.default_rng([self.seed, epoch]).permutation(len(picked))]

    def _of_source(self, name: str, size: int, epoch: int) -> np.ndarray:
        seeds = [self.seed, zlib.crc32(name.encode())]
        pool = np.arange(size)
        if (counts := self.mixture.shares[name].size(size)) < size:
            pool = np.sort(np.random.default_rng([*seeds, 0]).permutation(size)[:counts])
        passes, rest = divmod(self.quotas[name], max(1, counts))
        if not rest:
            return np.tile(pool, passes)
        cycle, turn = divmod(epoch, counts // rest)
        shuffled = np.random.default_rng([*seeds, 1, cycle]).permutation(counts)
        return np.concatenate([np.tile(pool, passes), pool[np.sort(shuffled[turn * rest : (turn + 1) * rest])]])


def account(order: MixtureOrder, rows: Mapping[str, int], facts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the first epoch takes, for the manifest.

    Args:
        rows: of each source, as read.
        facts: ``pairs``, ``tokens`` and ``images`` of each comparison, in the order's numbering.
    """
    sources = {}
    for name, picked in order.picks(0).items():
        sums = {key: int(values[picked].sum()) for key, values in facts.items()}
        sources[name] = {"rows": rows.get(name, 0), "usable": order.usable[name], "comparisons": len(picked)} | sums
    keys = {"temperature": order.mixture.temperature, "total": order.mixture.total, "seed": order.seed}
    return keys | {"sources": sources}


def shares_table(numbers: Mapping[str, Any]) -> str:
    """The account as aligned text, with the share of each source in the comparisons, and the sums."""
    sources: Mapping[str, Mapping[str, int]] = numbers["sources"]
    total = {key: sum(item[key] for item in sources.values()) for key in COLUMNS}
    rows = [_cells(name, item, total) for name, item in sources.items()]
    return table(("one epoch", *COLUMNS), [*rows, _cells("all", total, total)] if len(rows) > 1 else rows)


def _cells(name: str, item: Mapping[str, int], total: Mapping[str, int]) -> Sequence[str]:
    shown = {key: f"{item[key]:,}" for key in COLUMNS} | {"comparisons": share(item["comparisons"], max(1, total["comparisons"]))}
    return (name, *(shown[key] for key in COLUMNS))
