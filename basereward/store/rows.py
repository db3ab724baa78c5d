"""A comparison <-> one row of a shard. The columns are listed in docs/decisions/0016-prepared-sources.md."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from PIL import Image

from basereward.images import image_size, load_image
from basereward.records import Comparison, Pair, image_key
from basereward.store.pictures import Picture

FORMAT = 3
"""Raised when what a shard holds changes; older folders are then not found any more."""
TEXTS = ("id", "messages", "labels", "images", "category", "meta", "where")
ROW = (*TEXTS, "responses", "weight")
"""Columns that a comparison is made from."""


@dataclass(frozen=True)
class Preferences:
    """What a loss asks of a comparison, without its texts."""

    id: str
    source: str
    pairs: tuple[Pair, ...]
    ties: tuple[tuple[int, int], ...]
    ranks: tuple[int, ...] | None
    scores: tuple[float, ...] | None


def schema():
    """Of a shard."""
    import pyarrow as pa

    columns = {name: pa.large_string() for name in ("group", *TEXTS)}
    numbers = {"weight": pa.float64(), "num_pairs": pa.int32(), "num_images": pa.int32()}
    return pa.schema(columns | {"responses": pa.large_list(pa.large_string()), "sizes": pa.list_(pa.int32())} | numbers)


def to_row(item: Comparison, keep_image: Callable[[bytes], list], picture: Callable[[str], Picture]) -> dict[str, Any]:
    """The row of a comparison.

    Args:
        keep_image: bytes of an image file -> where they are kept.
        picture: the reference of a file -> what is known of it.

    Raises:
        ImageError: an image whose size cannot be read.
    """
    sizes = [side for ref in item.images for side in (picture(ref).shape if isinstance(ref, str) else image_size(ref))]
    labels = [[astuple(pair) for pair in item.pairs], item.ties, item.ranks, item.scores]
    return {
        "id": item.id, "group": item.group_by(lambda ref: picture(ref).content if isinstance(ref, str) else image_key(ref)),
        "messages": _json(item.messages), "labels": _json(labels),
        "images": _json([ref if isinstance(ref, str) else keep_image(_content(ref)) for ref in item.images]),
        "category": item.category, "meta": json.dumps(item.meta, default=str), "where": _valid(item.where),
        "responses": list(item.responses), "sizes": sizes, "weight": item.weight, "num_pairs": len(item.pairs),
        "num_images": len(item.images),
    }  # fmt: skip


def to_comparison(row: Mapping[str, Any], source: str, read_image: Callable[[list], bytes]) -> Comparison:
    """The comparison of a row.

    Args:
        read_image: what ``keep_image`` gave -> bytes.
    """
    pairs, ties, ranks, scores = read_labels(row["labels"])
    images = row["images"]
    refs = () if images == "[]" else tuple(ref if isinstance(ref, str) else read_image(ref) for ref in json.loads(images))
    return Comparison(
        messages=tuple(json.loads(row["messages"])), images=refs, responses=tuple(row["responses"]), pairs=pairs, id=row["id"],
        source=source, category=row["category"], weight=row["weight"], ranks=ranks, scores=scores, ties=ties,
        meta=json.loads(row["meta"]), where=row["where"],
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def read_labels(text: str) -> tuple[tuple[Pair, ...], tuple, tuple[int, ...] | None, tuple[float, ...] | None]:
    """Pairs, ties, ranks and scores; most rows of a source say the same."""
    pairs, ties, ranks, scores = json.loads(text)
    return (
        tuple(Pair(*pair) for pair in pairs),
        tuple(map(tuple, ties)),
        None if ranks is None else tuple(ranks),
        None if scores is None else tuple(scores),
    )


def _content(ref: object) -> bytes:
    """An image as the bytes of a file; pixels as the PNG of what the model sees of them."""
    if not isinstance(ref, Image.Image):
        return bytes(ref)
    file = io.BytesIO()
    load_image(ref).save(file, "PNG")
    return file.getvalue()


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if _valid(text) == text else json.dumps(value)


def _valid(text: str) -> str:
    """Half a surrogate pair, which a file's name can hold and Arrow cannot, written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
