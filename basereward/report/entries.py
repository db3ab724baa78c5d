"""A comparison -> what a card shows of it, ready for JSON: what was asked and answered, and its pictures as data URIs."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from basereward.images import ImageError, load_image
from basereward.records import Comparison
from basereward.report.markup import clean

THUMBNAIL_SIDE = 320


def describe(comparison: Comparison, *, max_pictures: int | None = None) -> dict[str, Any]:
    """What was asked and answered, and where it comes from.

    Args:
        max_pictures: so many are shown, and `more_pictures` counts the rest; all when None.
    """
    return {
        "id": clean(comparison.id),
        "category": clean(comparison.category),
        "source": clean(comparison.source),
        "pictures": [picture(ref) for ref in comparison.images[:max_pictures]],
        "more_pictures": len(comparison.images[max_pictures:]) if max_pictures is not None else 0,
        "turns": [
            {"role": clean(turn["role"]), "parts": [_part(part) for part in turn["content"]]} for turn in comparison.messages
        ],
        "responses": [clean(text) for text in comparison.responses],
    }


def _part(part: dict) -> str | None:
    """A text; None stands for the next picture."""
    return clean(part["text"]) if part["type"] == "text" else None


def picture(ref: object) -> dict[str, Any]:
    """A thumbnail as a data URI with its own and the picture's size in pixels, or the reason why there is none."""
    try:
        image = load_image(ref)
    except ImageError as error:
        return {"problem": clean(error.reason)}
    size = image.size
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    return {"uri": data_uri(image), "shown": list(image.size), "size": list(size)}


def data_uri(image: Image.Image) -> str:
    """PNG or JPEG, whichever is smaller: drawings stay exact and photos small."""
    encoded = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 85})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded.append((kind, buffer.getvalue()))
    kind, data = min(encoded, key=lambda pair: len(pair[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
