"""A second task for a reward model that has learned another: text alone, the better answer is in the letters that were asked for.

    python tests/run/text_rule.py runs/rule        # writes train.jsonl, val.jsonl and held_out.jsonl there

Which letters are better depends on the prompt, so an answer alone decides nothing; no prompt of one file is in another.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

BEGINNINGS = (
    "It is",
    "I see",
    "There is",
    "You mean",
    "That would be",
    "Here is",
    "It may be",
    "I think of",
    "We have",
    "Look for",
)
THINGS = (
    "the red circle", "the blue square", "two dots", "the green star", "the yellow cross", "three triangles", "the big one",
    "the small one", "the left one", "the right one", "the first picture", "the second picture", "a white dot", "four squares",
)  # fmt: skip
REQUESTS = {
    "capitals": (
        "Answer in capitals: what do you see?",
        "What is it? Write in capitals.",
        "In capital letters, please: name it.",
    ),
    "small": (
        "Answer in small letters: what do you see?",
        "What is it? Write in small letters.",
        "In small letters, please: name it.",
    ),
}
# Rows of each file, and the first of the hundred numbers that its prompts end with.
FILES = {"train": (3000, 0), "val": (200, 100), "held_out": (1000, 200)}


def rows(n: int, first_number: int) -> Iterator[dict]:
    """``n`` rows; the same arguments give the same rows."""
    rng = random.Random(first_number)
    for index in range(n):
        wanted = rng.choice(list(REQUESTS))
        upper, lower = (f"{rng.choice(BEGINNINGS)} {rng.choice(THINGS)}." for _ in range(2))
        upper, lower = upper.upper(), lower.lower()
        prompt = f"{rng.choice(REQUESTS[wanted])} ({rng.choice(THINGS)}, number {first_number + rng.randrange(100)})"
        better, worse = (upper, lower) if wanted == "capitals" else (lower, upper)
        yield {"id": f"rule-{first_number}-{index}", "prompt": prompt, "chosen": better, "rejected": worse, "category": wanted}


def write(folder: Path) -> dict[str, Path]:
    """The three files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.jsonl" for name in FILES}
    for name, file in files.items():
        file.write_text("".join(json.dumps(row) + "\n" for row in rows(*FILES[name])), encoding="utf-8")
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
