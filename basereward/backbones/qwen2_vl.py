"""Qwen2-VL: patches of the whole picture, and 3-D rotary positions that span its rows and columns.

Qwen2.5-VL and Qwen3-VL take pictures and positions in the same form and build on this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from basereward.backbones.base import Family, ImageFeatures
from basereward.backbones.towers import Tower
from basereward.patches import Grid, PatchSettings, to_pixel_values


class Qwen2VL(Family):
    """Qwen2-VL (2B, 7B, 72B)."""

    model_types = ("qwen2_vl",)
    image_token = image_markup = "<|image_pad|>"
    vision_key = "vision_config"

    def image_processor(
        self, folder: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None, **options: Any
    ) -> Qwen2VLImageProcessorPil:
        """Limits on height x width after resizing; the folder's own where none are given."""
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        given = {name: value for name, value in limits.items() if value is not None}
        return Qwen2VLImageProcessorPil.from_pretrained(folder, **given, **options)

    def picture_settings(self, processor: Qwen2VLImageProcessorPil, config: PretrainedConfig) -> PatchSettings:
        """Patches of the vision tower's side, merged 2 x 2 into a token."""
        return PatchSettings.from_processor(processor)

    def tower(self, config: PretrainedConfig) -> Tower:
        """Every layer sees the whole picture."""
        vision = config.vision_config
        return Tower(width=vision.embed_dim, layers=vision.depth, merge=vision.spatial_merge_size)

    def positions(
        self, ids_T: np.ndarray, image_id: int, grids: Sequence[Grid], settings: PatchSettings | None
    ) -> tuple[np.ndarray, int]:
        """Three axes: temporal, height, width."""
        return rotary_positions(ids_T, image_id, grids, settings.merge_size)

    def language_positions(self, position_ids: torch.Tensor) -> torch.Tensor:
        """As they are: the language model takes (3, 1, S)."""
        return position_ids

    def vision_inputs(
        self, patches: torch.Tensor, grids: torch.Tensor, *, mean: torch.Tensor, std: torch.Tensor, frames: int
    ) -> dict[str, torch.Tensor]:
        """(P, C*p*p) uint8 -> (P, C*t*p*p) float32, and the grids beside them."""
        pixels = to_pixel_values(patches, mean, std, frames=frames)
        return {"pixel_values": pixels, "image_grid_thw": grids.to(pixels.device)}

    def read_features(self, output: Any) -> ImageFeatures:
        """One tensor per image, joined."""
        return ImageFeatures(torch.cat(tuple(output.pooler_output)))

    def mergers(self, backbone: PreTrainedModel) -> list[torch.nn.Module]:
        """The one merger."""
        return [backbone.visual.merger]

    def merger_width(self, merger: torch.nn.Module) -> int:
        """The patches of a token, side by side."""
        return merger.hidden_size

    def merge(self, backbone: PreTrainedModel, features: ImageFeatures) -> ImageFeatures:
        """These mergers take one row for each patch."""
        patches = backbone.config.vision_config.spatial_merge_size**2
        by_patch = [rows.unflatten(1, (patches, -1)).flatten(0, 1) for rows in (features.tokens, *features.deep)]
        return super().merge(backbone, ImageFeatures(by_patch[0], tuple(by_patch[1:])))


def rotary_positions(ids_T: np.ndarray, image_id: int, grids: Sequence[Grid], merge: int) -> tuple[np.ndarray, int]:
    """Qwen2-VL's 3-D positions of a prefix: text counts on all three axes, an image spans its rows and columns from where it
    starts, and what follows continues after its longer side.

    Args:
        ids_T: (T,) with one image id for each image token.
        grids: (1, rows, columns) of patches of each image, in order; merge: patches merged per side.

    Returns:
        (3, T) int64 and the position of the token after the prefix.

    >>> positions, after = rotary_positions(np.array([5, 9, 9, 6]), 9, [(1, 2, 4)], merge=2)
    >>> positions.tolist(), after
    ([[0, 1, 1, 3], [0, 1, 1, 3], [0, 1, 2, 3]], 4)

    Source: Qwen2-VL (arXiv 2409.12191), section 2.1.
    """
    positions = np.empty((3, len(ids_T)), dtype=np.int64)
    at, position = 0, 0
    markers = np.flatnonzero(ids_T == image_id)
    taken = 0
    for _, rows, columns in grids:
        rows, columns = rows // merge, columns // merge
        start = markers[taken]
        taken += rows * columns
        positions[:, at:start] = np.arange(position, position + start - at)
        position += start - at
        at = start + rows * columns
        positions[0, start:at] = position
        positions[1, start:at] = np.repeat(np.arange(rows), columns) + position
        positions[2, start:at] = np.tile(np.arange(columns), rows) + position
        position += max(rows, columns)
    positions[:, at:] = np.arange(position, position + len(ids_T) - at)
    return positions, int(position + len(ids_T) - at)


FAMILY = Qwen2VL()
