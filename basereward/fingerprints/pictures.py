"""Pictures -> 256 bits that survive another file format, quality and size; and the search for equal ones.

The bits are the signs of the lowest 16 x 16 frequencies of the picture in grey, 64 x 64, against their median. Sixty-four bits, the
usual size, are too few for pictures that share a layout (drawings, documents, crops of one photo).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from basereward.fingerprints.buckets import bucket_pairs, first_of_group
from basereward.images import ImageError, image_key, load_image

NUM_BITS = 256
MAX_DISTANCE = 16
"""Bits in which two hashes of one picture may differ. JPEG at quality 60 and 0.8 of the size change 4 in the median and 14 in 1 of 100;
the nearest of 1,200 other pictures, crops of four photos among them, differed in 22 (docs/experiments.md)."""
MIN_CONTRAST = 2.0
"""Standard deviation in grey levels; a picture below it is blank, and its bits would be noise."""

_SIDE, _KEPT = 64, 16
_BLOCK = 4096


def _cosines() -> np.ndarray:
    """(16, 64): the first rows of the discrete cosine transform, type 2."""
    frequency, place = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))


_COSINES = _cosines()


def picture_hash(image: Image.Image) -> np.ndarray | None:
    """(4,) uint64, or None for a blank picture, which is like every other blank one."""
    grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    if grey.std() < MIN_CONTRAST:
        return None
    waves = (_COSINES @ grey @ _COSINES.T).ravel()
    return np.packbits(waves > np.median(waves)).view("<u8")


def content_key(ref: object) -> str:
    """What two pictures share whose bytes are the same, wherever they lie; a path that cannot be read stands for itself."""
    try:
        return image_key(Path(ref).read_bytes()) if isinstance(ref, str | os.PathLike) else image_key(ref)
    except OSError:
        return image_key(ref)


class PictureBook:
    """Each picture's hash, computed once however often the picture is met.

    Args:
        workers: threads that decode.
    """

    def __init__(self, workers: int = min(8, os.cpu_count() or 1)) -> None:
        self._number: dict[str, int] = {}
        self._hashes: list[np.ndarray | None] = []
        self._workers = workers

    def look(self, refs: Iterable[object]) -> None:
        """Hashes the pictures that were not met before; what cannot be read has no hash, and is reported where data are read."""
        new = {key: ref for ref in refs if (key := image_key(ref)) not in self._number}
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            for key, found in zip(new, pool.map(_hash_or_none, new.values()), strict=True):
                self._number[key] = len(self._hashes)
                self._hashes.append(found)

    def number(self, ref: object) -> int:
        """The position of a picture's hash in `hashes`."""
        return self._number[image_key(ref)]

    def hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """((N, 4) uint64, (N,) bool: which of them have a hash; the others are zeros)."""
        known = np.array([found is not None for found in self._hashes], dtype=bool)
        rows = [found if found is not None else np.zeros(4, dtype=np.uint64) for found in self._hashes]
        return np.array(rows, dtype=np.uint64).reshape(-1, 4), known


def same_pictures(hashes: np.ndarray, others: np.ndarray, *, max_distance: int = MAX_DISTANCE) -> list[np.ndarray]:
    """For each of the hashes, (N, 4), the positions in the others, (M, 4), that are the same picture."""
    found: list[np.ndarray] = []
    signs = _signs(others).T
    for start in range(0, len(hashes), _BLOCK):
        # Bits as -1 and 1: the product is the number of equal bits less the number of different ones.
        different = (NUM_BITS - _signs(hashes[start : start + _BLOCK]) @ signs) / 2
        found += [np.flatnonzero(row) for row in different <= max_distance]
    return found


def first_of_same(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The first picture that each one is the same as: (N,) int64; itself where there is none before it, or it has no hash.

    Candidates share one of 16 runs of 16 bits. Two hashes with 15 different bits always do; with 16, all but about one in a million.
    """
    places = np.flatnonzero(known)
    rows = hashes[places]
    pairs = bucket_pairs(rows.view(np.uint16).reshape(-1, NUM_BITS // 16).T)
    blocks = (pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK))
    same = [block[_distances(rows[block[:, 0]], rows[block[:, 1]]) <= MAX_DISTANCE] for block in blocks]
    first = np.arange(len(hashes))
    first[places] = places[first_of_group(len(places), np.concatenate([pairs[:0], *same]))]
    return first


def _distances(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P, 4) and (P, 4) uint64 -> (P,): in how many bits they differ."""
    return np.unpackbits((hashes ^ others).view(np.uint8).reshape(len(hashes), -1), axis=1).sum(axis=1)


def _signs(hashes: np.ndarray) -> np.ndarray:
    """(N, 4) uint64 -> (N, 256) float32 of -1 and 1."""
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), -1), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _hash_or_none(ref: object) -> np.ndarray | None:
    try:
        return picture_hash(load_image(ref))
    except ImageError:
        return None
