"""Pictures -> names that two share when their bytes are the same, under whatever file name; each file is read once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tqdm.auto import tqdm

from basereward.fingerprints.pictures import content_key
from basereward.images import image_key

SHOW_PROGRESS_FROM = 2000
_AT_ONCE = 1024


class Contents:
    """The names of the files that were looked at; embedded pictures are named when they are asked for.

    Args:
        workers: threads that read.
    """

    def __init__(self, workers: int = min(8, os.cpu_count() or 1)) -> None:
        self._names: dict[str, str] = {}
        self._workers = workers

    def look(self, refs: Iterable[object]) -> None:
        """Reads the files that were not read before; one that cannot be read stands for itself, and is reported where data are read."""
        new = list(dict.fromkeys(ref for ref in refs if isinstance(ref, str) and ref not in self._names))
        hidden = len(new) < SHOW_PROGRESS_FROM
        with (
            tqdm(total=len(new), desc="pictures by content", unit="file", disable=hidden) as bar,
            ThreadPoolExecutor(self._workers) as pool,
        ):
            for start in range(0, len(new), _AT_ONCE):
                some = new[start : start + _AT_ONCE]
                self._names.update(zip(some, pool.map(content_key, some), strict=True))
                bar.update(len(some))

    def name(self, ref: object) -> str:
        """Of a picture; a file must have been looked at."""
        return self._names[ref] if isinstance(ref, str) else image_key(ref)
