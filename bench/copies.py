"""Texts and pictures to find again, and what a copy does to them: rows of real files, crops of photos, drawn textures."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from basereward.records import Comparison, Pair

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


def row(question: str, responses: tuple[str, str], name: str, source: str = "rows") -> Comparison:
    messages = ({"role": "user", "content": [{"type": "text", "text": question}]},)
    return Comparison(messages, (), responses, (Pair(0, 1),), id=name, source=source)


def question(item: Comparison) -> str:
    return item.messages[0]["content"][0]["text"]


def vl_rewardbench(folder: str | os.PathLike) -> list[Comparison]:
    """The 1,250 rows as they stand, without their pictures."""
    rows = json.loads((Path(folder) / "vl_rewardbench" / "data.json").read_text(encoding="utf-8"))
    return [row(item["query"], tuple(item["response"]), item["id"]) for item in rows]


def other_rows(folder: str | os.PathLike) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(question, its answers) of the other real files."""
    root = Path(folder)
    for line in (root / "mm_rlhf_rewardbench" / "mm_reward_bench.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        yield item["prompt"], (item["chosen"], item["rejected"])
    for line in (root / "judgebench" / "claude-3-5-sonnet-20240620.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        yield item["question"], (item["response_A"], item["response_B"])
    for name in ("chat", "safety-response"):
        for item in json.loads((root / "rm_bench" / f"{name}_filtered.json").read_text(encoding="utf-8")):
            yield item["prompt"], (*item["chosen"], *item["rejected"])
    for item in json.loads((root / "llamafactory" / "dpo_en_demo.json").read_text(encoding="utf-8")):
        yield item["conversations"][-1]["value"], (item["chosen"]["value"], item["rejected"]["value"])
    with gzip.open(root / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8") as lines:
        for item in map(json.loads, lines):
            asked, _, _ = item["chosen"].removeprefix("\n\nHuman: ").partition("\n\nAssistant:")
            yield asked, tuple(item[key].rpartition("\n\nAssistant:")[2] for key in ("chosen", "rejected"))


def disguised(item: Comparison, rng: random.Random) -> Comparison:
    """The row in another case and spacing, its responses swapped."""
    change = rng.choice((str.upper, str.lower, str.title, str.swapcase))

    def spaced(text: str) -> str:
        return rng.choice(("", " ", "\n")) + "".join(
            rng.choice((" ", "  ", "\n", "\t ")) if c == " " else c for c in change(text)
        )

    return row(spaced(question(item)), tuple(spaced(text) for text in reversed(item.responses)), f"planted {item.id}")


def plain(text: str) -> str:
    """Case and white space aside: what two texts of a test share when they are the same, decided without the code under test."""
    return " ".join(text.lower().split())


def recombined(
    questions: list[str], answers: list[str], hard: list[str], number: int, forbidden: set[str], rng: random.Random
) -> list[Comparison]:
    """Rows of a question and two answers that belong to others: every other one asks a question of the benchmark (`hard`)."""
    answers = [text for text in dict.fromkeys(answers) if text.strip() and plain(text) not in forbidden]
    return [row(rng.choice(hard if i % 2 else questions), tuple(rng.sample(answers, 2)), f"row {i}") for i in range(number)]
