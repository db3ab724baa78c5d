"""Token counts of prepared sources: counted once for each tokenizer, chat template and image limits, and kept beside the shards."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from basereward.encode import AT_ONCE, Encoder, Lengths
from basereward.errors import DataError
from basereward.store.files import write_arrow
from basereward.store.stored import Stored, read_table, shard_name

LENGTHS_FORMAT = 1
"""Raised when the same settings give other counts."""
SHARD = b"shard"
"""Under which a table names the checksum of its shard: one that was written again, for other pictures, is counted again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LengthTable:
    """(n,) tokens of comparisons: of a pack with it alone, and of its longest prefix + response."""

    packed: np.ndarray
    longest: np.ndarray

    @classmethod
    def of(cls, lengths: Sequence[Lengths]) -> LengthTable:
        """The table of counted comparisons."""
        return cls(np.array([item.packed for item in lengths], np.int64), np.array([item.longest for item in lengths], np.int64))

    @classmethod
    def joined(cls, tables: Sequence[LengthTable]) -> LengthTable:
        """One table after another."""
        none = np.zeros(0, np.int64)
        return cls(np.concatenate([none, *(t.packed for t in tables)]), np.concatenate([none, *(t.longest for t in tables)]))

    def take(self, rows: np.ndarray) -> LengthTable:
        """Of some comparisons."""
        return LengthTable(self.packed[rows], self.longest[rows])


def fingerprint(encoder: Encoder) -> str:
    """12 hexadecimal digits, the same for encoders that give the same counts."""
    tokenizer = encoder.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    facts = [LENGTHS_FORMAT, words, str(tokenizer.chat_template), type(encoder.family).__name__, repr(encoder.patch_settings)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def stored_lengths(stored: Stored, encoder: Encoder, tick: Callable[[int], None] = lambda count: None) -> LengthTable:
    """The counts of a source, shard after shard; shards that were not counted are, and kept where the folder can be written.

    Args:
        tick: told how many more comparisons are done.
    """
    name = fingerprint(encoder)
    return LengthTable.joined([_of_shard(stored, k, encoder, name, tick) for k in range(len(stored.sizes))])


def lengths_folder(folder: Path, encoder: Encoder) -> Path:
    """Where a source's counts for this encoder lie."""
    return folder / f"lengths-{fingerprint(encoder)}"


def _of_shard(stored: Stored, number: int, encoder: Encoder, name: str, tick: Callable[[int], None]) -> LengthTable:
    file = stored.folder / f"lengths-{name}" / shard_name(number)
    of_shard = stored.manifest["files"][shard_name(number)]["sha256"].encode()
    if not file.is_file() or (read_table(file, stored.command).schema.metadata or {}).get(SHARD) != of_shard:
        _count(stored, number, encoder, file, tick, {SHARD: of_shard})
    else:
        tick(stored.sizes[number])
    batch = read_table(file, stored.command)
    prefix, starts = batch.column("prefix").to_numpy(), batch.column("responses").offsets.to_numpy()
    responses = batch.column("responses").values.to_numpy()
    if len(prefix) != stored.sizes[number]:
        raise DataError(f"expected {stored.sizes[number]} rows in {file}; found {len(prefix)}; delete {file.parent}")
    sums, most = np.add.reduceat(responses, starts[:-1]), np.maximum.reduceat(responses, starts[:-1])
    return LengthTable((prefix + sums).astype(np.int64), (prefix + most).astype(np.int64))


def _count(
    stored: Stored, number: int, encoder: Encoder, file: Path, tick: Callable[[int], None], notes: dict[bytes, bytes]
) -> None:
    import pyarrow as pa

    first, sizes, rows = int(stored.starts[number]), stored.image_sizes(number), []
    for start in range(0, stored.sizes[number], AT_ONCE):
        items = [stored[first + i] for i in range(start, min(start + AT_ONCE, stored.sizes[number]))]
        for lengths in encoder.lengths(items, sizes[start : start + len(items)]):
            rows.append({"prefix": lengths.prefix, "responses": lengths.responses, "image_tokens": lengths.image_tokens})
        tick(len(items))
    counts = pa.list_(pa.int32())
    file.parent.mkdir(exist_ok=True)
    write_arrow(file, rows, pa.schema({"prefix": pa.int32(), "responses": counts, "image_tokens": counts}, notes))
