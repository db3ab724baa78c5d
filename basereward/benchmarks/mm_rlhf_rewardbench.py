"""MM-RLHF-RewardBench: 170 pairs of 46 questions about images and videos; Acc and Acc+."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from basereward.benchmarks.rows import PublicBenchmark
from basereward.judging import is_correct, judged_pairs
from basereward.samples import Sample


class MMRLHFRewardBench(PublicBenchmark):
    """Acc, the share of correct pairs, is `accuracy`; Acc+ is the share of questions with all pairs correct."""

    name = "mm_rlhf_rewardbench"
    meta_keys = ("query_id",)

    def numbers(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Acc+, over all questions and over those of each category."""
        whole: dict[str, dict[str, bool]] = defaultdict(dict)
        for sample in samples:
            of = whole[sample.category]
            query = str(sample.meta["query_id"])
            of[query] = of.get(query, True) and bool(is_correct(judged_pairs([sample])).all())
        by = {name: {"questions": len(of), "acc_plus": float(np.mean(list(of.values())))} for name, of in whole.items()}
        every = [right for of in whole.values() for right in of.values()]
        return {"own": {"questions": len(every), "acc_plus": float(np.mean(every)), "by_category": by}}

    def baseline_numbers(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Acc+ over all questions."""
        return {"acc_plus": self.numbers(samples)["own"]["acc_plus"]}
