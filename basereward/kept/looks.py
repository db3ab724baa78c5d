"""How pictures look, by a hash of their content: a picture is decoded once, wherever and however often it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from basereward import images
from basereward.fingerprints import pictures as fingerprints
from basereward.fingerprints.pictures import HASH_WORDS, picture_hashes
from basereward.kept.facts import shard_file
from basereward.kept.kinds import code_of
from basereward.kept.tables import read_table, whole, write_table
from basereward.store.stored import Stored

NAME = "S32"
AT_ONCE = 64
"""Pictures that are decoded before what was found is kept."""
ABOUT = "pictures by their content"
CODECS = (f"Pillow {PIL.__version__}", *(f"{name} {features.version(name)}" for name in ("jpg", "webp")))


class Looks:
    """How pictures look, by the names of their contents."""

    def __init__(self) -> None:
        self._place: dict[bytes, int] = {}
        self._hashes = np.zeros((AT_ONCE, HASH_WORDS), np.uint64)
        self._known = np.zeros(AT_ONCE, bool)

    def add(self, names: Sequence[bytes], hashes: np.ndarray, known: np.ndarray) -> None:
        """Takes pictures; the first account of one counts.

        Args:
            hashes, known: as `fingerprints.pictures.picture_hashes` gives them.
        """
        new, first = [k for k, name in enumerate(names) if name not in self._place], len(self._place)
        self._place.update((names[k], first + n) for n, k in enumerate(new))
        while len(self._known) < len(self._place):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        self._hashes[first : first + len(new)] = hashes[new]
        self._known[first : first + len(new)] = known[new]

    def of(self, names: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """((N, 9) uint64, (N,) bool: which of them have a hash)."""
        places = np.array([self._place[name] for name in names], dtype=np.int64)
        return self._hashes[places], self._known[places]

    def look(self, names: Iterable[bytes], ref_of: Callable[[bytes], object]) -> Iterator[list[bytes]]:
        """Decodes pictures that were not met before, some at a time; yields the names of those that were done.

        Args:
            names: of pictures. ref_of: name -> where such a picture is.
        """
        new = [name for name in dict.fromkeys(names) if name not in self._place]
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            self.add(some, *picture_hashes(ref_of(name) for name in some))
            yield some


def kept_looks(stored: Stored, number: int) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Names, hashes and which have a hash, of the pictures that were looked at for a shard."""
    table = read_table(_file(stored, number), ABOUT)
    if table is None:
        return [], np.zeros((0, HASH_WORDS), np.uint64), np.zeros(0, bool)
    return table.rows["picture"].tolist(), table.rows["hash"], table.rows["known"]


def keep_looks(stored: Stored, number: int, names: Sequence[bytes], looks: Looks) -> None:
    """Keeps how pictures of a shard look, whole or not at all.

    Raises:
        OSError, DataError: as of `tables.write_table`.
    """
    hashes, known = looks.of(names)
    write_table(_file(stored, number), whole({"picture": np.array(names, dtype=NAME), "hash": hashes, "known": known}), ABOUT)


def looks_code() -> str:
    """12 hexadecimal digits, the same while the same picture has the same looks."""
    return code_of((fingerprints, images), CODECS)


def _file(stored: Stored, number: int) -> Path:
    return stored.folder / f"facts-looks-{looks_code()}" / shard_file(number)
