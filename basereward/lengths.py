"""Token counts of prepared sources: counted once for each tokenizer, chat template and image limits, and kept beside the shards."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from basereward.backbones.towers import Seen
from basereward.encode import AT_ONCE, Encoder, Lengths
from basereward.errors import DataError
from basereward.flops import Passes, Sizes, Work, causal_pairs, flops
from basereward.store.files import write_arrow
from basereward.store.stored import Stored, read_table, shard_name

LENGTHS_FORMAT = 1
"""Raised when the same settings give other counts."""
SHARD = b"shard"
"""Under which a table names the checksum of its shard: one that was written again, for other pictures, is counted again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LengthTable:
    """What packs and their costs are planned by; (n,) int64 each, one entry for each comparison.

    Attributes:
        packed: tokens of a pack with it alone. longest: of its longest prefix + response.
        pairs: (query, key) pairs that may see each other. image_tokens, image_squares: of its pictures, the sum and that of squares.
    """

    packed: np.ndarray
    longest: np.ndarray
    pairs: np.ndarray
    image_tokens: np.ndarray
    image_squares: np.ndarray

    @classmethod
    def of(cls, lengths: Sequence[Lengths]) -> LengthTable:
        """The table of counted comparisons."""
        rows = [
            (item.packed, item.longest, causal_pairs(item.prefix, item.responses), sum(item.image_tokens),
             sum(n**2 for n in item.image_tokens)) for item in lengths
        ]  # fmt: skip
        return cls(*np.array(rows, np.int64).reshape(-1, 5).T)

    @classmethod
    def joined(cls, tables: Sequence[LengthTable]) -> LengthTable:
        """One table after another."""
        none = np.zeros(0, np.int64)
        return cls(*(np.concatenate([none, *(getattr(t, field.name) for t in tables)]) for field in fields(cls)))

    def take(self, rows: np.ndarray) -> LengthTable:
        """Of some comparisons."""
        return LengthTable(*(getattr(self, field.name)[rows] for field in fields(self)))

    def costs(self, sizes: Sizes, passes: Passes) -> np.ndarray:
        """(n,) floating-point operations of a step on each comparison."""
        seen = sizes.tower.estimate(self.image_tokens, self.image_squares) if sizes.tower else Seen()
        return flops(sizes, Work(self.packed, self.pairs, seen), passes)


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
    if len(batch) != stored.sizes[number]:
        raise DataError(f"expected {stored.sizes[number]} rows in {file}; found {len(batch)}; delete {file.parent}")
    return _as_table(batch)


def _as_table(batch: Any) -> LengthTable:
    """The columns of a shard's counts; its lists lie one after another."""
    prefix = batch.column("prefix").to_numpy().astype(np.int64)
    responses, images = (_Lists(batch.column(name)) for name in ("responses", "image_tokens"))
    tokens = responses.sums(responses.values)
    pairs = prefix * (prefix + 1) // 2 + tokens * prefix + responses.sums(responses.values * (responses.values + 1) // 2)
    longest = prefix + np.maximum.reduceat(responses.values, responses.starts[:-1])
    return LengthTable(prefix + tokens, longest, pairs, images.sums(images.values), images.sums(images.values**2))


class _Lists:
    """A column of lists, which may be empty."""

    def __init__(self, column: Any):
        self.starts = column.offsets.to_numpy()
        self.values = column.values.to_numpy().astype(np.int64)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of each list's part of ``values``."""
        upto = np.concatenate([[0], np.cumsum(values)])
        return upto[self.starts[1:]] - upto[self.starts[:-1]]


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
