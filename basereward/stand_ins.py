"""Other pictures in the place of an item's own: generated ones where a copy of a benchmark came without, and those of another item."""

from __future__ import annotations

import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from basereward.archives import ArchiveError, NoMember, opened, split_reference
from basereward.records import Comparison, image_key

SIDE, BLOCKS = 112, 7
"""Pixels of a generated picture, and how many blocks of one colour stand along a side."""


def is_missing(ref: object) -> bool:
    """Whether an image is a file, or a member of an archive, that is not there; what is there and broken is not missing."""
    if not isinstance(ref, str | os.PathLike):
        return False
    inside = split_reference(os.fspath(ref))
    if inside is None:
        return not os.path.exists(ref)
    try:
        return opened(inside[0]).index.find(inside[1]) is None
    except NoMember:
        return True
    except ArchiveError:
        return False


def missing_images(comparisons: Sequence[Comparison]) -> tuple[int, int]:
    """How many different images are not there, and how many there are in all."""
    refs = {image_key(ref): ref for item in comparisons for ref in item.images}
    return sum(map(is_missing, refs.values())), len(refs)


def with_generated(comparisons: Sequence[Comparison]) -> tuple[list[Comparison], list[int]]:
    """The same items with a generated picture for every image that is not there, and how many each has.

    The picture follows from the name of the file alone, so that one file is one picture; it shows coloured blocks, nothing of the question.
    """
    counts = [sum(map(is_missing, item.images)) for item in comparisons]
    found = [
        replace(item, images=tuple(generated(str(ref)) if is_missing(ref) else ref for ref in item.images)) if count else item
        for item, count in zip(comparisons, counts, strict=True)
    ]
    return found, counts


def generated(name: str) -> bytes:
    """A PNG of coloured blocks that the last part of a path decides.

    >>> generated("a/1.png") == generated("b/1.png"), generated("a/1.png") == generated("a/2.png")
    (True, False)
    """
    digest = hashlib.blake2b(os.path.basename(name).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    colours = np.random.default_rng(int.from_bytes(digest, "big")).integers(0, 256, (BLOCKS, BLOCKS, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, "png")
    return file.getvalue()


def shuffled(comparisons: Sequence[Comparison], seed: int = 0) -> list[Comparison]:
    """The same items, each with the images of another one: what is left of an accuracy is not owed to looking at the right picture.

    Items that have the same images have the same others; images go to items with as many, so that the markers fit. Items without
    images, and those whose number of images no other has, stay as they are.
    """
    kinds: dict[int, dict[tuple[str, ...], tuple[object, ...]]] = defaultdict(dict)
    keys = [tuple(map(image_key, item.images)) for item in comparisons]
    for item, key in zip(comparisons, keys, strict=True):
        kinds[len(key)].setdefault(key, item.images)
    others = {}
    for number, of_number in sorted(kinds.items()):
        drawn = np.random.default_rng([seed, number]).permutation(len(of_number))
        images, names = list(of_number.values()), list(of_number)
        # Along one circle through all of them in drawn order, so that none comes back to where it was.
        others |= {names[here]: images[there] for here, there in zip(drawn, np.roll(drawn, 1), strict=True)}
    return [replace(item, images=others[key]) for item, key in zip(comparisons, keys, strict=True)]
