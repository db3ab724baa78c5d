"""The pictures of comparisons -> a number for each comparison that two share when they show the same pictures in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from basereward.fingerprints.pictures import PictureBook, content_key, first_of_same
from basereward.fingerprints.text import digest
from basereward.records import Comparison, image_key


class SamePictures:
    """Collects the pictures of comparisons.

    Args:
        by: "reference", "content" or "looks", as `data.clean.pictures` explains them.
    """

    def __init__(self, by: str) -> None:
        self.by = by
        self._book = PictureBook()
        self._keys: dict[str, str] = {}
        self._names: dict[str, int] = {}
        self._shown: list[tuple[int, ...]] = []

    def look(self, comparisons: Sequence[Comparison]) -> None:
        """Takes further comparisons."""
        if self.by == "looks":
            self._book.look([ref for item in comparisons for ref in item.images])
        for item in comparisons:
            self._shown.append(tuple(self._number(ref) for ref in item.images))

    def keys(self) -> np.ndarray:
        """(comparisons so far,) uint64; 0 for those without pictures."""
        first = self._first()
        return np.array([digest(str([int(first[i]) for i in shown])) if shown else 0 for shown in self._shown], dtype=np.uint64)

    def _number(self, ref: object) -> int:
        key = image_key(ref)
        if self.by == "looks":
            self._names.setdefault(key, len(self._names))
            return self._book.number(ref)
        if self.by == "content":
            if key not in self._keys:
                self._keys[key] = content_key(ref)
            key = self._keys[key]
        return self._names.setdefault(key, len(self._names))

    def _first(self) -> np.ndarray:
        return first_of_same(*self._book.hashes()) if self.by == "looks" else np.arange(len(self._names))
