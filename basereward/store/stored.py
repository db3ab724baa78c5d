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
from basereward.problems import counted
from basereward.records import Comparison, image_key
from basereward.runtime import file_hash
from basereward.store.command import prepare_command
from basereward.store.pictures import Picture, from_table
from basereward.store.rows import ROW, Preferences, read_labels, to_comparison

MANIFEST = "manifest.json"
KEYS = {"comparisons", "shard_rows", "files", "account"}
"""Of a manifest."""


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.arrow"


def images_name(number: int) -> str:
    """File name of the images that a shard's comparisons are the first to use, one after another."""
    return f"shard-{number:05d}.images"


def pictures_name(number: int) -> str:
    """File name of the table of pictures that stay files and that a shard's comparisons are the first to use."""
    return f"shard-{number:05d}.pictures"


def is_begun(folder: Path) -> bool:
    """Whether a source's folder holds shards or a manifest."""
    return (folder / MANIFEST).exists() or (folder / shard_name(0)).exists()


def open_prepared(folder: Path, name: str, command: str) -> Stored | None:
    """A prepared source; None where nothing was prepared.

    Raises:
        DataError: as of `Stored`; shards without a manifest are the work of a command that was interrupted, or is at work.
    """
    return Stored(folder, name, command=command) if is_begun(folder) else None


class Stored(Sequence[Comparison]):
    """A complete prepared source, or the first shards of one.

    Args:
        folder: of the source. name: of the source in the config. sizes: rows of each shard; read from the manifest when None.
        command: what prepares it again, for messages.

    Raises:
        DataError: the manifest or a file that it lists is missing or was cut off; later, a shard is not what was written.
    """

    def __init__(self, folder: Path, name: str, sizes: Sequence[int] | None = None, command: str | None = None):
        self.folder, self.name, self.command = folder, name, command or prepare_command()
        self.manifest: dict[str, Any] = {} if sizes is not None else _checked_manifest(folder, self.command)
        self.sizes = list(sizes if sizes is not None else self.manifest["shard_rows"])
        self.starts = np.cumsum([0, *self.sizes])
        self._columns: dict[int, Any] = {}
        self._checked: set[str] = set()
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
            batch = self._table(shard_name(number))
            self._columns[number] = {name: batch.column(name) for name in batch.schema.names}
        return self._columns[number]

    def ids(self) -> list[str]:
        """Names, not yet unique."""
        return [name for k in range(len(self.sizes)) for name in self.columns(k)["id"].to_pylist()]

    def groups(self) -> np.ndarray:
        """(n,) 32 bytes."""
        return self._hashes("group")

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

    def pictures(self, number: int) -> Iterator[tuple[str, Picture]]:
        """(reference, what was known of it) of the pictures that a shard is the first to use, of those that stay files."""
        name = pictures_name(number)
        return from_table(self._table(name)) if (self.folder / name).is_file() else iter(())

    def _table(self, name: str) -> Any:
        """A file's table. At its first use in a run its checksum is compared; workers have the word of the process that made them."""
        facts = self.manifest.get("files", {}).get(name)
        if facts is not None and name not in self._checked:
            if file_hash(self.folder / name) != facts["sha256"]:
                raise DataError(
                    f"{self.name}: expected {self.folder / name} as it was written; found other bytes of the same length; a disk that "
                    f"does this may fail; write it again: {self.command}"
                )
            self._checked.add(name)
        return read_table(self.folder / name, self.command)

    def _read_image(self, stored_at: list) -> bytes:
        key, shard, start, length = stored_at
        if shard not in self._images:
            with (self.folder / images_name(shard)).open("rb") as file:
                self._images[shard] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = self._images[shard][start : start + length]
        # Instead of a checksum of the file: training reads few of its pictures at a time, and each by its own process.
        if image_key(content) != key:
            place = f"bytes {start:,} to {start + length:,} of {self.folder / images_name(shard)}"
            raise DataError(
                f"{self.name}: expected the picture at {place} as it was written; found other bytes; a disk that does this may fail; "
                f"write it again: {self.command}"
            )
        return content

    def _hashes(self, name: str) -> np.ndarray:
        return np.array([value for k in range(len(self.sizes)) for value in self.columns(k)[name].to_pylist()], dtype="S32")

    def _numbers(self, name: str) -> np.ndarray:
        parts: Iterable = (self.columns(k)[name].to_numpy() for k in range(len(self.sizes)))
        return np.concatenate([np.zeros(0, np.int64), *parts])


def read_table(file: Path, command: str):
    """The one record batch of an Arrow file, mapped.

    Args:
        command: what writes the file again.

    Raises:
        DataError: it is missing or broken.
    """
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(file))).get_batch(0)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"expected a shard of a prepared source; found {file}, which cannot be read ({error}); write it again: {command}"
        ) from error


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a complete source; None where it is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.keys() >= KEYS else None


def _checked_manifest(folder: Path, command: str) -> dict[str, Any]:
    """The manifest; its files are there at their lengths."""
    manifest = read_manifest(folder)
    if manifest is None:
        shards = counted(len(list(folder.glob("shard-*.arrow"))), "shard")
        state = "a damaged one" if (folder / MANIFEST).exists() else "none"
        raise DataError(
            f"expected the manifest of a prepared source at {folder / MANIFEST}; found {state} beside {shards}; if no `data prepare` is at "
            f"work on it, finish what one began: {command}\n(or delete {folder} to read the source directly)"
        )
    for name, facts in manifest["files"].items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != facts["bytes"]:
            found = "no such file" if size is None else f"{size} bytes"
            raise DataError(f"expected {file} with {facts['bytes']} bytes; found {found}; write it again: {command}")
    return manifest
