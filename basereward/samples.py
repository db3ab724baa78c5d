"""One line of samples.jsonl: an item that was judged, with all that its numbers are made of; every result can be made again from these."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from basereward.errors import DataError
from basereward.records import Comparison

SAMPLES = "samples.jsonl"
REWARDS = ("rewards", "blind_rewards", "shuffled_rewards")
Rewards = tuple[float, ...]


@dataclass(frozen=True)
class Sample:
    """An item and what became of it. `pairs` holds (better, worse) numbers of responses; `lengths` characters."""

    id: str
    category: str
    group: str
    """The same for items of one prompt and its images."""
    source: str
    pairs: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]
    rewards: Rewards | None
    """None where the item could not be scored; all its pairs then count as failed."""
    error: str | None = None
    tokens: tuple[int, ...] | None = None
    """Of each response, its end token included."""
    blind_rewards: Rewards | None = None
    """With the images removed; None where nobody measured it, or that failed too."""
    shuffled_rewards: Rewards | None = None
    """With the images of another item."""
    placeholders: int = 0
    """Images that were not there and had a generated one put in their place."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What the benchmark's own numbers ask of the item."""

    def line(self) -> str:
        """The item as one line of JSON; what was not measured is left out."""
        row = dict(vars(self)) | {"pairs": list(map(list, self.pairs))}
        for key in ("blind_rewards", "shuffled_rewards", "placeholders"):
            if not row[key]:
                del row[key]
        return json.dumps(row, ensure_ascii=False) + "\n"


def unscored(comparison: Comparison, meta_keys: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a `Sample` that are known before an item is scored.

    Args:
        meta_keys: what is kept of the comparison's `meta`.
    """
    return {
        "id": comparison.id,
        "category": comparison.category,
        "group": comparison.group,
        "source": comparison.source,
        "pairs": tuple((pair.better, pair.worse) for pair in comparison.pairs),
        "lengths": tuple(map(len, comparison.responses)),
        "meta": {key: comparison.meta[key] for key in meta_keys if key in comparison.meta},
    }


def with_rewards(comparisons: Iterable[Comparison], rewards: Iterable[Sequence[float]]) -> list[Sample]:
    """Samples of rewards that are at hand already.

    >>> with_rewards([], [])
    []
    """
    return [
        Sample(**unscored(comparison, tuple(comparison.meta)), rewards=tuple(map(float, reward_N)))
        for comparison, reward_N in zip(comparisons, rewards, strict=True)
    ]


def read_samples(file: str | Path) -> list[Sample]:
    """The lines of a samples.jsonl, in order.

    Raises:
        DataError: a line that no evaluation wrote.
    """
    with Path(file).open(encoding="utf-8") as lines:
        return list(parse_samples(lines, str(file)))


def parse_samples(lines: Iterable[str], name: str) -> Iterator[Sample]:
    """Lines of JSON as `Sample.line` writes them; `name` is the file's, for messages."""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            for key in ("lengths", "tokens", *REWARDS):
                row[key] = None if row.get(key) is None else tuple(row[key])
            check_finite(row)
            row["pairs"] = tuple((better, worse) for better, worse in row["pairs"])
            yield Sample(**row)
        except (ValueError, TypeError, KeyError) as error:
            expected = "expected an item as `basereward evaluate` writes it"
            raise DataError(f"{name}:{number}: {expected}; found {line[:80]!r} ({error}); evaluate again") from error


def check_finite(row: Mapping[str, Any]) -> None:
    """An evaluation writes no other rewards: an item with one that is no number is a failure.

    Raises:
        ValueError: nan or an infinity, which would count as a wrong pair.
    """
    for key in REWARDS:
        if row[key] is not None and not all(math.isfinite(reward) for reward in row[key]):
            raise ValueError(f"{key} with {', '.join(str(reward) for reward in row[key] if not math.isfinite(reward))}")
