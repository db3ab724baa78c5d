"""A few facts (colour, shape, count) and a random state -> a small PNG picture that belongs to exactly one split.

Every picture is drawn on its own: position, size, shade and background vary. A picture belongs to the split that the
hash of its pixels names, and is drawn again until it falls into the split asked for. So no picture of one split can be
found in another, for any seeds, and without a list of what was drawn before.
"""

from __future__ import annotations

import hashlib
import io
import math
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

SIDE = 56
"""Width and height of a picture in pixels: 4 x 4 patches of 14 pixels, 4 tokens after the 2 x 2 merge."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 35, 35),
    "green": (35, 165, 60),
    "blue": (40, 70, 225),
    "yellow": (240, 205, 30),
    "purple": (140, 45, 170),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")
NUMBERS = ("one", "two", "three", "four", "five")
SPLITS: dict[str, range] = {"train": range(4), "val": range(4, 6), "test": range(6, 8)}
"""Which of 8 hash values belong to which split."""

Drawing = Callable[[random.Random], Image.Image]


def png_of_split(drawing: Drawing, rng: random.Random, *, split: str) -> bytes:
    """The first of the drawings from `rng` whose pixels hash into `split`, as PNG bytes.

    Args:
        drawing: Draws one picture; all its chance comes from the state it is given.
        rng: Advanced by as many drawings as were needed (2 on average for train, 4 for val and test).
        split: A key of `SPLITS`.
    """
    while True:
        image = drawing(rng)
        if split_of(image) == split:
            buffer = io.BytesIO()
            image.save(buffer, format="PNG", compress_level=1)
            return buffer.getvalue()


def split_of(image: Image.Image) -> str:
    """The only split that may use this picture, from the hash of its pixels."""
    value = hashlib.sha256(image.tobytes()).digest()[0] % 8
    return next(split for split, values in SPLITS.items() if value in values)


def one_shape(colour: str, shape: str) -> Drawing:
    """One large shape, somewhere near the middle."""

    def drawing(rng: random.Random) -> Image.Image:
        image = _paper(rng)
        radius = rng.uniform(15.0, 21.0)
        room = SIDE / 2 - radius - 1
        centre = (SIDE / 2 + rng.uniform(-room, room), SIDE / 2 + rng.uniform(-room, room))
        _draw_shape(ImageDraw.Draw(image), shape, centre, radius, _shade(colour, rng))
        return image

    return drawing


def placed_shape(colour: str, shape: str, *, column: int, row: int) -> Drawing:
    """One shape in a quarter of the picture: column 0 is left, row 0 is the top."""
    return placed_shapes([(colour, shape, column, row)])


def placed_shapes(shapes: Sequence[tuple[str, str, int, int]]) -> Drawing:
    """Each (colour, shape, column, row) in its own quarter of one picture."""

    def drawing(rng: random.Random) -> Image.Image:
        image = _paper(rng)
        draw = ImageDraw.Draw(image)
        for colour, shape, column, row in shapes:
            radius = rng.uniform(9.0, 12.0)
            room = SIDE / 4 - radius - 1
            x, y = ((quarter + 0.5) * SIDE / 2 + rng.uniform(-room, room) for quarter in (column, row))
            _draw_shape(draw, shape, (x, y), radius, _shade(colour, rng))
        return image

    return drawing


def several_dots(count: int, colour: str) -> Drawing:
    """`count` dots of one colour that do not touch: each has a cell of a 3 x 3 grid."""

    def drawing(rng: random.Random) -> Image.Image:
        image = _paper(rng)
        draw, fill, cell = ImageDraw.Draw(image), _shade(colour, rng), SIDE / 3
        for index in rng.sample(range(9), count):
            radius = rng.uniform(5.5, 6.5)
            room = cell / 2 - radius - 1
            x = (index % 3 + 0.5) * cell + rng.uniform(-room, room)
            y = (index // 3 + 0.5) * cell + rng.uniform(-room, room)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        return image

    return drawing


def _paper(rng: random.Random) -> Image.Image:
    """A light background of a random tint."""
    level = rng.randint(232, 255)
    red, green, blue = (min(255, level + rng.randint(-5, 5)) for _ in range(3))
    return Image.new("RGB", (SIDE, SIDE), (red, green, blue))


def _shade(colour: str, rng: random.Random) -> tuple[int, int, int]:
    red, green, blue = (max(0, min(255, channel + rng.randint(-18, 18))) for channel in COLOURS[colour])
    return red, green, blue


def _draw_shape(
    draw: ImageDraw.ImageDraw, shape: str, centre: tuple[float, float], radius: float, fill: tuple[int, int, int]
) -> None:
    """One filled shape inside the circle or square of this radius."""
    x, y = centre
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        draw.ellipse(box, fill=fill)
    elif shape == "ring":
        draw.ellipse(box, outline=fill, width=round(radius * 0.4))
    elif shape == "square":
        draw.rectangle((x - 0.9 * radius, y - 0.9 * radius, x + 0.9 * radius, y + 0.9 * radius), fill=fill)
    elif shape == "triangle":
        corners = [(x + radius * math.sin(a), y - radius * math.cos(a)) for a in (0.0, 2.0944, 4.1888)]
        draw.polygon(corners, fill=fill)
    elif shape == "cross":
        arm = radius * 0.34
        draw.rectangle((x - radius, y - arm, x + radius, y + arm), fill=fill)
        draw.rectangle((x - arm, y - radius, x + arm, y + radius), fill=fill)
    else:
        raise ValueError(f"expected one of {SHAPES}, found {shape!r}")
