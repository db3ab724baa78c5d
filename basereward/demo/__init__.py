"""The embedded demo: a generated image-preference set and a tiny member of the model family, both from seeds alone.

make_rows(split, n, seed, kinds)           rows as a data file would hold them, drawn one after another
make_comparisons(split, n, seed, kinds)    the same as a list of `Comparison`
DemoRecipe(split, n, seed, kinds)          the same as a data recipe: conf/recipe/demo.yaml, conf/recipe/demo_long.yaml
build_tiny_backbone(folder, seed)          a checkpoint folder: config, weights, tokenizer, image preprocessing
"""

from __future__ import annotations

from basereward.demo.backbone import build_tiny_backbone
from basereward.demo.recipe import DemoRecipe
from basereward.demo.rows import (
    DEMO_KINDS,
    IMAGE_KINDS,
    LONG_KINDS,
    make_comparisons,
    make_rows,
)

__all__ = ["DEMO_KINDS", "IMAGE_KINDS", "LONG_KINDS", "DemoRecipe", "build_tiny_backbone", "make_comparisons", "make_rows"]
