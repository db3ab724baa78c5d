"""Multimodal RewardBench: pairs about images in the categories of its own script, of which two fall in two parts."""

from __future__ import annotations

from basereward.benchmarks.rows import PublicBenchmark


class MultimodalRewardBench(PublicBenchmark):
    """Overall is `accuracy`, over all rows, as the official script has it; `macro` is the mean of the columns that papers print."""

    name = "multimodal_rewardbench"
    how_to_get = (
        "clone github.com/facebookresearch/multimodal_rewardbench, run its scripts/0_download_data.py, then give "
        "{key}.path=<clone>/data/all_data.json"
    )
