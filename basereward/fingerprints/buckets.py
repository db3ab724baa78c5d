"""Items that share a bucket -> candidate pairs, and confirmed pairs -> groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


def bucket_pairs(keys: Iterable[np.ndarray]) -> np.ndarray:
    """Pairs that share a bucket, in which each item meets the first one and the one before it.

    Meeting all of a bucket would cost the square of its size, and boilerplate makes large buckets.

    Args:
        keys: one (N,) array for each way to deal the items into buckets; equal values share a bucket.

    Returns:
        (P, 2), int64, each pair once, the smaller index first, sorted by the larger one.
    """
    found = [pairs for key in keys for pairs in _meetings(key)]
    pairs = np.unique(np.concatenate([np.empty((0, 2), dtype=np.int64), *found]), axis=0)
    return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def first_of_group(num_items: int, pairs: np.ndarray) -> np.ndarray:
    """The smallest index that each item is connected with: (num_items,) int64; itself where no pair joins it to a smaller one.

    >>> first_of_group(5, np.array([[1, 3], [3, 4]])).tolist()
    [0, 1, 2, 1, 1]
    """
    first = np.arange(num_items)
    for one, other in pairs.tolist():
        roots = _root(first, one), _root(first, other)
        first[max(roots)] = min(roots)
    return np.array([_root(first, item) for item in range(num_items)], dtype=np.int64)


def _root(first: np.ndarray, item: int) -> int:
    while first[item] != item:
        first[item] = first[first[item]]
        item = int(first[item])
    return item


def _meetings(key: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(key, kind="stable")
    is_later = np.zeros(len(key), dtype=bool)
    is_later[1:] = key[order[1:]] == key[order[:-1]]
    later = np.flatnonzero(is_later)
    starts = np.flatnonzero(~is_later)
    first = starts[np.cumsum(~is_later)[later] - 1]
    yield np.stack([order[first], order[later]], axis=1)
    yield np.stack([order[later - 1], order[later]], axis=1)
