"""What a benchmark is: a name, a version, comparisons, and how many pairs it must have."""

from __future__ import annotations

from typing import Protocol

from basereward.records import Comparison


class Benchmark(Protocol):
    """One benchmark is one file here and one YAML in ``conf/benchmark``.

    Attributes:
        name: of the folder its results go to.
        version: which edition of the data; stored with the result.
        num_expected: pairs the edition has, or ``None`` where that is not fixed (a user's file).
    """

    name: str
    version: str
    num_expected: int | None

    def comparisons(self) -> list[Comparison]:
        """The items, in a fixed order, each with a category where the benchmark has them."""
