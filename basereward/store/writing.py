"""A stream of comparisons -> shards; what a killed start left is continued, and the files are the same whatever happened.

A shard appears under its name when it is whole. A start that finds shards goes through the rows again, without writing the ones that
are there and without decoding their pictures; the manifest, written last, makes the folder complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from basereward.errors import DataError
from basereward.images import image_key, trust_images
from basereward.records import Comparison
from basereward.runtime import file_hash, write_json
from basereward.store.command import prepare_command
from basereward.store.files import WRITING, appearing, told_when_full, write_arrow
from basereward.store.identity import IDENTITY
from basereward.store.pictures import Picture, Stamps, from_table, picture_of, to_table_row, unchanged
from basereward.store.pictures import schema as table_schema
from basereward.store.rows import schema, to_row
from basereward.store.stored import MANIFEST, Stored, images_name, pictures_name, read_table, shard_name

SHARD_ROWS = 4096
SHARD_IMAGE_BYTES = 256 << 20


class Stream(Protocol):
    """Comparisons in order, and the account of them afterwards."""

    manifest: dict[str, Any] | None

    def __iter__(self) -> Iterator[Comparison]: ...


def write_store(stream: Stream, facts: dict[str, Any], folder: Path, tick: Callable[[int], None]) -> None:
    """Writes what is missing of a source.

    Args:
        stream: the comparisons from the first on, the same at every start.
        facts: identity of the source.
        tick: told how many more comparisons are done.

    Raises:
        DataError: the disk is full; what is whole stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{WRITING}*"):
        left.unlink()
    with told_when_full(folder / IDENTITY, lambda: len(json.dumps(facts))):
        write_json(folder / IDENTITY, facts)
    writer = Writer(folder, facts["source"], _whole_shards(folder))
    trust_images({ref: picture.shape for ref, picture in writer.known.items()})
    items = iter(stream)
    for _ in islice(items, len(writer.stored)):
        tick(1)
    while writer.write_shard(items, tick):
        pass
    _take_away(folder, len(writer.sizes), (".pictures",))
    _write_manifest(folder, writer.sizes, stream.manifest)


def broken_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Files of a complete source that are missing or no longer have their checksums."""
    return [
        name
        for name, facts in manifest["files"].items()
        if not (folder / name).is_file() or file_hash(folder / name) != facts["sha256"]
    ]


def make_incomplete(folder: Path, first: int, broken: Iterable[str] = ()) -> None:
    """Takes the manifest, the shards from ``first`` on and the ``broken`` files away: the next start writes them again.

    What is known of pictures stays, unless it is broken: those that are the same are not decoded again.
    """
    (folder / MANIFEST).unlink(missing_ok=True)
    _take_away(folder, first, (".arrow", ".images"))
    for name in broken:
        (folder / name).unlink(missing_ok=True)


def number_of(name: str) -> int:
    """The shard that a file belongs to."""
    return int(name.partition(".")[0].removeprefix("shard-"))


class Images:
    """The embedded pictures that a shard is the first to use, in their file.

    Args:
        number: of the shard. places: key -> place of those that are stored; new ones are added.
    """

    def __init__(self, number: int, places: dict[str, list]):
        self.number, self.places, self.size = number, places, 0
        self.file: BinaryIO | None = None

    def keep(self, content: bytes) -> list:
        """Where a picture is, after it was written if it is new."""
        key = image_key(content)
        if key not in self.places:
            self.places[key] = [key, self.number, self.size, len(content)]
            # Counted before it is written: a full disk is told what was needed.
            self.size += len(content)
            self.file.write(content)
        return self.places[key]


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
        self.listed = {ref for k in range(len(done)) for ref, _ in self.stored.pictures(k)}
        self.known = unchanged(_remembered(folder))
        """Pictures of earlier starts, decoded then, and those of this one."""
        self._stamps = Stamps()

    def write_shard(self, items: Iterator[Comparison], tick: Callable[[int], None]) -> bool:
        """Writes the next shard; False when there are no more comparisons."""
        number, rows = len(self.sizes), []
        file, pictures = self.folder / images_name(number), {}
        images = Images(number, self.places)
        with appearing(file, lambda: images.size) as aside, aside.open("wb") as images.file:
            for item in items:
                rows.append(to_row(item, images.keep, lambda ref: self._picture(ref, pictures)))
                tick(1)
                if len(rows) == SHARD_ROWS or images.size >= SHARD_IMAGE_BYTES:
                    break
        if not images.size:
            file.unlink()
        self._write_pictures(number, pictures)
        if rows:
            # Last: where it is there, all of the shard is.
            write_arrow(self.folder / shard_name(number), rows, schema())
            self.sizes.append(len(rows))
        return bool(rows)

    def _picture(self, ref: str, pictures: dict[str, Picture]) -> Picture:
        if ref not in self.known:
            self.known[ref] = picture_of(ref, self._stamps)
        if ref not in self.listed:
            self.listed.add(ref)
            pictures[ref] = self.known[ref]
        return self.known[ref]

    def _write_pictures(self, number: int, pictures: dict[str, Picture]) -> None:
        file = self.folder / pictures_name(number)
        if pictures:
            write_arrow(file, [to_table_row(ref, picture) for ref, picture in pictures.items()], table_schema())
        else:
            file.unlink(missing_ok=True)


def _whole_shards(folder: Path) -> list[int]:
    """Rows of the shards that are there, from the first up to the first that is not."""
    sizes: list[int] = []
    while (file := folder / shard_name(len(sizes))).is_file():
        columns = Stored(folder, "", [0] * (len(sizes) + 1)).columns(len(sizes))
        sizes.append(len(columns["id"]))
        if not sizes[-1]:
            raise DataError(f"expected rows in {file}; found none; delete the folder and prepare the source again")
    return sizes


def _remembered(folder: Path) -> Iterator[tuple[str, Picture]]:
    """The pictures of all tables that are there, also of shards that were taken away; of a table that cannot be read none."""
    for file in sorted(folder.glob("shard-*.pictures")):
        with suppress(DataError):
            yield from from_table(read_table(file, prepare_command()))


def _take_away(folder: Path, first: int, suffixes: tuple[str, ...]) -> None:
    """Files of the shards from ``first`` on."""
    for file in folder.glob("shard-*"):
        if file.suffix in suffixes and number_of(file.name) >= first:
            file.unlink()


def _write_manifest(folder: Path, sizes: list[int], account: dict[str, Any] | None) -> None:
    names = sorted(file.name for file in folder.glob("shard-*") if file.suffix in (".arrow", ".images", ".pictures"))
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)} for name in names}
    manifest = {"comparisons": sum(sizes), "shard_rows": sizes, "files": files, "account": account}
    with told_when_full(folder / MANIFEST, lambda: len(json.dumps(manifest, indent=2))):
        write_json(folder / MANIFEST, manifest)
