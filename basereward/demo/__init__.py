"""The embedded demo: a generated image-preference set and a tiny member of the model family, both from seeds alone.

Public functions:
    make_rows(split, n, seed, kinds)           dict rows, drawn one after another
    make_comparisons(split, n, seed, kinds)    the same as a list of `Comparison` (follows with the records)
    build_tiny_backbone(folder, seed)          a checkpoint folder: config, weights, tokenizer, image preprocessing
    DemoRecipe(split, n, seed, kinds)          the data recipe of conf/recipe/demo.yaml
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from basereward.demo.backbone import build_tiny_backbone
from basereward.demo.pictures import SPLITS
from basereward.demo.questions import IMAGE_KINDS, KINDS, Row

__all__ = ["DEMO_KINDS", "IMAGE_KINDS", "KINDS", "build_tiny_backbone", "make_rows"]

DEMO_KINDS: dict[str, float] = {
    "colour": 1.0, "shape": 1.0, "count": 1.0, "two_pictures": 1.0, "ranking": 1.0, "text": 0.25,
}  # fmt: skip


def make_rows(split: str, n: int, seed: int, kinds: Mapping[str, float] | None = None) -> Iterator[Row]:
    kinds = dict(DEMO_KINDS if kinds is None else kinds)
    rng = random.Random(f"{split} {seed}")
    names = _shares(n, kinds)
    rng.shuffle(names)
    for index, name in enumerate(names):
        yield KINDS[name](rng, split) | {"id": f"demo-{split}-{seed}-{index}", "category": name}


def _shares(n: int, kinds: Mapping[str, float]) -> list[str]:
    """`n` kinds in exactly the shares asked for, the rounding given to the largest remainders."""
    total = sum(kinds.values())
    counts = {name: int(n * share / total) for name, share in kinds.items()}
    rest = sorted(kinds, key=lambda name: counts[name] - n * kinds[name] / total)
    for name in rest[: n - sum(counts.values())]:
        counts[name] += 1
    return [name for name, number in counts.items() for _ in range(number)]
