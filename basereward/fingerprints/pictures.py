"""Pictures -> 72 bytes that survive another file format, quality and size; and the search for equal ones.

Of these, 256 bits are the signs of the lowest 16 x 16 frequencies of the picture in grey, 64 x 64, against their median. Sixty-four
bits, the usual size, are too few for pictures that share a layout (drawings, documents, crops of one photo). Then come
the mean colours of 4 x 4 fields, which tell drawings apart that differ in colour alone, and the proportions, which tell crops of one
photo apart. So a copy in grey, or squeezed into a square, is another picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from basereward.fingerprints.buckets import bucket_pairs, first_of_group
from basereward.images import ImageError, image_key, load_image, read_bytes

NUM_BITS = 256
MAX_DISTANCE = 16
"""Bits in which two hashes of one picture may differ. JPEG at quality 60 and 0.8 of the size change 4 in the median and 14 in 1 of 100;
the nearest of 1,200 other pictures, crops of four photos among them, differed in 22 (docs/experiments.md)."""
MAX_COLOUR = 6
"""Levels, of 256, by which the Cb or Cr of a field may differ; such copies changed 2 at most."""
MAX_STRETCH = 0.02
"""By how much of itself width / height may differ: what rounding does to a picture of 50 pixels."""
MIN_CONTRAST = 2.0
"""Standard deviation in grey levels; a picture below it is blank, and its bits would be noise."""

_SIDE, _KEPT, _FIELDS = 64, 16, 4
_WORDS = NUM_BITS // 64
HASH_WORDS = 2 * _WORDS + 1
# A unit of the proportions' logarithm; the logarithm of 2**40 is added, to keep it above 0.
_STEPS_PER_OCTAVE, _OCTAVES = 1000, 40
_BLOCK = 4096


def _cosines() -> np.ndarray:
    """(16, 64): the first rows of the discrete cosine transform, type 2."""
    frequency, place = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))


_COSINES = _cosines()


def picture_hash(image: Image.Image) -> np.ndarray | None:
    """(9,) uint64; None for a blank picture, which is like every other one.

    4 words of bits, 4 of colours (16 of Cb, then 16 of Cr, a byte each), 1 of the proportions.
    """
    grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    if grey.std() < MIN_CONTRAST:
        return None
    waves = (_COSINES @ grey @ _COSINES.T).ravel()
    fields = np.asarray(image.convert("RGB").resize((_FIELDS, _FIELDS), Image.Resampling.BOX).convert("YCbCr"))
    looks = np.concatenate([np.packbits(waves > np.median(waves)), fields[..., 1].ravel(), fields[..., 2].ravel()])
    shape = round(_STEPS_PER_OCTAVE * (np.log2(image.width / image.height) + _OCTAVES))
    return np.append(looks.view("<u8"), np.uint64(shape))


def content_key(ref: object) -> str:
    """32 hexadecimal digits that two pictures share whose bytes are the same, wherever they lie; one that cannot be read stands for
    its path.
    """
    if not isinstance(ref, str | os.PathLike):
        return image_key(ref)
    try:
        return image_key(read_bytes(ref))
    except ImageError:
        return reference_name(ref)


def reference_name(ref: object) -> str:
    """32 hexadecimal digits that two references of one path share, or two of the same bytes."""
    key = image_key(ref)
    if not isinstance(ref, str | os.PathLike):
        return key
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"path").hexdigest()


def picture_hashes(refs: Iterable[object], workers: int = min(8, os.cpu_count() or 1)) -> tuple[np.ndarray, np.ndarray]:
    """Every picture decoded and hashed; what cannot be read has no hash, and is reported where data are read.

    Args:
        workers: threads that decode.

    Returns:
        ((N, 9) uint64, (N,) bool: which of them have a hash; the others are zeros).
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        found = list(pool.map(_hash_or_none, refs))
    rows = [row if row is not None else np.zeros(HASH_WORDS, dtype=np.uint64) for row in found]
    return np.array(rows, dtype=np.uint64).reshape(-1, HASH_WORDS), np.array([row is not None for row in found], dtype=bool)


def same_pictures(hashes: np.ndarray, others: np.ndarray) -> list[np.ndarray]:
    """For each of the hashes, (N, 9), the positions in the others, (M, 9), that are the same picture."""
    found: list[np.ndarray] = []
    signs = _signs(others).T
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK]
        # Bits as -1 and 1: the product is the number of equal bits less the number of different ones.
        near = (NUM_BITS - _signs(block) @ signs) / 2 <= MAX_DISTANCE
        rows, places = np.nonzero(near)
        near[rows, places] = is_same(block[rows], others[places])
        found += [np.flatnonzero(row) for row in near]
    return found


def first_of_same(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The first picture that each one is the same as: (N,) int64; itself where there is none before it, or it has no hash.

    Candidates share one of 16 runs of 16 bits. Two hashes with 15 different bits always do; with 16, all but about one in a million.
    """
    places = np.flatnonzero(known)
    rows = hashes[places]
    pairs = bucket_pairs(np.ascontiguousarray(rows[:, :_WORDS]).view(np.uint16).T)
    blocks = (pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK))
    same = [block[is_same(rows[block[:, 0]], rows[block[:, 1]])] for block in blocks]
    first = np.arange(len(hashes))
    first[places] = places[first_of_group(len(places), np.concatenate([pairs[:0], *same]))]
    return first


def is_same(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P, 9) and (P, 9) uint64 -> (P,) bool: whether the two hashes of each row are of one picture."""
    bits, colours, stretch = differences(hashes, others)
    return (bits <= MAX_DISTANCE) & (colours <= MAX_COLOUR) & (stretch <= MAX_STRETCH)


def differences(hashes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P, 9) and (P, 9) uint64 -> in how many bits the two of each row differ, by how many levels in a field's colour at most, and by
    how much of itself in width / height.
    """
    bits = np.unpackbits(_bytes(hashes[:, :_WORDS] ^ others[:, :_WORDS]), axis=1).sum(axis=1)
    one, other = (_bytes(values[:, _WORDS : 2 * _WORDS]).astype(np.int16) for values in (hashes, others))
    steps = np.abs(hashes[:, -1].astype(np.int64) - others[:, -1].astype(np.int64))
    return bits, np.abs(one - other).max(axis=1, initial=0), np.exp2(steps / _STEPS_PER_OCTAVE) - 1


def _bytes(values: np.ndarray) -> np.ndarray:
    """(N, words) uint64 -> (N, 8 x words) uint8."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), 8 * values.shape[1])


def _signs(hashes: np.ndarray) -> np.ndarray:
    """(N, 9) uint64 -> (N, 256) float32 of -1 and 1."""
    return np.unpackbits(_bytes(hashes[:, :_WORDS]), axis=1).astype(np.float32) * 2 - 1


def _hash_or_none(ref: object) -> np.ndarray | None:
    try:
        return picture_hash(load_image(ref))
    except ImageError:
        return None
