"""Multimodal RewardBench 2 (MMRB2), its task reasoning: a question with images, two responses of agents, and the chosen one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.problems import Notes, Problem, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

CHOSEN = {"A": [0, 1], "B": [1, 0]}
_MARK = re.compile(r"<image_\d+>")


class MMRB2(Recipe):
    """Rows of the Hub (texts with `<image_0>` marks beside lists of images), or the pairs of `reasoning.json` (parts in order).

    A response is text here. Images that an agent drew into it are left out, and `meta.response_images` counts them.
    """

    columns = (
        {"pair_id": "text", "prompt_text": "text", "response_a_text": "text", "response_b_text": "text", "chosen": "text"},
        {"id": "text", "prompt_content": "anything", "response_a": "object", "response_b": "object", "chosen": "text"},
        {"pairs": "anything"},
    )

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """One for each pair; `reasoning.json` is one object that holds them all."""
        for where, row in super().rows():
            pairs = row.get("pairs") if isinstance(row, Mapping) else None
            if pairs is None:
                yield where, row
                continue
            self.rows_in_files += len(pairs) - 1
            yield from ((f"{where}.pairs[{number}]", pair) for number, pair in enumerate(pairs))

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """Both responses, ranked."""
        is_built = "prompt_content" in row
        name = row["id"] if is_built else row["pair_id"]
        notes, chosen = Notes(where, str(name)), str(row["chosen"]).upper()
        if chosen not in CHOSEN:
            notes.add("unknown label", "`chosen` to be A or B", shown(row["chosen"]), "correct or drop the row")
        notes.raise_if_any()
        prompt, responses = _built(row) if is_built else _of_hub(row)
        texts = ["\n".join(value for kind, value in parts if kind == "text").strip() for parts in responses]
        content = [{"type": "image"} if kind == "image" else {"type": "text", "text": value} for kind, value in prompt]
        record = {
            "id": name,
            "messages": [{"role": "user", "content": content}],
            "images": [value for kind, value in prompt if kind == "image"],
            "responses": texts,
            "ranks": CHOSEN[chosen],
            "category": "reasoning",
            "meta": {
                "prompt_source": row.get("prompt_source", ""),
                "response_images": sum(kind == "image" for parts in responses for kind, _ in parts),
            },
        }
        return self.parse(record, where)


Parts = list[tuple[str, Any]]


def _built(row: Mapping) -> tuple[Parts, list[Parts]]:
    """Prompt and responses of a pair of `reasoning.json`: lists of ["text" or "image", value]."""
    sides = [row[key]["response_content"] for key in ("response_a", "response_b")]
    prompt, *responses = [[(kind, value) for kind, value in parts] for parts in (row["prompt_content"], *sides)]
    return prompt, responses


def _of_hub(row: Mapping) -> tuple[Parts, list[Parts]]:
    """Prompt and responses of a row of the Hub."""
    keys = ("prompt", "response_a", "response_b")
    prompt, *responses = [_parts(row[f"{key}_text"], row.get(f"{key}_images") or []) for key in keys]
    return prompt, responses


def _parts(text: str, images: Sequence[object]) -> Parts:
    """Text and images in turn: each mark stands for the next image, and images without marks follow the text.

    >>> _parts("Look: <image_0> What is it?", ["a.png"])
    [('text', 'Look:'), ('image', 'a.png'), ('text', 'What is it?')]
    """
    left, parts = list(images), []
    for number, piece in enumerate(_MARK.split(text)):
        if number and left:
            parts.append(("image", left.pop(0)))
        if piece.strip():
            parts.append(("text", piece.strip()))
    return parts + [("image", image) for image in left]
