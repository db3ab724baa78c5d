"""Pictures -> uint8 patches for the vision tower, and their normalisation on the device.

The stock processor turns each picture into float32 patches, normalised and repeated for two frames: 8 times the bytes of the
pixels. Here a patch travels as its uint8 pixels, once; scaling, normalising and repeating happen where the model is.
Letters: P patches, C colour channels, H height and W width in pixels, p patch side, t frames (the temporal patch size).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

Grid = tuple[int, int, int]


class PictureSettings(Protocol):
    """What encoding and packing ask of a family's way to cut pictures.

    Attributes:
        min_pixels, max_pixels: limits on height x width after resizing.
        mean, std: per channel, for pixels scaled to [0, 1]. frames: how often a still picture's frame is repeated.
    """

    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frames: int

    def grid(self, width: int, height: int) -> Grid:
        """The layout of a picture of this size."""
        ...

    def num_tokens(self, grid: Grid) -> int:
        """Tokens that a picture of this layout takes in the prompt."""
        ...

    def cut(self, image: Image.Image) -> np.ndarray:
        """An RGB picture -> uint8, one row per patch or tile."""
        ...


@dataclass(frozen=True)
class PatchSettings:
    """How Qwen's vision towers cut a picture: the whole of it, in patches; read from a checkpoint's image processor.

    Attributes:
        min_pixels, max_pixels: limits on height x width after resizing.
        patch_size: side of a patch in pixels. merge_size: patches merged per side into one token. frames: temporal patch size.
        mean, std: per channel, for pixels scaled to [0, 1]. resample: PIL's code of the resize filter.
    """

    min_pixels: int
    max_pixels: int
    patch_size: int
    merge_size: int
    frames: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int

    @classmethod
    def from_processor(cls, processor: Qwen2VLImageProcessorPil) -> PatchSettings:
        """The settings of a loaded image processor."""
        return cls(
            min_pixels=processor.size["shortest_edge"], max_pixels=processor.size["longest_edge"],
            patch_size=processor.patch_size, merge_size=processor.merge_size, frames=processor.temporal_patch_size,
            mean=tuple(processor.image_mean), std=tuple(processor.image_std), resample=int(processor.resample),
        )  # fmt: skip

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) a picture is resized to: multiples of the token's side, within the pixel limits."""
        h, w = smart_resize(height, width, self.patch_size * self.merge_size, self.min_pixels, self.max_pixels)
        return w, h

    def grid(self, width: int, height: int) -> Grid:
        """(1, rows, columns) of patches for a picture of this size."""
        w, h = self.resized(width, height)
        return 1, h // self.patch_size, w // self.patch_size

    def num_tokens(self, grid: Grid) -> int:
        """Tokens that a picture of this grid takes in the prompt."""
        return grid[0] * grid[1] * grid[2] // self.merge_size**2

    def cut(self, image: Image.Image) -> np.ndarray:
        """An RGB picture -> (P, C*p*p) uint8, in the order the vision tower expects (merge blocks first)."""
        return to_patches(image, self)


def to_patches(image: Image.Image, settings: PatchSettings) -> np.ndarray:
    """An RGB picture -> (P, C*p*p) uint8, in the order the vision tower expects (merge blocks first)."""
    size = settings.resized(*image.size)
    pixels_HWC = np.asarray(image if image.size == size else image.resize(size, settings.resample))
    p, m = settings.patch_size, settings.merge_size
    rows, columns = size[1] // p, size[0] // p
    blocks = pixels_HWC.reshape(rows // m, m, p, columns // m, m, p, 3)
    return np.ascontiguousarray(blocks.transpose(0, 3, 1, 4, 6, 2, 5)).reshape(rows * columns, 3 * p * p)


def to_pixel_values(patches: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, *, frames: int) -> torch.Tensor:
    """(P, C*p*p) uint8 -> (P, C*t*p*p) float32, equal to what the stock image processor returns.

    Args:
        patches: on the model's device.
        mean, std: (C,) float32 on the same device.
        frames: how often a still picture's frame is repeated.
    """
    count, channels = patches.shape[0], len(mean)
    pixels = patches.view(count, channels, 1, -1).float().mul_(1 / 255)
    pixels = pixels.sub_(mean.view(1, -1, 1, 1)).div_(std.view(1, -1, 1, 1))
    return pixels.expand(-1, -1, frames, -1).reshape(count, -1)
