"""MMRB2, its task reasoning: 1,000 pairs of agents' responses to questions about images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from basereward.benchmarks.rows import PublicBenchmark
from basereward.judging import accuracy, judged_pairs
from basereward.samples import Sample


class MMRB2(PublicBenchmark):
    """The official script counts a judge's answers in both orders; a reward has no order, so `accuracy` is the same number."""

    name = "mmrb2"
    meta_keys = ("prompt_source", "response_images")

    def numbers(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Accuracy where no response lost an image, and where one did."""
        lost = [sample for sample in samples if sample.meta["response_images"]]
        whole = [sample for sample in samples if not sample.meta["response_images"]]
        return {"own": {name: _of(of) for name, of in (("text_responses", whole), ("responses_with_images_left_out", lost))}}


def _of(samples: Sequence[Sample]) -> dict[str, Any]:
    pairs = judged_pairs(samples)
    return {"n": len(pairs), "accuracy": accuracy(pairs) if pairs else None}
