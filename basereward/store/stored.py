"""The comparisons of a prepared source, memory-mapped: a row is decoded when it is asked for, and only pages that are read take memory."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from basereward.errors import DataError
from basereward.records import Comparison
from basereward.store.rows import ROW, Preferences, read_labels, to_comparison

MANIFEST = "manifest.json"
ADVICE = "prepare the source again: basereward data prepare"


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.arrow"


def images_name(number: int) -> str:
    """File name of the images that a shard's comparisons are the first to use, one after another."""
    return f"shard-{number:05d}.images"


class Stored(Sequence[Comparison]):
    """A complete prepared source, or the first shards of one.

    Args:
        folder: of the source. name: of the source in the config. sizes: rows of each shard; read from the manifest when None.

    Raises:
        DataError: the manifest or a file that it lists is missing or was cut off.
    """

    def __init__(self, folder: Path, name: str, sizes: Sequence[int] | None = None):
        self.folder, self.name = folder, name
        self.manifest: dict[str, Any] = {} if sizes is not None else _checked_manifest(folder)
        self.sizes = list(sizes if sizes is not None else self.manifest["shard_rows"])
        self.starts = np.cumsum([0, *self.sizes])
        self._columns: dict[int, Any] = {}
        self._images: dict[int, mmap.mmap] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_columns": {}, "_images": {}}  # files are opened again in another process

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> Comparison:
        if not 0 <= index < len(self):
            raise IndexError(index)
        k = int(np.searchsorted(self.starts, index, side="right")) - 1
        row = index - int(self.starts[k])
        columns = self.columns(k)
        values = {name: columns[name][row].as_py() for name in ROW}
        return to_comparison(values, self.name, self._read_image)

    def columns(self, number: int) -> dict[str, Any]:
        """Column -> Arrow array of a shard, on its mapped file."""
        if number not in self._columns:
            batch = read_table(self.folder / shard_name(number))
            self._columns[number] = {name: batch.column(name) for name in batch.schema.names}
        return self._columns[number]

    def ids(self) -> list[str]:
        """Names, not yet unique."""
        return [name for k in range(len(self.sizes)) for name in self.columns(k)["id"].to_pylist()]

    def groups(self) -> np.ndarray:
        """(n,) 32 bytes."""
        return self._hashes("group")

    def split_keys(self) -> np.ndarray:
        """(n,) 32 bytes."""
        return self._hashes("split_key")

    def num_pairs(self) -> np.ndarray:
        """(n,) int."""
        return self._numbers("num_pairs")

    def num_images(self) -> np.ndarray:
        """(n,) int."""
        return self._numbers("num_images")

    def preferences(self) -> Iterator[Preferences]:
        """What a loss asks of the data, in order."""
        for k in range(len(self.sizes)):
            columns = self.columns(k)
            for name, labels in zip(columns["id"].to_pylist(), columns["labels"].to_pylist(), strict=True):
                yield Preferences(name, self.name, *read_labels(labels))

    def image_sizes(self, number: int) -> list[list[tuple[int, int]]]:
        """(width, height) of each image of each comparison of a shard."""
        return [list(zip(sides[::2], sides[1::2], strict=True)) for sides in self.columns(number)["sizes"].to_pylist()]

    def image_refs(self, number: int) -> list[list]:
        """The images of each comparison of a shard: paths, or places of stored bytes."""
        return [json.loads(text) for text in self.columns(number)["images"].to_pylist()]

    def _read_image(self, place: list) -> bytes:
        shard, start, length = place[1:]
        if shard not in self._images:
            with (self.folder / images_name(shard)).open("rb") as file:
                self._images[shard] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._images[shard][start : start + length]

    def _hashes(self, name: str) -> np.ndarray:
        return np.array([value for k in range(len(self.sizes)) for value in self.columns(k)[name].to_pylist()], dtype="S32")

    def _numbers(self, name: str) -> np.ndarray:
        parts: Iterable = (self.columns(k)[name].to_numpy() for k in range(len(self.sizes)))
        return np.concatenate([np.zeros(0, np.int64), *parts])


def read_table(file: Path):
    """The one record batch of an Arrow file, mapped.

    Raises:
        DataError: it is missing or broken.
    """
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(file))).get_batch(0)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"expected a shard of a prepared source; found {file}, which cannot be read ({error}); {ADVICE}"
        ) from error


def _checked_manifest(folder: Path) -> dict[str, Any]:
    """The manifest; its files are there at their lengths. Checksums are compared by `basereward data prepare`, which reads all."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"expected a prepared source; found no readable {folder / MANIFEST} ({error}); {ADVICE}") from error
    for name, facts in manifest["files"].items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != facts["bytes"]:
            found = "no such file" if size is None else f"{size} bytes"
            raise DataError(f"expected {file} with {facts['bytes']} bytes; found {found}; {ADVICE}")
    return manifest
