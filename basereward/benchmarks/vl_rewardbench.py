"""VL-RewardBench: 1,250 judged pairs about images; general, hallucination, reasoning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from basereward.benchmarks.rows import PublicBenchmark
from basereward.judging import accuracy, by_category, judged_pairs
from basereward.samples import Sample

LEGACY = "R1-Reward and BaseReward: general holds RLAIF-V and RLHF-V too, hallucination is POVID alone"


class VLRewardBench(PublicBenchmark):
    """Overall (all pairs alike) is `accuracy`, Macro the mean of the three categories (`macro`), as the official script has them."""

    name = "vl_rewardbench"
    meta_keys = ("row_id", "query_source")

    def numbers(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """The split that papers have used beside the official one."""
        return {"legacy": legacy(samples)}


def legacy(samples: Sequence[Sample]) -> dict[str, Any]:
    """Accuracy by the split 484 / 448 / 318 of R1-Reward's script, which looks for `rlhf` and `rlaif` in small letters and so puts
    301 pairs of RLHF-V and RLAIF-V under general. Overall is not touched by it; nothing else of such a row can be compared with ours.
    """
    found = by_category(judged_pairs([replace(sample, category=legacy_category(sample)) for sample in samples]))
    categories = {name: {"n": len(pairs), "accuracy": accuracy(pairs)} for name, pairs in found.items()}
    macro = sum(category["accuracy"] for category in categories.values()) / max(1, len(categories))
    return {"split": LEGACY, "categories": categories, "macro": macro}


def legacy_category(sample: Sample) -> str:
    """Of RLAIF-V and RLHF-V general, else the official one."""
    return "general" if str(sample.meta["row_id"]).startswith(("RLAIF", "RLHF")) else sample.category
