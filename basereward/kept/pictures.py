"""Comparisons -> which pictures they show, by content, and how those look.

A picture's name is a hash of its bytes, so that it is decoded once wherever it is shown. A prepared source knows the names, and a
start compares them with the files; how a picture looks is kept beside the shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from basereward import records
from basereward.comparisons import Comparisons
from basereward.fingerprints import pictures as fingerprints
from basereward.fingerprints.contents import Contents
from basereward.fingerprints.pictures import reference_name
from basereward.images import ImageError, image_key, read_bytes
from basereward.kept.facts import Tick, chunks, keeping, progress
from basereward.kept.kinds import Kind
from basereward.kept.looks import NAME, Looks, keep_looks, kept_looks
from basereward.kept.tables import Table
from basereward.reading import with_progress
from basereward.records import Comparison
from basereward.store.stored import Stored


def references_of(comparisons: Sequence[Comparison]) -> Table:
    """The pictures by the names of their references; no file is opened."""
    return _shown([[reference_name(ref) for ref in item.images] for item in comparisons])


REFERENCES = Kind("references", references_of, (fingerprints, records))


def pictures_of(comparisons: Sequence[Comparison], looks: Looks | None = None) -> Table:
    """The pictures of comparisons: entries `picture`, the name of each one's content.

    Args:
        looks: told how each of them looks; none is decoded when None.
    """
    if not isinstance(comparisons, Comparisons):
        return _listed(comparisons, looks)
    by_view = [
        _stored(view.part, looks).take(view.rows) if isinstance(view.part, Stored) else _listed(view, looks)
        for view in comparisons.views
    ]
    return Table.joined([_shown([]), *by_view])


def shard_pictures(stored: Stored, looks: Looks | None, tick: Tick, *, must_keep: bool = False) -> Iterator[Table]:
    """The pictures of one shard after another; those whose looks are not kept are decoded, and what is seen is kept.

    Args:
        tick: told how many more comparisons are done. must_keep: as of `facts.keeping`.
    """
    if looks is not None:
        for k in range(len(stored.sizes)):
            looks.add(*kept_looks(stored, k))
    names: dict[str, str] = {}
    for k, count in enumerate(stored.sizes):
        names.update((ref, picture.content) for ref, picture in stored.pictures(k))
        rows = stored.image_refs(k)
        table = _shown([[names[ref] if isinstance(ref, str) else ref[0] for ref in row] for row in rows])
        if looks is not None:
            _look(stored, k, table, looks, must_keep)
        tick(count)
        yield table


def _listed(comparisons: Iterable[Comparison], looks: Looks | None) -> Table:
    contents = Contents()
    shown: list[list[str]] = []
    for chunk in chunks(with_progress(comparisons, "looking at pictures", unit=" comparisons")):
        refs = [ref for item in chunk for ref in item.images]
        contents.look(refs)
        named = [[contents.name(ref) for ref in item.images] for item in chunk]
        if looks is not None:
            by_name = dict(zip((name.encode() for row in named for name in row), refs, strict=True))
            list(looks.look(by_name, by_name.__getitem__))
        shown += named
    return _shown(shown)


def _stored(stored: Stored, looks: Looks | None) -> Table:
    with progress(stored, "pictures") as tick:
        return Table.joined([_shown([]), *shard_pictures(stored, looks, tick)])


def _look(stored: Stored, number: int, table: Table, looks: Looks, must_keep: bool) -> None:
    """Decodes the pictures of a shard whose looks are not known, and keeps them; but not of a file that is another one now."""
    names, first = np.unique(table.entries["picture"], return_index=True)
    place_of = dict(zip(names.tolist(), first.tolist(), strict=True))
    owners, starts, others = table.owners, np.cumsum(table.counts) - table.counts, set()

    def content_of(name: bytes) -> bytes:
        place = place_of[name]
        row = int(owners[place])
        content = _content(stored[int(stored.starts[number]) + row].images[place - int(starts[row])], name)
        if content is None:
            others.add(name)
        return content or b""

    done: list[bytes] | None = None
    for some in looks.look(place_of, content_of):
        done = kept_looks(stored, number)[0] if done is None else done
        done += [name for name in some if name not in others]
        with keeping(stored, must_keep):
            keep_looks(stored, number, done, looks)


def _content(ref: object, name: bytes) -> bytes | None:
    """The bytes of a picture; None where they are not those of this name."""
    try:
        content = read_bytes(ref)
    except ImageError:
        return None
    return content if image_key(content) == name.decode() else None


def _shown(names: Sequence[Sequence[str]]) -> Table:
    counts = np.array([len(row) for row in names], np.int64)
    return Table(counts, {}, {"picture": np.array([name for row in names for name in row], dtype=NAME)})
