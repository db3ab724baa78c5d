"""Multimodal RewardBench: a question about an image, two outputs, and which is the better."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.problems import Notes, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

BETTER = {"Output1": [0, 1], "Output2": [1, 0]}
CAPTIONS = "nocaps"
# The wording that the benchmark's own script fills in; a copy made before it did so has null.
CAPTION_PROMPT = "Please generate a detailed caption of this image. Please be as descriptive as possible."


class MultimodalRewardBench(Recipe):
    """Rows of `data/all_data.json`, which the repository's script `0_download_data.py` builds beside `data/images`.

    `Text` may be null where the item asks for a caption (its ID begins with nocaps): the official wording stands there then.
    """

    columns = {"ID": "text", "Image": "text", "Output1": "text", "Output2": "text", "Better": "text", "Category": "text"}

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """Both outputs, ranked; the category is the one by which the official script counts."""
        notes, text = Notes(where, row["ID"]), row.get("Text")
        if row["Better"] not in BETTER:
            notes.add("unknown label", f"`Better` to be {' or '.join(BETTER)}", shown(row["Better"]), "correct or drop the row")
        if text is None and row["ID"].lower().startswith(CAPTIONS):
            text = CAPTION_PROMPT
        elif text is None:
            found = "null: these are the rows before the repository's script filled in the prompts"
            notes.add("prompt missing", "`Text`", found, "run scripts/0_download_data.py and read data/all_data.json")
        notes.raise_if_any()
        record = {
            "id": row["ID"],
            "prompt": text,
            "images": [row["Image"]],
            "responses": [row["Output1"], row["Output2"]],
            "ranks": BETTER[row["Better"]],
            "category": category(row["Category"], row["ID"]),
        }
        return self.parse(record, where)


def category(name: str, row_id: str) -> str:
    """Safety and reasoning fall in two by the beginning of the id, as in the official script.

    >>> category("safety", "PAIRS_3"), category("safety", "hateful_3"), category("reasoning", "mathvista_1"), category("vqa", "x")
    ('safety/bias', 'safety/toxicity', 'reasoning/math', 'vqa')
    """
    if name == "safety":
        return "safety/bias" if row_id.lower().startswith("pairs") else "safety/toxicity"
    if name == "reasoning":
        return "reasoning/math" if row_id.lower().startswith("math") else "reasoning/coding"
    return name
