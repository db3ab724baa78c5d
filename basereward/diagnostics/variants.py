"""Other writings of the same comparison, which should get the same rewards: comparison -> comparison, or None where it has no such part.

A variant of the user's own is a function of this shape, named in `diagnostics.consistency.variants`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

from basereward.diagnostics.styles import sentences
from basereward.images import load_image
from basereward.records import Comparison

JPEG_QUALITY = 90


def again(item: Comparison) -> Comparison:
    """The same, scored once more, in packs with other neighbours: what rounding does."""
    return item


def png(item: Comparison) -> Comparison | None:
    """Every picture decoded and written as PNG, which loses nothing."""
    return _reencoded(item, format="png")


def jpeg(item: Comparison) -> Comparison | None:
    """Every picture decoded and written as JPEG of quality 90, which hardly anybody would see."""
    return _reencoded(item, format="jpeg", quality=JPEG_QUALITY)


def _reencoded(item: Comparison, **options: object) -> Comparison | None:
    if not item.images:
        return None
    encoded = []
    for ref in item.images:
        file = io.BytesIO()
        load_image(ref).save(file, **options)
        encoded.append(file.getvalue())
    return replace(item, images=tuple(encoded))


def lines(item: Comparison) -> Comparison | None:
    """A new line after each sentence of the responses."""
    return _respelled(item, lambda text: "\n".join(sentences(text)))


def spaces(item: Comparison) -> Comparison | None:
    """Two spaces after each sentence of the responses."""
    return _respelled(item, lambda text: re.sub(r"(?<=[.!?]) (?=\S)", "  ", text))


def trailing(item: Comparison) -> Comparison | None:
    """A space and a new line behind every response."""
    return _respelled(item, lambda text: f"{text} \n")


def _respelled(item: Comparison, change: Callable[[str], str]) -> Comparison | None:
    changed = tuple(map(change, item.responses))
    return None if changed == item.responses else replace(item, responses=changed)


def prompt_lines(item: Comparison) -> Comparison:
    """An empty line behind the prompt."""
    *before, last = item.messages
    return replace(item, messages=(*before, last | {"content": [*last["content"], {"type": "text", "text": "\n\n"}]}))
