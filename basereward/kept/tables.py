"""Facts of comparisons as arrays, and the file that holds those of one shard.

A file is a numpy archive: its checksums show when it was cut off or changed, and nothing in it is executed when it is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from basereward.runtime import write_bytes
from basereward.store.files import told_when_full

_ROWS, _ENTRIES, _COUNTS, _OF = "row.", "entry.", "counts", "of"


@dataclass(frozen=True)
class Table:
    """Facts of n comparisons, in order; each also has a number of entries (its pairs, its responses, its images)."""

    counts: np.ndarray
    """(n,) int64: entries of each comparison."""
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Name -> (n, ...)."""
    entries: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Name -> (sum of counts, ...): those of the first comparison, then those of the second, and so on."""

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def owners(self) -> np.ndarray:
        """(sum of counts,) int64: the comparison that each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, chosen: np.ndarray) -> Table:
        """Some comparisons, by their numbers, ascending."""
        if len(chosen) == len(self):
            return self  # a copy of a million signatures is half a GiB
        counts = self.counts[chosen]
        starts = np.cumsum(self.counts) - self.counts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(starts[chosen], counts) + within
        rows = {name: values[chosen] for name, values in self.rows.items()}
        return Table(counts, rows, {name: values[places] for name, values in self.entries.items()})

    @classmethod
    def joined(cls, tables: Sequence[Table]) -> Table:
        """One table after another: at least one, all with the same columns."""
        tables = [table for table in tables if len(table)] or tables[:1]
        if len(tables) == 1:
            return tables[0]
        return cls(
            np.concatenate([table.counts for table in tables]),
            {name: np.concatenate([table.rows[name] for table in tables]) for name in tables[0].rows},
            {name: np.concatenate([table.entries[name] for table in tables]) for name in tables[0].entries},
        )


def whole(rows: Mapping[str, np.ndarray]) -> Table:
    """A table without entries."""
    return Table(np.zeros(len(next(iter(rows.values()))), np.int64), rows)


def write_table(file: Path, table: Table, of: str) -> None:
    """Keeps a table, whole or not at all.

    Args:
        of: what the facts are about; asked for when they are read.

    Raises:
        OSError: the folder cannot be written.
        DataError: the disk is full.
    """
    write_arrays(file, arrays_of(table), of)


def read_table(file: Path, of: str) -> Table | None:
    """A table that was kept; None where there is none, it is about something else, or the file is not as it was written."""
    arrays = read_arrays(file, of)
    return table_of(arrays) if arrays is not None and _COUNTS in arrays else None


def arrays_of(table: Table) -> dict[str, np.ndarray]:
    """A table's arrays by the names that they are kept under."""
    rows = {_ROWS + name: values for name, values in table.rows.items()}
    return rows | {_ENTRIES + name: values for name, values in table.entries.items()} | {_COUNTS: table.counts}


def table_of(arrays: Mapping[str, np.ndarray]) -> Table:
    """The table of `arrays_of`; other arrays may stand beside its own."""
    rows = {name.removeprefix(_ROWS): values for name, values in arrays.items() if name.startswith(_ROWS)}
    entries = {name.removeprefix(_ENTRIES): values for name, values in arrays.items() if name.startswith(_ENTRIES)}
    return Table(arrays[_COUNTS], rows, entries)


def write_arrays(file: Path, arrays: Mapping[str, np.ndarray], of: str) -> None:
    """Keeps arrays, whole or not at all; as of `write_table`."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays, **{_OF: np.array(of)})
    with told_when_full(file, lambda: len(content.getvalue())):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, content.getvalue())


def read_arrays(file: Path, of: str) -> dict[str, np.ndarray] | None:
    """Arrays that were kept; None as of `read_table`."""
    unusable = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)
    with suppress(*unusable), np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files} if str(kept[_OF]) == of else None
    return None
