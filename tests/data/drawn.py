"""The texts and pictures of bench/, which is not installed: its folder is the last place where an import looks."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from bench.copies import jpeg, png, texture
from bench.overlap import picture_rates, planted_rows, text_rates

__all__ = ["jpeg", "picture_rates", "planted_rows", "png", "text_rates", "texture"]
