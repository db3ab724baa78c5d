"""What a benchmark is: a name, a version, comparisons, the counts of its editions, and numbers of its own beside the common ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from basereward.judging import by_length, results
from basereward.records import Comparison
from basereward.samples import Sample

OFFICIAL, TOTAL = "official", "total"


class Benchmark:
    """One benchmark is one file here, with a subclass of this, and one YAML in `conf/benchmark`.

    Attributes:
        name: of the folder its results go to.
        version: which state of the data; stored with the result. Known once the comparisons were read.
        recipe: that reads its rows, where one does.
        recipe_name: of it in `conf/recipe`, where the benchmark is that dataset.
        expected: items of each category in the official edition; None as a count where it is not known. Empty where nothing is fixed.
        editions: name -> counts of other editions that go about; `total` is all items, where categories were not counted; 0 is a
            category that an edition lacks.
        verified_on: "real rows", or "reference only" where the rows were not at hand when it was written.
        meta_keys: what `numbers` needs of a comparison's `meta`; kept in samples.jsonl.
        key: of the config node that it was built from, for messages.
        notes: what reading found that the numbers do not show, in sentences; known once the comparisons were read.
    """

    name: str
    version: str
    recipe: Any = None
    recipe_name: str | None = None
    expected: Mapping[str, int | None] = {}
    editions: Mapping[str, Mapping[str, int | None]] = {}
    verified_on: str | None = None
    meta_keys: Sequence[str] = ()
    key: str = "benchmark"
    notes: Sequence[str] = ()

    def comparisons(self) -> list[Comparison]:
        """The items, in a fixed order, each with an id of its own, and a category where the benchmark has them."""
        raise NotImplementedError

    def words(self) -> str:
        """How a command names it and its rows, for messages that give a command."""
        return f"benchmark={self.name}"

    def numbers(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """The benchmark's own numbers, from samples alone; any of these keys, all optional.

        official: `{"rule": str, "value": float}`, the headline by the benchmark's own rule, where `accuracy` is not it.
        own: other metrics of the benchmark.
        legacy: accuracy by a split that papers have used in place of the official one.
        """
        return {}

    def baseline_numbers(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Shares by the benchmark's own rule that are wanted of the length baselines too, from samples with their rewards."""
        return {}


def judge(benchmark: Benchmark, samples: Sequence[Sample]) -> dict[str, Any]:
    """All numbers of a benchmark: what `results.json` holds of its samples; None for those that nothing was there to make of."""
    numbers = {"official": None, "own": {}, "legacy": None} | benchmark.numbers(samples)
    found = results(samples)
    for name, of in by_length(samples).items():
        found["baselines"] |= {f"{name}_{key}": share for key, share in benchmark.baseline_numbers(of).items()}
    return _finite(found | {"edition": edition(benchmark, samples), "verified_on": benchmark.verified_on} | numbers)


def _finite(value: Any) -> Any:
    """The same with None in the place of nan, which JSON has not."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def edition(benchmark: Benchmark, items: Iterable[Sample | Comparison]) -> str | None:
    """Which edition the items are, by their counts; what was expected and found where it is none; None where nothing is expected."""
    if not benchmark.expected:
        return None
    found = Counter(item.category for item in items)
    for name, counts in {OFFICIAL: benchmark.expected, **benchmark.editions}.items():
        if _fits(counts, found):
            return name
    return f"unknown: expected {_in_words(benchmark.expected)}; found {_in_words(found)}"


def _fits(expected: Mapping[str, int | None], found: Mapping[str, int]) -> bool:
    """`total` is the number of all items; 0 is a category that must be absent. Where others are named, no further one may be there."""
    if any(found.get(name) for name, count in expected.items() if count == 0):
        return False
    if TOTAL in expected and expected[TOTAL] != sum(found.values()):
        return False
    named = {name: count for name, count in expected.items() if name != TOTAL and count != 0}
    return not named or (found.keys() == named.keys() and all(count in (None, found[name]) for name, count in named.items()))


def _in_words(counts: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name or '(none)'} {'?' if count is None else count}" for name, count in counts.items())


def num_expected(benchmark: Benchmark) -> int | None:
    """Items of the official edition; None where it is not fixed or not known."""
    counts = {name: count for name, count in benchmark.expected.items() if name != TOTAL}
    return benchmark.expected.get(TOTAL, sum(counts.values()) if counts and None not in counts.values() else None)
