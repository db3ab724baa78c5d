"""MM-RLHF-RewardBench: a question about an image or a video, a better and a worse answer, several pairs for a question."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from basereward.problems import Notes
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison

CATEGORIES = ("mcq", "long", "short", "safety", "video")


class MMRLHFRewardBench(Recipe):
    """A row has an `image`, or a `video`: a folder of frames, of which evenly spaced ones are the images.

    The rows of a question share an `id`; it is kept as `meta.query_id`, and pairs are numbered within it.

    Args:
        path: as in `Recipe`.
        num_frames: of a video; the benchmark's own code takes 32.
        options: as in `Recipe`.
    """

    columns = (
        {"id": "text", "prompt": "text", "chosen": "text", "rejected": "text", "image": "text"},
        {"id": "text", "prompt": "text", "chosen": "text", "rejected": "text", "video": "text"},
    )

    def __init__(self, path: str | os.PathLike | None = None, *, num_frames: int = 32, **options: Any) -> None:
        super().__init__(path, **options)
        self.num_frames = num_frames

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair, with its category from the folder of its image."""
        place = row.get("image") or row.get("video") or ""
        images = [place] if row.get("image") else self.frames(place, where, self.num_frames)
        if isinstance(images, Dropped):
            return images
        record = {key: row[key] for key in ("prompt", "chosen", "rejected")}
        meta = {"query_id": row["id"], "place": place}
        record |= {"images": images, "category": _category(place, where, str(row["id"])), "id": row["id"], "meta": meta}
        return self.parse(record, where)


def _category(place: str, where: str, name: str) -> str:
    """The first of the categories in the path, as the official code looks for it."""
    found = next((category for category in CATEGORIES if category in place), None)
    if found is None:
        notes = Notes(where, name)
        notes.add("unknown category", f"one of {', '.join(CATEGORIES)} in the path", repr(place), "correct `image` or `video`")
        notes.raise_if_any()
    return str(found)
