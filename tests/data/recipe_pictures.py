"""Small drawn pictures for the rows of tests."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(number: int = 0, size: tuple[int, int] = (48, 32), kind: str = "PNG") -> bytes:
    """A textured picture, another for each number."""
    values = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind)
    return stream.getvalue()
