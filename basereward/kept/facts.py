"""Comparisons -> their facts: read where they were kept, worked out where they were not.

Of a prepared source every shard has a file for each kind of facts, which is about the shard's rows alone: what else is trained on,
how much of it, and what is left out do not touch it. Facts of comparisons in memory are worked out at every start.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from basereward.comparisons import Comparisons
from basereward.errors import DataError
from basereward.kept.kinds import Kind
from basereward.kept.tables import Table, read_table, write_table
from basereward.reading import with_progress
from basereward.records import Comparison
from basereward.store.stored import Stored, shard_name

CHUNK = 512
"""Comparisons that are held at a time."""
PATIENCE = 2.0
"""Seconds before a bar is shown."""

log = logging.getLogger(__name__)
Tick = Callable[[int], None]


def facts_of(comparisons: Sequence[Comparison], kinds: Sequence[Kind]) -> list[Table]:
    """A table for each kind; the comparisons are gone through once, in order, and not held."""
    if not isinstance(comparisons, Comparisons):
        return _worked_out(comparisons, kinds)
    by_view = [
        [table.take(view.rows) for table in stored_facts(view.part, kinds)]
        if isinstance(view.part, Stored)
        else _worked_out(view, kinds)
        for view in comparisons.views
    ]
    return _joined(by_view, kinds)


def stored_facts(stored: Stored, kinds: Sequence[Kind]) -> list[Table]:
    """A table for each kind, of all comparisons of a prepared source."""
    with progress(stored) as tick:
        return _joined(list(shard_facts(stored, kinds, tick)), kinds)


def shard_facts(stored: Stored, kinds: Sequence[Kind], tick: Tick, *, must_keep: bool = False) -> Iterator[list[Table | None]]:
    """The tables of one shard after another; what is missing is worked out, in one pass over the rows, and kept.

    Args:
        tick: told how many more comparisons are done. must_keep: as of `keeping`.
    """
    folders = [kind.folder for kind in kinds]
    for k, count in enumerate(stored.sizes):
        found = [_kept(stored, k, folder) for folder in folders]
        missing = [i for i, table in enumerate(found) if table is None]
        if missing:
            for i, table in zip(missing, _worked_out(shard_items(stored, k), [kinds[i] for i in missing]), strict=True):
                found[i] = table
                with keeping(stored, must_keep):
                    write_table(_file(stored, k, folders[i]), table, _about(stored, k))
        tick(count)
        yield found


def _kept(stored: Stored, number: int, folder: str) -> Table | None:
    """The facts of a shard; None where there are none about these rows."""
    table = read_table(_file(stored, number, folder), _about(stored, number))
    return table if table is not None and len(table) == stored.sizes[number] else None


@contextmanager
def keeping(stored: Stored, must: bool) -> Iterator[None]:
    """Where facts are written: a folder that cannot be written costs working them out again, and a word in the log.

    Args:
        must: an error instead.
    """
    try:
        yield
    except (OSError, DataError) as error:
        if must:
            raise
        _say_once(stored.name, stored.folder, str(error))


@functools.cache
def _say_once(name: str, folder: Path, why: str) -> None:
    log.warning("%s: what was worked out of its rows cannot be kept and will be worked out again: %s", name, why)


def shard_file(number: int) -> str:
    """File name of the facts about a shard."""
    return f"shard-{number:05d}.npz"


def shard_items(stored: Stored, number: int) -> Iterator[Comparison]:
    """The comparisons of a shard."""
    first = int(stored.starts[number])
    return (stored[first + row] for row in range(stored.sizes[number]))


def chunks(comparisons: Sequence[Comparison] | Iterator[Comparison]) -> Iterator[list[Comparison]]:
    """`CHUNK` comparisons at a time."""
    stream = iter(comparisons)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


@contextmanager
def progress(stored: Stored, what: str = "screening") -> Iterator[Tick]:
    """A bar for what takes longer than a moment."""
    from tqdm.auto import tqdm

    with tqdm(desc=f"{stored.name}: {what}", total=len(stored), unit=" comparisons", delay=PATIENCE, mininterval=0.5) as bar:
        yield bar.update


def _worked_out(comparisons: Sequence[Comparison] | Iterator[Comparison], kinds: Sequence[Kind]) -> list[Table]:
    stream = with_progress(comparisons, "screening", unit=" comparisons")
    return _joined([[kind.of(chunk) for kind in kinds] for chunk in chunks(stream)], kinds)


def _joined(parts: Sequence[Sequence[Table]], kinds: Sequence[Kind]) -> list[Table]:
    """The tables of each kind, one after another; of no comparisons, empty ones."""
    return [Table.joined([kind.of([]), *(part[k] for part in parts)]) for k, kind in enumerate(kinds)]


def _file(stored: Stored, number: int, folder: str) -> Path:
    return stored.folder / folder / shard_file(number)


def _about(stored: Stored, number: int) -> str:
    return stored.manifest["files"][shard_name(number)]["sha256"]
