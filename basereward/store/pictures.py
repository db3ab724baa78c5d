"""What a prepared source knows of the pictures that stay files: their sizes and content, and whether they are still the same.

A shard has a table of the pictures that it is the first to use. A run compares each with its file by size and time of change, and reads
only those whose time differs; `basereward data prepare` reads those again that differ, and decodes no other.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from typing import Any

from basereward.archive_parts import ArchiveError, parts_of
from basereward.archives import split_reference
from basereward.errors import DataError
from basereward.images import ImageError, image_key, image_size, read_bytes
from basereward.problems import counted

SHOWN = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A file, or a member of an archive, when it was prepared."""

    bytes: int
    """Of the file; of the archive that holds it."""
    time: int
    """When that was last changed, in nanoseconds."""
    content: str
    """Hash of the picture's own bytes."""
    width: int
    """Pixels, as displayed."""
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height


class Stamps:
    """Size and time of change of files; of an archive they are asked for once."""

    def __init__(self) -> None:
        self._of_archive = functools.cache(_stamp_of_archive)

    def __call__(self, ref: str) -> tuple[int, int] | None:
        """(bytes, nanoseconds) of what holds a picture; None where nothing is there."""
        try:
            inside = split_reference(ref)
            return _stamp([ref]) if inside is None else self._of_archive(inside[0])
        except (OSError, ArchiveError):
            return None


def picture_of(ref: str, stamps: Stamps) -> Picture:
    """What is known of a file now.

    Raises:
        ImageError: it cannot be read.
    """
    # The stamp comes first: a file that is replaced while it is read is then noticed later.
    stamp = stamps(ref) or (0, 0)
    return Picture(*stamp, image_key(read_bytes(ref)), *image_size(ref))


def schema() -> Any:
    """Of a shard's table of pictures."""
    import pyarrow as pa

    return pa.schema({"path": pa.large_string(), "content": pa.string()} | {name: pa.int64() for name in _NUMBERS})


def to_table_row(ref: str, picture: Picture) -> dict[str, Any]:
    """A row of the table; the path as JSON, since a file's name can hold what Arrow cannot."""
    return {"path": json.dumps(ref)} | dict(zip(_FIELDS, astuple(picture), strict=True))


def from_table(batch: Any) -> Iterator[tuple[str, Picture]]:
    """(reference, picture) of each row of a table."""
    columns = [batch.column(name).to_pylist() for name in _FIELDS]
    for path, *values in zip(batch.column("path").to_pylist(), *columns, strict=True):
        yield json.loads(path), Picture(*values)


def difference(ref: str, picture: Picture, stamps: Stamps) -> str | None:
    """How a file differs from when it was prepared; None when it is the same, "" when only its time of change is another."""
    stamp = stamps(ref)
    if stamp == (picture.bytes, picture.time):
        return None
    if stamp is None:
        return "is not there"
    if stamp[0] != picture.bytes and split_reference(ref) is None:
        return f"has {counted(stamp[0], 'byte')}, had {picture.bytes:,}"
    try:
        return "" if image_key(read_bytes(ref)) == picture.content else "has other content"
    except ImageError as error:
        return f"cannot be read: {error.found}"


def differences(stored: Any) -> Iterator[tuple[int, str, str]]:
    """(shard, reference, `difference`) for every picture that is not as it was prepared, the first shard first."""
    stamps = Stamps()
    for number in range(len(stored.sizes)):
        for ref, picture in stored.pictures(number):
            if (found := difference(ref, picture, stamps)) is not None:
                yield number, ref, found


def check_pictures(stored: Any) -> None:
    """Compares the pictures of a `Stored` with their files: a stat for each, and a read where only the time of change differs.

    Raises:
        DataError: some are gone or have other content; names the first of them and the command that repairs.
    """
    found = [(ref, how) for _, ref, how in differences(stored)]
    if changed := [(ref, how) for ref, how in found if how]:
        raise DataError(
            f"{stored.name}: expected the pictures as they were when they were prepared; found {counted(len(changed), 'picture')} changed: "
            f"{in_words(changed)}; prepare the source again, which reads these alone: {stored.command}"
        )
    if found:
        log.info(
            "%s: %s changed since, with the same content; %s spares reading them at each start",
            stored.name, f"the times of {counted(len(found), 'picture')}", stored.command,
        )  # fmt: skip


def in_words(changed: Iterable[tuple[str, str]]) -> str:
    """The first pictures that changed, each with how, and the number of the others."""
    lines = [f"{ref} {how}" for ref, how in changed]
    more = f"; and {counted(len(lines) - SHOWN, 'other')}" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def unchanged(pictures: Iterable[tuple[str, Picture]]) -> dict[str, Picture]:
    """Those whose files have the same content, with the stamps that they have now."""
    stamps, same = Stamps(), {}
    for ref, picture in pictures:
        how = difference(ref, picture, stamps)
        if not how:
            same[ref] = picture if how is None else Picture(*stamps(ref), picture.content, *picture.shape)
    return same


def _stamp(files: Iterable[str]) -> tuple[int, int]:
    stats = [os.stat(file) for file in files]
    return sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)


def _stamp_of_archive(path: str) -> tuple[int, int]:
    return _stamp(parts_of(path))


_FIELDS = tuple(item.name for item in fields(Picture))
_NUMBERS = tuple(name for name in _FIELDS if name != "content")
