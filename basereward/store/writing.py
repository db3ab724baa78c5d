"""A stream of comparisons -> shards; what a killed start left is continued, and the files are the same whatever happened.

A shard appears under its name when it is whole. A start that finds shards goes through the rows again, without writing the ones that
are there and without decoding their pictures; the manifest, written last, makes the folder complete.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from basereward.errors import DataError
from basereward.images import trust_images
from basereward.records import Comparison
from basereward.runtime import file_hash, sync, write_json
from basereward.store.identity import IDENTITY
from basereward.store.rows import schema, to_row
from basereward.store.stored import MANIFEST, Stored, images_name, shard_name

SHARD_ROWS = 4096
SHARD_IMAGE_BYTES = 256 << 20
WRITING = ".writing-"

log = logging.getLogger(__name__)


class Stream(Protocol):
    """Comparisons in order, and the account of them afterwards."""

    manifest: dict[str, Any] | None

    def __iter__(self) -> Iterator[Comparison]: ...


def is_complete(folder: Path) -> bool:
    """Whether a source was prepared to its end."""
    return (folder / MANIFEST).is_file()


def write_store(stream: Stream, facts: dict[str, Any], folder: Path, tick: Callable[[int], None]) -> None:
    """Writes what is missing of a source.

    Args:
        stream: the comparisons from the first on, the same at every start.
        facts: identity of the source.
        tick: told how many more comparisons are done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{WRITING}*"):
        left.unlink()
    write_json(folder / IDENTITY, facts)
    done = _whole_shards(folder)
    writer = Writer(folder, facts["source"], done)
    trust_images(writer.known_images())
    items = iter(stream)
    for _ in islice(items, len(writer.stored)):
        tick(1)
    while writer.write_shard(items, tick):
        pass
    shards = writer.sizes
    names = sorted(file.name for file in folder.glob("shard-*") if file.suffix in (".arrow", ".images"))
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)} for name in names}
    write_json(folder / MANIFEST, {"comparisons": sum(shards), "shard_rows": shards, "files": files, "account": stream.manifest})


def broken_files(folder: Path) -> list[str]:
    """Files of a complete source that are missing or no longer have their checksums."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return [
        name
        for name, facts in manifest["files"].items()
        if not (folder / name).is_file() or file_hash(folder / name) != facts["sha256"]
    ]


def make_incomplete(folder: Path, broken: list[str]) -> None:
    """Takes the manifest and the first broken shard, with all after it, away: the next start writes them again."""
    (folder / MANIFEST).unlink()
    first = min(name.partition(".")[0] for name in broken)
    for file in folder.glob("shard-*"):
        if file.name.partition(".")[0] >= first:
            file.unlink()


class Writer:
    """Writes the shards that are not there yet.

    Args:
        done: rows of the shards that are.
    """

    def __init__(self, folder: Path, source: str, done: list[int]):
        self.folder, self.sizes = folder, list(done)
        self.stored = Stored(folder, source, done)
        self.places: dict[str, list] = {}
        for k in range(len(done)):
            if (folder / images_name(k)).is_file() or self.places:
                refs = (ref for row in self.stored.image_refs(k) for ref in row if not isinstance(ref, str))
                self.places.update((ref[0], ref) for ref in refs)

    def known_images(self) -> dict[str, tuple[int, int]]:
        """Path -> size of the pictures of the shards that are there: they were decoded when those were written."""
        return {
            ref: size
            for k in range(len(self.stored.sizes))
            for refs, sizes in zip(self.stored.image_refs(k), self.stored.image_sizes(k), strict=True)
            for ref, size in zip(refs, sizes, strict=True)
            if isinstance(ref, str)
        }

    def write_shard(self, items: Iterator[Comparison], tick: Callable[[int], None]) -> bool:
        """Writes the next shard; False when there are no more comparisons."""
        number, rows = len(self.sizes), []
        aside = self.folder / f"{WRITING}{images_name(number)}"
        with aside.open("wb") as file:
            for item in items:
                rows.append(to_row(item, lambda key, content: self._keep(key, content, file, number)))
                tick(1)
                if len(rows) == SHARD_ROWS or file.tell() >= SHARD_IMAGE_BYTES:
                    break
            size = file.tell()
        if size:
            _put(aside, self.folder / images_name(number))
        else:
            aside.unlink()
        if rows:
            write_arrow(self.folder / shard_name(number), rows, schema())
            self.sizes.append(len(rows))
        return bool(rows)

    def _keep(self, key: str, content: bytes, file: Any, number: int) -> list:
        if key not in self.places:
            self.places[key] = [key, number, file.tell(), len(content)]
            file.write(content)
        return self.places[key]


def write_arrow(path: Path, rows: list[dict[str, Any]], columns: Any) -> None:
    """Writes rows as one record batch; the file appears when it is whole."""
    import pyarrow as pa

    aside = path.with_name(f"{WRITING}{path.name}")
    with pa.OSFile(os.fspath(aside), "wb") as sink, pa.ipc.new_file(sink, columns) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, columns))
    _put(aside, path)


def _put(aside: Path, path: Path) -> None:
    sync(aside)
    os.replace(aside, path)


def _whole_shards(folder: Path) -> list[int]:
    """Rows of the shards that are there, from the first up to the first that is not."""
    sizes: list[int] = []
    while (file := folder / shard_name(len(sizes))).is_file():
        columns = Stored(folder, "", [0] * (len(sizes) + 1)).columns(len(sizes))
        sizes.append(len(columns["id"]))
        if not sizes[-1]:
            raise DataError(f"expected rows in {file}; found none; delete the folder and prepare the source again")
    return sizes
