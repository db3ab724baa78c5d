"""InternVL3 in transformers' own form (the ``-hf`` checkpoints): square tiles and a thumbnail, 1-D positions.

A picture is resized to the arrangement of tiles nearest to its shape, within a number of tiles, and cut; more than one tile is
followed by the whole picture in the size of one. Each tile gives the same number of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil, get_optimal_tiled_canvas

from basereward.backbones.base import Family, ImageFeatures
from basereward.backbones.towers import Tower
from basereward.errors import ConfigError
from basereward.patches import Grid, to_pixel_values

# Language models that the tests show to be exact; others (InternLM in InternVL3-9B, Qwen3 in InternVL3.5) are refused.
TEXT_TYPES = ("qwen2",)


@dataclass(frozen=True)
class TileSettings:
    """How a checkpoint cuts pictures into tiles.

    Attributes:
        side: of a tile in pixels. tokens_per_side: of a tile, after pixel shuffle.
        min_tiles, max_tiles: of a picture, the thumbnail not counted.
        mean, std: per channel, for pixels scaled to [0, 1]. resample: PIL's code of the resize filter.
    """

    side: int
    tokens_per_side: int
    min_tiles: int
    max_tiles: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int
    frames: int = 1

    @property
    def min_pixels(self) -> int:
        """Pixels of the fewest tiles."""
        return self.min_tiles * self.side**2

    @property
    def max_pixels(self) -> int:
        """Pixels of the most tiles, the thumbnail not counted."""
        return self.max_tiles * self.side**2

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """(columns, rows) of tiles for a picture of this size."""
        return get_optimal_tiled_canvas((height, width), (self.side, self.side), self.min_tiles, self.max_tiles)

    def grid(self, width: int, height: int) -> Grid:
        """(tiles with the thumbnail, token rows, token columns of each)."""
        columns, rows = self.canvas(width, height)
        tiles = columns * rows + (columns * rows > 1)
        return tiles, self.tokens_per_side, self.tokens_per_side

    def num_tokens(self, grid: Grid) -> int:
        """Tokens that a picture takes in the prompt."""
        return grid[0] * grid[1] * grid[2]

    def cut(self, image: Image.Image) -> np.ndarray:
        """An RGB picture -> (tiles, C, side, side) uint8, row by row, the thumbnail last."""
        columns, rows = self.canvas(*image.size)
        whole = self._resized(image, columns * self.side, rows * self.side)
        tiles = whole.reshape(rows, self.side, columns, self.side, 3).transpose(0, 2, 4, 1, 3)
        tiles = tiles.reshape(rows * columns, 3, self.side, self.side)
        if rows * columns == 1:
            return np.ascontiguousarray(tiles)
        thumbnail = self._resized(image, self.side, self.side).transpose(2, 0, 1)[None]
        return np.ascontiguousarray(np.concatenate([tiles, thumbnail]))

    def _resized(self, image: Image.Image, width: int, height: int) -> np.ndarray:
        return np.asarray(image if image.size == (width, height) else image.resize((width, height), self.resample))


class InternVL(Family):
    """InternVL3 (1B, 2B, 8B, 14B, 38B, 78B: those on Qwen2.5) as ``InternVLForConditionalGeneration``."""

    model_types = ("internvl",)
    image_token = "<IMG_CONTEXT>"
    image_markup = "<img><IMG_CONTEXT></img>"

    def check(self, config: PretrainedConfig) -> None:
        """Also refuses language models that were not tried, and a tower whose tokens do not fill its tiles."""
        super().check(config)
        if config.text_config.model_type not in TEXT_TYPES:
            raise ConfigError(
                f"backbone: expected an InternVL on {' or '.join(TEXT_TYPES)}, found one on {config.text_config.model_type!r}, "
                "which was not shown to be exact in packs"
            )
        if tokens_per_side(config) ** 2 != config.image_seq_length:
            raise ConfigError(
                f"backbone: expected image_seq_length={tokens_per_side(config) ** 2} from the vision tower's image size, patch "
                f"size and downsample_ratio, found {config.image_seq_length}; config.json contradicts itself"
            )

    def image_processor(
        self, folder: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None, **options: Any
    ) -> GotOcr2ImageProcessorPil:
        """Limits in pixels become whole tiles: ``min_pixels`` is rounded up, ``max_pixels`` down."""
        # transformers' InternVLProcessor always cuts, whatever the folder's image processor says.
        processor = GotOcr2ImageProcessorPil.from_pretrained(folder, crop_to_patches=True, **options)
        area = processor.size["height"] * processor.size["width"]
        if max_pixels is not None:
            if max_pixels < area:
                raise ConfigError(f"backbone.max_pixels: expected at least one tile of {area} pixels, found {max_pixels}")
            processor.max_patches = max_pixels // area
        if min_pixels is not None:
            processor.min_patches = max(1, -(-min_pixels // area))
        if processor.min_patches > processor.max_patches:
            raise ConfigError(
                f"backbone.min_pixels: expected at most {processor.max_patches} tiles, as backbone.max_pixels says, found "
                f"{processor.min_patches}"
            )
        return processor

    def picture_settings(self, processor: GotOcr2ImageProcessorPil, config: PretrainedConfig) -> TileSettings:
        """Tiles of the vision tower's image size."""
        side, found = config.vision_config.image_size[0], dict(processor.size)
        if (found["height"], found["width"]) != (side, side):
            raise ConfigError(f"backbone: expected tiles of {side} x {side} as the vision tower takes them, found {found}")
        return TileSettings(
            side=side, tokens_per_side=tokens_per_side(config), min_tiles=processor.min_patches, max_tiles=processor.max_patches,
            mean=tuple(processor.image_mean), std=tuple(processor.image_std), resample=int(processor.resample),
        )  # fmt: skip

    def tower(self, config: PretrainedConfig) -> Tower:
        """Every layer sees a whole tile and its class token; grids count tiles and their tokens."""
        vision, side = config.vision_config, tokens_per_side(config)
        merge = round(1 / config.downsample_ratio)
        return Tower(
            width=vision.hidden_size, layers=vision.num_hidden_layers, merge=merge, per_side=merge, tile_tokens=side**2, extra=1
        )

    def vision_inputs(
        self, patches: torch.Tensor, grids: torch.Tensor, *, mean: torch.Tensor, std: torch.Tensor, frames: int
    ) -> dict[str, torch.Tensor]:
        """(tiles, C, side, side) uint8 -> float32 of the same shape, normalised."""
        return {"pixel_values": to_pixel_values(patches, mean, std, frames=frames).view(patches.shape)}

    def read_features(self, output: Any) -> ImageFeatures:
        """(tiles, tokens, D), tiles in order."""
        return ImageFeatures(output.pooler_output.flatten(0, 1))

    def mergers(self, backbone: PreTrainedModel) -> list[torch.nn.Module]:
        """The projector."""
        return [backbone.multi_modal_projector]

    def merger_width(self, merger: torch.nn.Module) -> int:
        """What pixel shuffle put side by side."""
        return merger.layer_norm.normalized_shape[0]


def tokens_per_side(config: PretrainedConfig) -> int:
    """Tokens of a tile along one side: 448 / 14 * 0.5 = 16 for the published checkpoints."""
    vision = config.vision_config
    return int(vision.image_size[0] // vision.patch_size[0] * config.downsample_ratio)


FAMILY = InternVL()
