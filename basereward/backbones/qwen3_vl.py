"""Qwen3-VL: patches of 16 pixels, and features of several depths of the vision tower, which enter the first layers (deepstack)."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from basereward.backbones.base import ImageFeatures
from basereward.backbones.qwen2_vl import Qwen2VL
from basereward.backbones.towers import Tower


class Qwen3VL(Qwen2VL):
    """Qwen3-VL, dense (2B, 4B, 8B, 32B)."""

    model_types = ("qwen3_vl",)

    def tower(self, config: PretrainedConfig) -> Tower:
        """Every layer sees the whole picture."""
        vision = config.vision_config
        return Tower(width=vision.hidden_size, layers=vision.depth, merge=vision.spatial_merge_size)

    def read_features(self, output: Any) -> ImageFeatures:
        """The last depth in place of the image tokens, the others for the first layers."""
        # One tensor per depth up to transformers 5.17; since then one per depth and image.
        deep = (x if isinstance(x, torch.Tensor) else torch.cat(tuple(x)) for x in output.deepstack_features)
        return ImageFeatures(torch.cat(tuple(output.pooler_output)), tuple(deep))

    def mergers(self, backbone: PreTrainedModel) -> list[torch.nn.Module]:
        """The last depth's, then the others'."""
        return [backbone.visual.merger, *backbone.visual.deepstack_merger_list]

    def enter(self, embeds: torch.Tensor, is_image: torch.Tensor, features: ImageFeatures) -> tuple[torch.Tensor, dict[str, Any]]:
        """Scatters the last depth and hands the others to the language model."""
        embeds, options = super().enter(embeds, is_image, features)
        return embeds, options | {"visual_pos_masks": is_image, "deepstack_visual_embeds": list(features.deep)}


FAMILY = Qwen3VL()
