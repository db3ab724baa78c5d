"""The embedded demo's held-out image questions: pictures that no training or validation row shows."""

from __future__ import annotations

from basereward.benchmarks.base import Benchmark
from basereward.demo import IMAGE_KINDS, make_comparisons
from basereward.errors import ConfigError
from basereward.records import Comparison

VERSION = "1"


class DemoBenchmark(Benchmark):
    """Args:
    num_comparisons: image questions, dealt evenly to the kinds. seed: of the drawing.
    """

    name = "demo"

    def __init__(self, num_comparisons: int = 1200, seed: int = 0):
        if not isinstance(num_comparisons, int) or isinstance(num_comparisons, bool) or num_comparisons < 1:
            raise ConfigError(f"benchmark.num_comparisons: expected a whole number from 1, found {num_comparisons!r}")
        self.num_comparisons, self.seed = num_comparisons, seed
        self.version = f"{VERSION} (seed {seed}, {num_comparisons} comparisons)"

    def comparisons(self) -> list[Comparison]:
        """Image kinds alone, in even shares."""
        return make_comparisons("test", self.num_comparisons, seed=self.seed, kinds=IMAGE_KINDS)
