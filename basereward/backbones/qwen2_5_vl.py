"""Qwen2.5-VL: pictures and positions of Qwen2-VL; the windows of its tower are those of ``attention/``."""

from __future__ import annotations

from transformers import PretrainedConfig

from basereward.backbones.qwen2_vl import Qwen2VL
from basereward.backbones.towers import Tower


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL (3B, 7B, 32B, 72B)."""

    model_types = ("qwen2_5_vl",)

    def tower(self, config: PretrainedConfig) -> Tower:
        """A few layers see the whole picture, the others windows of it."""
        vision = config.vision_config
        whole = len(set(vision.fullatt_block_indexes) & set(range(vision.depth)))
        return Tower(
            width=vision.hidden_size, layers=whole, window_layers=vision.depth - whole, merge=vision.spatial_merge_size,
            window=vision.window_size // vision.patch_size // vision.spatial_merge_size * vision.spatial_merge_size,
        )  # fmt: skip


FAMILY = Qwen25VL()
