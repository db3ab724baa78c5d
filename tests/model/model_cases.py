"""Comparisons of every shape that must come out exactly, and the words and pictures they are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from basereward.records import Comparison, Pair

WORDS = ("The", "red", "circle", "stands", "left", "of", "two", "blue", "squares,", "and", "nobody", "counted", "17", "é", "ü?")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft coloured noise, so that a resize keeps most of it."""
    small = np.random.default_rng([seed, width, height]).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def words(count: int, seed: int = 0) -> str:
    """So many words; about 2 tokens each."""
    rng = random.Random(f"{seed} {count}")
    return " ".join(rng.choice(WORDS) for _ in range(count))


def turn(role: str, *parts: str | None) -> dict:
    """A message; ``None`` stands for an image."""
    return {"role": role, "content": [{"type": "image"} if p is None else {"type": "text", "text": p} for p in parts]}


def compare(*messages: dict, images: Sequence[Image.Image] = (), responses: Sequence[str]) -> Comparison:
    """A comparison whose first response is the best."""
    pairs = tuple(Pair(0, i) for i in range(1, len(responses)))
    return Comparison(tuple(messages), tuple(images), tuple(responses), pairs, id=words(3, len(messages)))


CASES: dict[str, Callable[[], Comparison]] = {
    "one image": lambda: compare(
        turn("user", None, "What is this?"), images=[picture(56, 56)], responses=["A ring.", "A blue square."]),
    "two images between words": lambda: compare(
        turn("user", "First", None, "then", None, "Which is larger?"), images=[picture(84, 56, 1), picture(56, 112, 2)],
        responses=["The first.", "The second, I think.", words(30)]),
    "three images": lambda: compare(
        turn("user", "Of", None, None, "and", None, "which is red?"),
        images=[picture(84, 84, 12), picture(56, 140, 13), picture(112, 56, 14)], responses=["None.", words(14), "The third."]),
    "four images, resized": lambda: compare(
        turn("user", None, None, None, None, words(10)),
        images=[picture(100, 75, 3), picture(31, 90, 4), picture(20, 20, 5), picture(140, 56, 6)],
        responses=[words(5), words(40)]),
    "text alone": lambda: compare(turn("user", "Why is the sky blue?"), responses=["Light scatters.", "It is not."]),
    "several turns": lambda: compare(
        turn("user", None, "What is this?"), turn("assistant", "A circle."), turn("user", "And this?", None),
        turn("assistant", words(12)), turn("user", "Are you sure?"), images=[picture(70, 70, 7), picture(112, 84, 8)],
        responses=["Yes.", "No, on second thought: " + words(9)]),
    "a system prompt": lambda: compare(
        turn("system", "Be brief. " + words(20)), turn("user", None, "Describe it."), images=[picture(168, 112, 9)],
        responses=[words(3), words(18), words(6)]),
    "eight responses": lambda: compare(
        turn("user", "How many?", None), images=[picture(56, 84, 10)],
        responses=[words(n, n) for n in (1, 2, 3, 5, 8, 13, 21, 34)]),
    "one token and four hundred": lambda: compare(
        turn("user", None, words(30)), images=[picture(112, 112, 11)], responses=["", words(260), "a"]),
    "a prompt longer than its answers": lambda: compare(turn("user", words(150)), responses=["b", "c"]),
}  # fmt: skip
"""Shapes of comparisons that must come out exactly; "" is the shortest response, its closing token alone."""
