"""JudgeBench: pairs of answers of one model, of which one is correct; knowledge, reasoning, math, coding."""

from __future__ import annotations

from basereward.benchmarks.rows import PublicBenchmark


class JudgeBench(PublicBenchmark):
    """Overall is `accuracy` over all pairs of a split, in one order, as the official script judges reward models."""

    name = "judgebench"
    meta_keys = ("source",)
