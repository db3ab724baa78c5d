"""Rows with drawn pictures, as a file of comparisons holds them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, side: int = 56) -> Image.Image:
    """Smooth colours, as a photo has them: what JPEG changes a little and not beyond recognition."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((side, side), Image.Resampling.BICUBIC)


def png(seed: int) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    picture(seed).save(file, "png")
    return file.getvalue()


def rows(images: bool = True) -> list[dict]:
    """Questions in three categories; the last one has a ranking of three responses."""
    found = [
        {"id": f"q{n}", "prompt": f"What is number {n}?", "chosen": f"It is a small thing. It has {n} corners.",
         "rejected": "No idea. " * (n + 1), "category": "ab"[n % 2], **({"images": [png(n)]} if images and n % 2 else {})}
        for n in range(6)
    ]  # fmt: skip
    return [*found, {"id": "r", "prompt": "Rank these.", "responses": ["One.", "Two. And more.", "Three"], "scores": [3, 2, 0]}]


def write(folder: Path) -> Path:
    """The rows as JSON lines with their pictures as files beside them."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for n, row in enumerate(rows()):
        if "images" in row:
            (folder / f"{n}.png").write_bytes(row["images"][0])
            row = row | {"images": [f"{n}.png"]}
        lines.append(json.dumps(row))
    file = folder / "rows.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
