"""Pictures to find again: crops of photos, drawn textures, and what a copy on the web does to them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = (
    "ixc_reward_pair/example.png",
    "ixc_reward_pair/cars1.jpg",
    "xtuner_multiimage/mscoco_dog_000000319154.jpg",
    "xtuner_multiimage/mscoco_twocat_000000039769.jpg",
)


def photos(folder: str | os.PathLike) -> list[Image.Image]:
    return [Image.open(Path(folder) / name).convert("RGB") for name in PHOTOS]


def crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A quarter to four fifths of each side, anywhere."""
    width, height = (int(side * rng.uniform(0.25, 0.8)) for side in photo.size)
    left, top = rng.integers(0, photo.width - width + 1), rng.integers(0, photo.height - height + 1)
    return photo.crop((int(left), int(top), int(left) + width, int(top) + height))


def texture(rng: np.random.Generator) -> Image.Image:
    """Colour noise of five scales, each half as strong as the one before."""
    width, height = (int(side) for side in rng.integers(150, 500, 2))
    pixels = np.zeros((height, width, 3))
    for octave in range(1, 6):
        noise = rng.integers(0, 256, (2**octave + 1, 2**octave + 1, 3), dtype=np.uint8)
        pixels += np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), dtype=float) / 2**octave
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, *, quality: int = 60, scale: float = 0.8) -> bytes:
    """The picture at another size and quality."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    file = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
